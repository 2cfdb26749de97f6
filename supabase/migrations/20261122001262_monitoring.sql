-- Monitoring: what the operator of all tenants looks at. Which of the clock's jobs have come, how every tenant stands,
-- and what the doctor says of the service as a whole.

insert into m23.settings (name, value, about) values
  ('cron_late_minutes', '5', 'how long a job of the clock may stay away before it is late'),
  ('plan_late_minutes', '15', 'how long what a plan says is due may wait before it is overdue'),
  ('log_cap_bytes', '10737418240', 'how large all logs together should get: from four fifths on it is told');

-- Versions --------------------------------------------------------------------------------

create function m23.version() returns text
language sql immutable set search_path = '' as $$ select '0.1.0'::text $$;
comment on function m23.version() is
  'The release that these migrations belong to: that of the functions has to be the same.';

-- The newest migration of this release.
create function m23.newest_migration() returns text
language sql immutable set search_path = '' as $$ select '20261122001275'::text $$;

-- Heartbeats --------------------------------------------------------------------------------

create table m23.heartbeats (
  name     text primary key,
  since    timestamptz not null default clock_timestamp(),  -- known since
  begun_at timestamptz,
  ended_at timestamptz,
  ok       boolean,  -- how the last one ended
  error    text,     -- what went wrong: an event of its log, never a text of an error
  version  text,     -- of the function
  expected boolean not null default true  -- is late when it stays away
);
select m23.close_table('m23.heartbeats');
comment on table m23.heartbeats is 'When each job of the clock last came, and how it ended.';
insert into m23.heartbeats (name) values ('backup-create'), ('backup-restore'), ('recovery-test');

create function public.m23_heartbeat(
  p_name text, p_ended boolean, p_error text default null, p_version text default null)
returns void
language sql volatile security definer set search_path = '' set row_security = off as $$
  insert into m23.heartbeats as h (name, begun_at, ended_at, ok, error, version, expected)
    values (p_name, clock_timestamp(), case when p_ended then clock_timestamp() end,
            case when p_ended then p_error is null end, left(p_error, 200), p_version,
            p_name <> 'alerts')  -- only where there is a webhook
    on conflict (name) do update set
      begun_at = case when p_ended then h.begun_at else excluded.begun_at end,
      ended_at = coalesce(excluded.ended_at, h.ended_at),
      ok       = case when p_ended then excluded.ok else h.ok end,
      error    = case when p_ended then excluded.error else h.error end,
      version  = coalesce(excluded.version, h.version)
$$;
comment on function public.m23_heartbeat(text, boolean, text, text) is
  'For the workers: a job of the clock has begun or ended, and how.';

-- The jobs of the clock, with the seconds since they last came. One that never has is as old as M23 here.
create function m23.crons()
returns table (name text, age numeric, late boolean, ok boolean, error text, version text, came boolean)
language sql stable rows 4 set search_path = '' as $$
  select h.name, round(greatest(s.age, 0)), s.age > m23.setting('cron_late_minutes')::numeric * 60,
         h.ok, h.error, h.version, h.begun_at is not null
    from m23.heartbeats h,
         lateral (select extract(epoch from clock_timestamp() - coalesce(h.begun_at, h.since))) s (age)
   where h.expected
$$;

create function public.m23_health() returns jsonb
language sql stable security definer set search_path = '' set row_security = off as $$
  select jsonb_build_object('version', m23.version(), 'late', coalesce(bool_or(c.late), false),
                            'cron', coalesce(jsonb_object_agg(c.name, c.age), '{}')) from m23.crons() c
$$;
comment on function public.m23_health() is
  'For the functions'' health endpoint: the version, and the age of each job of the clock.';

-- The fleet -----------------------------------------------------------------------------------

-- Every tenant as it stands, in a few passes over whole tables: none looks at one tenant after the other, but for the
-- newest score, which an index has.
create function m23.fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text, rank int)
language sql stable rows 1000 set search_path = '' as $$
  with tenant as materialized (select m23.tenant_uuid(t.tenant_id) as id, t.tenant_id as key, t.name from m23.tenants() t),
    backup (id, at) as (
      select j.tenant_id, max(least(w.position_at, j.completed_at))
        from public.backup_jobs j left join m23.backup_work w on w.job_id = j.id
       where j.status = 'completed' and j.deleted_at is null group by 1),
    promise (id, rpo, since, plan) as (
      select p.tenant_id, min(p.rpo_minutes), min(p.created_at),
             (array_agg(p.plan_name order by p.rpo_minutes, p.created_at))[1]
        from public.dr_plans p where p.is_active group by 1),
    work (id, status, at) as (
      select j.tenant_id, j.status, j.completed_at from public.backup_jobs j
      union all select r.tenant_id, r.status, r.completed_at from public.restore_logs r
      union all select r.tenant_id, r.status, r.completed_at from public.pitr_rollbacks r
      union all select t.tenant_id, t.status, t.completed_at from public.recovery_tests t),
    busy (id, running, failed) as (
      select w.id, count(*) filter (where w.status = 'in_progress'), count(*) filter (where w.status = 'failed')
        from work w
       where w.status = 'in_progress' or w.status = 'failed' and w.at > clock_timestamp() - interval '24 hours'
       group by 1),
    proof (id, at) as (select p.tenant_id, max(p.at) from m23.proofs p group by 1),
    gap (count) as (
      select (select count(*) from m23.gaps g
               where g.until > clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
           + (select count(*) from m23.protected_tables t where t.suspended is not null)),
    standing as (
      select t.key, t.name, b.at as backup_at, p.rpo, p.plan, f.at as proof_at, s.score,
             coalesce(w.running, 0) as running, coalesce(w.failed, 0) as failed,
             coalesce(greatest(b.at, p.since) < clock_timestamp() - make_interval(mins => p.rpo), false) as late
        from tenant t
        left join backup b using (id) left join promise p using (id)
        left join busy w using (id) left join proof f using (id)
        left join lateral (select h.score from public.health_snapshots h where h.tenant_id = t.id
                            order by h.created_at desc limit 1) s on true)
  select s.key, s.name, s.backup_at, s.rpo, s.late, s.proof_at, s.score, s.running::int, s.failed::int, g.count::int,
         s.plan,
         ('{no backup,late backup,failed work,no plan,low score,no proof,gaps}'::text[])[w.rank],
         case w.rank
           when 1 then format('no backup was completed; the plan "%s" promises one of the last %s minutes',
                              s.plan, s.rpo)
           when 2 then format('the newest backup is of %s; the plan "%s" promises one of the last %s minutes',
                              m23.iso(s.backup_at), s.plan, s.rpo)
           when 3 then format('%s backups, restores, rollbacks or tests failed in the last 24 hours', s.failed)
           when 4 then 'no active plan says when it is backed up'
           when 5 then format('its health is %s; below 70 is a reason to look', s.score)
           when 6 then 'no restore has proved a backup'
           when 7 then format('%s gaps in the log keep earlier moments out of reach', g.count) end,
         w.rank
    from standing s cross join gap g
    cross join lateral (
      select case when s.late and s.backup_at is null then 1 when s.late then 2 when s.failed > 0 then 3
                  when s.plan is null then 4 when s.score < 70 then 5 when s.proof_at is null then 6
                  when g.count > 0 then 7 else 8 end) w (rank)
   order by w.rank, s.score nulls first, s.backup_at nulls first, s.key
$$;

create function m23.overview()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text)
language plpgsql stable security definer rows 1000 set search_path = '' set row_security = off as $$
begin
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan
    from m23.fleet() f;
end $$;
comment on function m23.overview() is 'How every tenant stands, the worst first: select * from m23.overview().';

-- Who looks after all tenants, and may read no tenant's rows for that.
create function m23.require_platform() returns void
language plpgsql stable set search_path = '' as $$
begin
  perform m23.refuse_anonymous();
  if not coalesce(auth.jwt() ->> 'role' = 'service_role'
                  or auth.jwt() -> 'app_metadata' -> 'm23_platform' = 'true', false) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'this is for the platform''s operator');
  end if;
end $$;

create function public.get_fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text)
language plpgsql stable security definer rows 1000 set search_path = '' set row_security = off as $$
begin
  perform m23.require_platform();
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan, f.worst, f.why
    from m23.fleet() f;
end $$;
comment on function public.get_fleet() is
  'How every tenant stands, the worst first, with what is worst in words. For the platform''s operator '
  '(app_metadata.m23_platform) and the service key.';

create function public.get_doctor() returns table (topic text, state text, finding text, advice text)
language plpgsql volatile security definer rows 20 set search_path = '' set row_security = off as $$
begin
  perform m23.require_platform();
  return query select d.topic, d.state, d.finding, d.advice from m23.doctor() d;
end $$;
comment on function public.get_doctor() is
  'What m23.doctor() says. The platform''s operator (app_metadata.m23_platform) and the service key.';

-- The doctor ------------------------------------------------------------------------------------

-- A few of many, for a sentence.
create function m23.some_of(p_names text[]) returns text
language sql immutable set search_path = '' as $$
  select array_to_string(p_names[1:5], ', ')
      || case when cardinality(p_names) > 5 then format(' and %s more', cardinality(p_names) - 5) else '' end
$$;

-- What the history of migrations says; null where there is none, or it cannot be read.
create function m23.history_has_migration() returns boolean
language plpgsql stable set search_path = '' as $$
declare v_has boolean;
begin
  if to_regclass('supabase_migrations.schema_migrations') is null then return null; end if;
  execute 'select exists (select from supabase_migrations.schema_migrations where version = $1)'
    into v_has using m23.newest_migration();
  return v_has;
exception when insufficient_privilege then return null;
end $$;

create function m23.doctor_versions() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'versions', case when others.names is null then 'ok' else 'problem' end,
         format('the database is of release %s', m23.version()) || case
           when others.names is not null then ', and of another are the functions ' || others.names
           when others.known then ', as are the functions'
           else '; no function has said its own yet' end,
         case when others.names is not null
              then 'deploy the functions of the release that the migrations are of, or push the migrations of the '
                   'functions'' release' end
    from (select string_agg(format('%s (%s)', c.name, c.version), ', ' order by c.name)
                   filter (where c.version <> m23.version()),
                 bool_or(c.version is not null)
            from m23.crons() c) others (names, known)
  union all
  select 'versions', 'warning',
         format('the history of migrations does not have %s, which is in force', m23.newest_migration()),
         format('supabase migration repair --status applied %s; else the next push applies it once more',
                m23.newest_migration())
   where not m23.history_has_migration()
$$;

create function m23.doctor_crons() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'cron ' || c.name,
         case when c.late then 'problem' when not c.ok then 'warning' else 'ok' end,
         case when c.late and not c.came then format('late: it has never come, in %s seconds', c.age)
              when c.late then format('late: it came %s seconds ago, and should every minute', c.age)
              when not c.came then 'it has not come yet'
              when not c.ok then format('it came %s seconds ago and failed: %s', c.age, c.error)
              else format('it came %s seconds ago', c.age) end,
         case when c.late
              then format('deploy the function %s with its cron trigger, and look at its log; until then %s', c.name,
                     case c.name when 'backup-create' then 'no plan''s backup begins, and interrupted ones wait'
                                 when 'recovery-test' then 'no plan''s test begins, and interrupted ones wait'
                                 else 'interrupted restores wait, and old log is not dropped' end)
              when not c.ok then format('look at the log of the function %s', c.name) end
    from m23.crons() c order by c.name
$$;

create function m23.doctor_plans() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'plans', 'problem',
         format('overdue: %s plans have been due for more than %s minutes: of the tenants %s', count(*),
                m23.setting('plan_late_minutes'), m23.some_of(array_agg(distinct p.tenant_id::text))),
         'see that the cron triggers of backup-create and recovery-test come, and look at their logs'
    from public.dr_plans p
   where p.is_active and least(p.next_backup_date, p.next_test_date)
                         < clock_timestamp() - make_interval(mins => m23.setting('plan_late_minutes')::int)
  having count(*) > 0
  union all
  select 'plans', 'problem',
         format('failing: the last backup of %s plans has failed: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct p.tenant_id::text))),
         'read error_message in public.backup_jobs; the next due time tries again'
    from public.dr_plans p
    join lateral (select j.status from m23.plan_runs r join public.backup_jobs j on j.id = r.work_id
                   where r.plan_id = p.id and r.kind = 'backup' and j.status in ('completed', 'failed')
                   order by r.due_at desc limit 1) last on last.status = 'failed'
   where p.is_active
  having count(*) > 0
$$;

create function m23.doctor_fleet() returns setof m23.finding
language sql stable set search_path = '' as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backups', 'problem',
         format('the newest good backup of %s tenants is older than their RPO: of %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'select * from m23.overview() where late; read error_message of their newest rows in public.backup_jobs, and '
         'begin one with backup-create'
    from fleet f where f.late having count(*) > 0
  union all
  select 'plans', 'warning',
         format('%s tenants have no active plan, and nothing backs them up by itself: %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'insert a plan for each into public.dr_plans, or set one for all with m23.set_default_plan'
    from fleet f where f.plan is null having count(*) > 0
  union all
  select 'plans', 'warning',
         'no default plan is set: a new tenant is not backed up until somebody makes a plan for it',
         'select m23.set_default_plan(''{"rto_minutes": …, "rpo_minutes": …, "backup_frequency": "daily", '
         '"test_frequency": "weekly"}'')'
   where m23.setting('default_plan') = ''
  union all
  select 'restores', 'warning',
         format('%s restores and rollbacks failed in the last 24 hours: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct r.tenant_id::text))),
         'read error_message in public.restore_logs and public.pitr_rollbacks: a restore that fails has changed nothing'
    from (select l.tenant_id, l.status, l.completed_at from public.restore_logs l
          union all select b.tenant_id, b.status, b.completed_at from public.pitr_rollbacks b) r
   where r.status = 'failed' and r.completed_at > clock_timestamp() - interval '24 hours' having count(*) > 0
$$;

-- The size of all logs, and how much was logged in a day of the last seven.
create function m23.log_size(out bytes bigint, out a_day bigint)
language plpgsql stable set search_path = '' as $$
begin
  select coalesce(sum(pg_total_relation_size(c.oid)), 0) into bytes
    from pg_class c where c.relnamespace = 'm23_log'::regnamespace and c.relkind = 'r';
  select coalesce(sum(pg_total_relation_size(to_regclass(m23.log_name(p.table_id) || '_' || p.part)))
                  / greatest(1, extract(epoch from clock_timestamp() - min(p.opened_at)) / 86400), 0) into a_day
    from m23.log_parts p where p.opened_at > clock_timestamp() - interval '7 days';
end $$;

create function m23.doctor_log_size() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'log size',
         case when s.bytes > cap.bytes * 0.8 then 'problem' when week.bytes > cap.bytes then 'warning' else 'ok' end,
         format('all logs have %s, and grow by %s a day; the cap is %s', pg_size_pretty(s.bytes),
                pg_size_pretty(s.a_day), pg_size_pretty(cap.bytes)),
         case when week.bytes > cap.bytes or s.bytes > cap.bytes * 0.8
              then 'give the disk more room and raise log_cap_bytes in m23.settings, or keep less: log_days, and '
                   'snapshots that are not needed' end
    from m23.log_size() s, (select m23.setting('log_cap_bytes')::bigint) cap (bytes),
         lateral (select s.bytes + s.a_day * 7) week (bytes)
$$;

select m23.open_to('{service_role}', 'm23.version()', 'm23.overview()',
  'public.m23_heartbeat(text, boolean, text, text)', 'public.m23_health()');
select m23.open_to('{authenticated, service_role}', 'public.get_fleet()', 'public.get_doctor()');
select m23.close_functions();
