-- Health: one number from 0 to 100 for how well a tenant could be brought back, and the parts
-- that it is made of. docs/health.md explains it. Below 70 is a reason to alert.

-- What was found of an archive or its restore, not of its age, its speed, the clock, or that it has none.
create function m23.found_damage(p_test public.recovery_tests) returns boolean
language sql immutable as $$
  select exists (select from jsonb_array_elements(p_test.results -> 'findings') f
                  where f ->> 'kind' not in ('rpo_missed', 'rto_missed', 'clock_odd', 'no_archive'))
$$;

-- The newest backup of the window, and what the active plans allow.
create type m23.standing as (
  since  timestamptz,  -- the beginning of the window
  backup public.backup_jobs,
  at     timestamptz,  -- the moment that the backup is of
  rpo    int,          -- minutes
  rto    int           -- minutes; null: no plan
);

-- A standing, by its fields.
create function m23.new_standing(
  p_since timestamptz, p_backup public.backup_jobs, p_at timestamptz, p_rpo int, p_rto int
) returns m23.standing
language plpgsql immutable as $$
declare v_standing m23.standing;
begin
  v_standing.since := p_since;
  v_standing.backup := p_backup;
  v_standing.at := p_at;
  v_standing.rpo := p_rpo;
  v_standing.rto := p_rto;
  return v_standing;
end $$;

-- What a tenant's health is measured by, over so many days.
create function m23.standing_of(p_tenant text, p_days int) returns m23.standing
language plpgsql stable as $$
begin
  return (select m23.new_standing(s.since, j, p_at => w.position_at, p_rpo => coalesce(p.rpo, 1440), p_rto => p.rto)
      from (select clock_timestamp() - make_interval(days => greatest(0, least(p_days, 36500)))) s (since)
      left join lateral (select b.* from public.backup_jobs b
                          where b.tenant_id = p_tenant and b.status = 'completed' and b.deleted_at is null
                            and b.completed_at >= s.since
                          order by b.completed_at desc, b.id limit 1) j on true
      left join m23.backup_work w on w.job_id = j.id
      left join lateral (select min(rpo_minutes) as rpo, min(rto_minutes) as rto from public.dr_plans
                          where tenant_id = p_tenant and is_active) p on true);
end $$;

-- When archives were really restored: by deep tests that found no damage, or for good. The backup has to be there
-- still, and no test of its chain may have found damage since.
create view m23.proofs as
  select p.tenant_id, p.at
    from (select t.tenant_id, t.completed_at, t.backup_job_id from public.recovery_tests t
           where t.status = 'completed' and t.results ? 'recoverySeconds'
             and (t.results -> 'findings' = '[]' or not m23.found_damage(t))
          union all
          select r.tenant_id, r.completed_at, r.backup_job_id from public.restore_logs r
           where r.status = 'completed') p (tenant_id, at, job_id)
    join public.backup_jobs j on j.id = p.job_id and j.job_type <> 'snapshot' and j.status = 'completed'
     and j.deleted_at is null
   where not exists (select from public.recovery_tests t join public.backup_jobs o on o.id = t.backup_job_id
                      where o.tenant_id = j.tenant_id
                        and coalesce(o.base_backup_id, o.id) = coalesce(j.base_backup_id, j.id)
                        and t.status = 'completed' and t.completed_at > p.at and t.results -> 'findings' <> '[]'
                        and m23.found_damage(t));
revoke all on m23.proofs from public, anon, authenticated;

-- `{"score", "healthy", "daysBack", "parts": [{"name", "weight", "points", "said"}…], "capped"?}`
create function m23.health(p_tenant text, p_days int) returns jsonb
language plpgsql volatile as $$
declare
  v_now   m23.standing := m23.standing_of(p_tenant, p_days);
  v_parts jsonb;
  v_sum   numeric;
  v_cap   text := case when ((v_now).backup).id is null then 'no backup was completed'
                       when m23.last_proof(p_tenant, (v_now).since) is null then 'no backup is proven by a restore' end;
begin
  select jsonb_agg(jsonb_build_object('name', name, 'weight', weight, 'points', round(weight * value, 1), 'said', said)
                   order by n), round(sum(weight * value), 1)
    into v_parts, v_sum
    from (select 1 as n, 'freshness' as name, 25 as weight, f.* from m23.health_freshness(v_now) f
          union all select 2, 'success', 15, f.* from m23.health_success(p_tenant, v_now) f
          union all select 3, 'chain', 15, f.* from m23.health_chain(v_now) f
          union all select 4, 'proof', 25, f.* from m23.health_proof(p_tenant, v_now) f
          union all select 5, 'capture', 10, f.* from m23.health_capture() f
          union all select 6, 'time', 10, f.* from m23.health_time(p_tenant, v_now) f) p;
  v_sum := case when v_cap is not null then least(v_sum, 69) else v_sum end;
  return jsonb_strip_nulls(jsonb_build_object('score', v_sum, 'healthy', v_sum >= 70, 'daysBack', p_days,
                                              'parts', v_parts, 'capped', v_cap));
end $$;

-- Keeps a tenant's health of now.
create function m23.note_health(p_tenant text) returns void
language sql volatile as $$
  insert into public.health_snapshots (tenant_id, created_at, score, parts)
    select p_tenant, clock_timestamp(), (h ->> 'score')::numeric, h -> 'parts' from m23.health(p_tenant, 30) h
$$;

-- After every job. The job itself never fails by it.
create function m23.follow_job() returns trigger
language plpgsql security definer set row_security = off as $$
begin
  perform m23.note_health(new.tenant_id);
  return null;
exception when others then
  raise warning 'm23: the health of a tenant was not noted: % (%)', sqlerrm, sqlstate;
  return null;
end $$;

do $$
declare v_table text;
begin
  foreach v_table in array array['backup_jobs', 'restore_logs', 'pitr_rollbacks', 'recovery_tests'] loop
    execute format('create trigger follow_job after update of status on public.%I for each row
      when (new.status in (''completed'', ''failed'', ''cancelled'') and old.status <> new.status)
      execute function m23.follow_job()', v_table);
  end loop;
end $$;

insert into m23.settings (name, value, about) values
  ('health_days',       '30',  'how long every health snapshot is kept; from then on the last of each day'),
  ('health_daily_days', '400', 'how long the last health snapshot of each day is kept');

-- Deletes what was kept of a tenant's health: after some days all but the last of each day; gives how many.
create function m23.prune_health(p_tenant text) returns bigint
language plpgsql volatile as $$
declare v_count bigint;
begin
  delete from public.health_snapshots s
   where s.tenant_id = p_tenant and (
         s.created_at < clock_timestamp() - make_interval(days => m23.setting('health_daily_days')::int)
      or s.created_at < clock_timestamp() - make_interval(days => m23.setting('health_days')::int)
         and exists (select from public.health_snapshots l
                      where l.tenant_id = s.tenant_id and (l.created_at, l.id) > (s.created_at, s.id)
                        and l.created_at < date_trunc('day', s.created_at, 'UTC') + interval '1 day'));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Once a day, for every tenant.
create function m23.note_day(p_tenant text) returns void
language plpgsql volatile as $$
begin
  if not exists (select from public.health_snapshots where tenant_id = p_tenant and created_at >= date_trunc('day',
      clock_timestamp(), 'UTC')) then
    perform m23.note_health(p_tenant);
  end if;
  perform m23.prune_health(p_tenant);
end $$;
