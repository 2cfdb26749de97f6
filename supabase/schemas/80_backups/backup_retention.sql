-- For how long backups are kept: cancelled, deleted with a grace period, retired by the plan. A
-- chain leaves as a whole, and the last good backup never. Objects go last, by a worker.

insert into m23.settings (name, value, about) values
  ('backup_grace_days', '7', 'how long a deleted backup can be taken back');

-- For how long a deleted backup can be taken back.
create function m23.backup_grace_period() returns interval
language sql stable as $$ select make_interval(days => m23.setting('backup_grace_days')::int) $$;

-- A backup of the caller's tenant, locked against others who would change or build on it.
create function m23.backup_for(p_id uuid, p_roles text[]) returns public.backup_jobs
language plpgsql volatile as $$
declare v_job public.backup_jobs;
begin
  perform m23.refuse_anonymous();
  select * into v_job from public.backup_jobs where id = p_id for update;
  if v_job.id is null or not m23.is_member(v_job.tenant_id) then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  perform m23.require_role(v_job.tenant_id, p_roles);
  return v_job;
end $$;

-- Whether a backup holds rows outside the database and can be read to its end.
create function m23.is_good(p_job public.backup_jobs) returns boolean
language sql stable as $$ select p_job.job_type <> 'snapshot' and m23.chain_fault(p_job) is null $$;

-- The newest are looked at first: what a backup builds on has to be followed for each.
create function m23.newest_good(p_tenant text) returns uuid
language plpgsql stable as $$
declare v_job public.backup_jobs;
begin
  for v_job in select * from public.backup_jobs
                where tenant_id = p_tenant and status = 'completed' and deleted_at is null
                order by completed_at desc, id loop
    if m23.is_good(v_job) then return v_job.id; end if;
  end loop;
  return null;
end $$;

-- Why a backup must stay; null when it may go.
create function m23.needed_because(p_job public.backup_jobs) returns text
language sql stable as $$
  select case
    when p_job.status in ('pending', 'in_progress') then 'it is still being made; cancel it first'
    when exists (select from public.backup_jobs c
                  where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed')
      then (select format('"%s" builds on it; delete that first', c.backup_name) from public.backup_jobs c
             where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed'
             order by c.created_at desc limit 1)
    when m23.is_good(p_job)
       and not exists (select from public.backup_jobs o
                        where o.tenant_id = p_job.tenant_id and o.id <> p_job.id and m23.is_good(o))
      then 'it is the last good backup; make another one first' end
$$;

-- What the tenant's plans let go, with the reason: chains whose newest member is older than the
-- longest retention, and failed jobs. Without an active plan nothing goes.
create function m23.past_retention(p_tenant text) returns table (backup_id uuid, reason text)
language sql stable as $$
  with kept as (select max(p.retention_days) as days from public.dr_plans p
                 where p.tenant_id = p_tenant and p.is_active),
    good as (select m23.newest_good(p_tenant) as id),
    member as (
      select j.*, coalesce(j.base_backup_id, j.id) as chain from public.backup_jobs j
       where j.tenant_id = p_tenant and j.deleted_at is null),
    chain as (
      select m.chain, max(coalesce(m.completed_at, m.created_at)) as newest,
             bool_or(m.status in ('pending', 'in_progress')) as is_running,
             bool_or(m.id = good.id) as has_last
        from member m cross join good group by m.chain)
  select m.id,
         format('the newest backup of its chain is from %s, longer ago than the %s days that the plans keep',
                m23.iso(c.newest), k.days)
    from kept k
    join chain c on c.newest < clock_timestamp() - make_interval(days => k.days) and not c.is_running and not c.has_last
    join member m on m.chain = c.chain
$$;

-- Upkeep: deletes what is past its retention, with the same grace as any deletion.
create function m23.retire_backups(p_tenant text) returns int
language plpgsql volatile as $$
declare v_count int;
begin
  if not exists (select from public.dr_plans where tenant_id = p_tenant and is_active) then return 0; end if;
  update public.backup_jobs j set deleted_at = clock_timestamp(), metadata = j.metadata
      || jsonb_build_object('deleted_because', r.reason)
    from m23.past_retention(p_tenant) r where j.id = r.backup_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
