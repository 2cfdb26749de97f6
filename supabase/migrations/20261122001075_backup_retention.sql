-- For how long backups are kept: cancelled, deleted with a grace period, retired by the plan. A
-- chain leaves as a whole, and the last good backup never. Objects go last, by a worker.

insert into m23.settings (name, value, about) values
  ('backup_grace_days', '7', 'how long a deleted backup can be taken back');

create function m23.grace() returns interval
language sql stable set search_path = '' as $$ select make_interval(days => m23.setting('backup_grace_days')::int) $$;

-- A backup of the caller's tenant, locked against others who would change or build on it.
create function m23.backup_for(p_id uuid, p_roles text[]) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
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

-- Cancel ------------------------------------------------------------------------------------

create function public.cancel_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_job public.backup_jobs;
begin
  -- Its worker takes the lease before the job: taken the other way round, the two would wait for each other.
  perform from m23.leases l join public.backup_jobs j on j.id = l.work_id
    where l.work_id = p_backup_id and m23.is_member(j.tenant_id) for update of l;
  v_job := m23.backup_for(p_backup_id, array['owner', 'admin', 'operator']);
  if v_job.status not in ('pending', 'in_progress') then return false; end if;
  perform m23.fail_backup(v_job.id, 'cancelled by ' || coalesce(auth.uid()::text, 'the service key'));
  perform m23.audit_done(v_job.tenant_id, 'cancel_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.cancel_backup(uuid) is
  'Ends a backup that waits or runs, as failed; true if it did. Its worker stops at the next step. Owner, admin and operator.';

-- Delete, and take back ---------------------------------------------------------------------

-- Whether a backup holds rows outside the database and can be read to its end.
create function m23.is_good(p_job public.backup_jobs) returns boolean
language sql stable set search_path = '' as $$ select p_job.job_type <> 'snapshot' and m23.chain_fault(p_job) is null $$;

-- The newest are looked at first: what a backup builds on has to be followed for each.
create function m23.newest_good(p_tenant uuid) returns uuid
language plpgsql stable set search_path = '' as $$
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
language sql stable set search_path = '' as $$
  select case
    when p_job.status in ('pending', 'in_progress') then 'it is still being made; cancel it first'
    when exists (select from public.backup_jobs c where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed')
      then (select format('"%s" builds on it; delete that first', c.backup_name) from public.backup_jobs c
             where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed' order by c.created_at desc limit 1)
    when m23.is_good(p_job) and not exists (select from public.backup_jobs o where o.tenant_id = p_job.tenant_id and o.id <> p_job.id and m23.is_good(o))
      then 'it is the last good backup; make another one first' end
$$;

create function public.delete_backup(p_backup_id uuid) returns timestamptz
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_job    public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_needed text := m23.needed_because(v_job);
begin
  if v_job.deleted_at is null then
    if v_needed is not null then
      perform m23.refuse('VALIDATION_FAILED', 'this backup cannot be deleted', array['p_backup_id: ' || v_needed]);
    end if;
    update public.backup_jobs set deleted_at = clock_timestamp() where id = v_job.id returning deleted_at into v_job.deleted_at;
    perform m23.audit_done(v_job.tenant_id, 'delete_backup', jsonb_build_object('id', v_job.id));
  end if;
  return v_job.deleted_at + m23.grace();
end $$;
comment on function public.delete_backup(uuid) is
  'Deletes a backup, and gives the time from which its objects are gone; until then keep_backup takes it back. Owner and admin.';

create function public.keep_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_job   public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_fault text := m23.chain_fault((select j from public.backup_jobs j where j.id = v_job.parent_backup_id));
begin
  if v_job.deleted_at is null then
    return false;
  elsif v_job.deleted_at + m23.grace() < clock_timestamp() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the time to take this backup back is over');
  elsif v_job.parent_backup_id is not null and v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'what this backup builds on has to be taken back first', array['p_backup_id: ' || v_fault]);
  end if;
  update public.backup_jobs set deleted_at = null where id = v_job.id;
  perform m23.audit_done(v_job.tenant_id, 'keep_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.keep_backup(uuid) is 'Takes a deleted backup back within its grace period; true if it was deleted. Owner and admin.';

-- Retention -----------------------------------------------------------------------------------

-- What the tenant's plans let go, with the reason: chains whose newest member is older than the
-- longest retention, and failed jobs. Without an active plan nothing goes.
create function m23.past_retention(p_tenant uuid) returns table (backup_id uuid, reason text)
language sql stable set search_path = '' as $$
  with kept as (select max(p.retention_days) as days from public.dr_plans p where p.tenant_id = p_tenant and p.is_active),
    good as (select m23.newest_good(p_tenant) as id),
    member as (
      select j.*, coalesce(j.base_backup_id, j.id) as chain from public.backup_jobs j where j.tenant_id = p_tenant and j.deleted_at is null),
    chain as (
      select m.chain, max(coalesce(m.completed_at, m.created_at)) as newest, bool_or(m.status in ('pending', 'in_progress')) as is_running,
             bool_or(m.id = good.id) as has_last
        from member m cross join good group by m.chain)
  select m.id, format('the newest backup of its chain is from %s, longer ago than the %s days that the plans keep', m23.iso(c.newest), k.days)
    from kept k join chain c on c.newest < clock_timestamp() - make_interval(days => k.days) and not c.is_running and not c.has_last
    join member m on m.chain = c.chain
$$;

create function public.plan_retention(p_tenant_id uuid)
returns table (backup_id uuid, backup_name text, job_type text, created_at timestamptz, backup_size_bytes bigint, reason text)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select j.id, j.backup_name, j.job_type, j.created_at, j.backup_size_bytes, r.reason
    from m23.past_retention(p_tenant_id) r join public.backup_jobs j on j.id = r.backup_id order by j.created_at, j.id;
end $$;
comment on function public.plan_retention(uuid) is 'The backups that the next upkeep would delete by the plans'' retention_days, and why. Nothing is changed.';

-- Upkeep: deletes what is past its retention, with the same grace as any deletion.
create function m23.retire_backups(p_tenant uuid) returns int
language plpgsql volatile set search_path = '' as $$
declare v_count int;
begin
  if not exists (select from public.dr_plans where tenant_id = p_tenant and is_active) then return 0; end if;
  update public.backup_jobs j set deleted_at = clock_timestamp(), metadata = j.metadata
      || jsonb_build_object('deleted_because', r.reason)
    from m23.past_retention(p_tenant) r where j.id = r.backup_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Objects ---------------------------------------------------------------------------------------

-- The next prefix with objects to be deleted, and those below it that stay: of backups deleted
-- longer ago than the grace period and of failed ones everything goes, of complete ones whatever
-- the manifest does not name. A prefix that this database does not know is left alone.
create function public.m23_next_collection() returns json
language sql volatile security definer set search_path = '' set row_security = off as $$
  select json_build_object('job_id', w.job_id, 'prefix', w.prefix || '/', 'keep', case when j.status = 'completed' and j.deleted_at is null
           then (select coalesce(json_agg(o), '[]') from (select c.object as o from m23.backup_chunks c where c.job_id = w.job_id
                                                          union all select w.manifest union all select w.prefix || '/manifest.mac') objects)
           else '[]' end)
    from m23.backup_work w join public.backup_jobs j on j.id = w.job_id
   where j.job_type <> 'snapshot' and (
         (j.deleted_at + m23.grace() < clock_timestamp() and not j.metadata ? 'purged_at')
      or (j.deleted_at is null and j.status in ('completed', 'failed') and j.completed_at < clock_timestamp() - interval '1 day' and not j.metadata ? 'collected_at'))
   order by j.completed_at limit 1
$$;
comment on function public.m23_next_collection() is 'For the workers: where objects are to be deleted next; null when nowhere.';

create function public.m23_note_collected(p_job_id uuid) returns void
language sql volatile security definer set search_path = '' set row_security = off as $$
  update public.backup_jobs set metadata = metadata || jsonb_build_object(case when deleted_at is null then 'collected_at' else 'purged_at' end, clock_timestamp())
   where id = p_job_id
$$;
comment on function public.m23_note_collected(uuid) is 'For the workers: what m23_next_collection gave is done.';

select m23.open_to('{authenticated, service_role}', 'public.cancel_backup(uuid)', 'public.delete_backup(uuid)', 'public.keep_backup(uuid)', 'public.plan_retention(uuid)');
select m23.open_to('{service_role}', 'public.m23_next_collection()', 'public.m23_note_collected(uuid)');
select m23.close_functions();
