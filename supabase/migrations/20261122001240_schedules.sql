-- Schedules: every minute the clock begins what plans say is due, each due time once, whoever
-- wakes. After an outage what was missed is made up for once. Scheduled work is not counted.
-- A call begins a share of it and commits; the clock calls again until nothing is due.

insert into m23.settings (name, value, about) values
  ('full_every_days',      '7',    'how old the full backup of a scheduled chain gets before the next full one'),
  ('scheduled_test_level', 'deep', 'how far a scheduled recovery test goes: basic, full or deep');

create table m23.plan_runs (
  plan_id    uuid not null references public.dr_plans (id) on delete cascade,
  kind       text not null check (kind in ('backup', 'test')),
  due_at     timestamptz not null,
  started_at timestamptz not null default clock_timestamp(),
  work_id    uuid,  -- the backup job or recovery test that it became
  note       text,  -- why it became none
  primary key (plan_id, kind, due_at)
);
create index plan_runs_due on m23.plan_runs (due_at);
select m23.close_table('m23.plan_runs');
comment on table m23.plan_runs is 'What plans have begun, and when it was due.';

-- Takes a due time for oneself; false when somebody else has it.
create function m23.take_run(p_plan uuid, p_kind text, p_due timestamptz) returns boolean
language plpgsql set search_path = '' as $$
begin
  insert into m23.plan_runs (plan_id, kind, due_at) values (p_plan, p_kind, p_due) on conflict do nothing;
  return found;
end $$;

-- When a plan is due after now. One whose time cannot be worked out any more, as its zone is gone from the server,
-- is looked at again in an hour.
create function m23.due_anew(p_plan public.dr_plans, p_kind text) returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return m23.next_due(p_plan, p_kind, clock_timestamp());
exception when others then
  raise log 'm23: plan % has no next %: % (%)', p_plan.id, p_kind, sqlerrm, sqlstate;
  return clock_timestamp() + interval '1 hour';
end $$;

-- A time that a clock which was ahead has taken is still to come, and what was put off by that clock is
-- due by the one of now; so is a test whose time was taken away. Gives how many plans it was.
create function m23.mend_due_times() returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_now   timestamptz := clock_timestamp();  -- a variable, for the indexes to be used
  v_plans uuid[];
begin
  delete from m23.plan_runs where ctid = any (array(
    select ctid from m23.plan_runs where due_at < v_now - interval '30 days' limit 1000 for update skip locked));
  v_plans := array(select p.id from public.dr_plans p
    where p.id = any (array(select r.plan_id from m23.plan_runs r where r.due_at > v_now limit 100)
                   || array(select n.id from public.dr_plans n where n.is_active and n.next_test_date is null
                            limit 100))
      for update skip locked);
  delete from m23.plan_runs where due_at > v_now and plan_id = any (v_plans);
  update public.dr_plans p
     set next_backup_date = least(p.next_backup_date, m23.due_anew(p, 'backup')),
         next_test_date = least(p.next_test_date, m23.due_anew(p, 'test'))
   where p.is_active and p.id = any (v_plans);
  return cardinality(v_plans);
end $$;

-- Backups -----------------------------------------------------------------------------

-- What a scheduled incremental can build on: the newest whole backup whose chain can be read and
-- is not too long, if the log still knows what has changed since.
create function m23.scheduled_parent(p_tenant uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_since timestamptz := clock_timestamp() - make_interval(days => m23.setting('full_every_days')::int);
  v_job   public.backup_jobs;
begin
  for v_job in
    select j.* from public.backup_jobs j join public.backup_jobs full_one on full_one.id = coalesce(j.base_backup_id,
        j.id)
     where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null and j.job_type <> 'snapshot'
         and j.tables is null
       and full_one.created_at > v_since
     order by j.completed_at desc, j.id
  loop
    continue when m23.chain_fault(v_job) is not null;
    return (select w.job_id from m23.backup_work w where w.job_id = v_job.id and m23.gaps_since(w, null) = '{}');
  end loop;
  return null;
end $$;

-- The request of a plan's next backup: a full one where none is there to build on; between full
-- ones an incremental or a snapshot, where the plan has them.
create function m23.scheduled_backup(p_plan public.dr_plans) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare v_parent uuid := m23.scheduled_parent(p_plan.tenant_id);
begin
  return jsonb_strip_nulls(jsonb_build_object(
    'backupName', m23.name_of_run(p_plan),
    'description', format('Made by the plan "%s"', p_plan.plan_name),
    'baseBackupId', case when 'incremental' = any (p_plan.backup_types) then v_parent end,
    'jobType', case
      when p_plan.backup_types = '{snapshot}' then 'snapshot'
      when v_parent is null then 'full'
      when 'incremental' = any (p_plan.backup_types) then 'incremental'
      when 'snapshot' = any (p_plan.backup_types) then 'snapshot'
      else 'full' end));
end $$;

-- Why something scheduled could not begin, in one line. A fault of ours is told by the server's
-- log, and keeps nobody else's plan from being followed.
create function m23.said(p_state text, p_message text) returns text
language plpgsql set search_path = '' as $$
begin
  if p_state = 'PGRST' then
    return (select concat_ws(': ', m ->> 'message', (select string_agg(d, '; ') from json_array_elements_text((m ->> 'details')::json) d))
              from (select p_message::json) x (m));
  end if;
  raise log 'm23: a plan could not be followed: % (%)', p_message, p_state;
  return case p_state when '57014' then 'it took too long to begin' else
      'it could not be begun; the database''s log tells why' end;
end $$;

create function m23.name_of_run(p_plan public.dr_plans) returns text
language sql volatile set search_path = '' as
$$ select format('%s %s', left(p_plan.plan_name, 150), to_char(clock_timestamp() at time zone 'UTC',
    'YYYY-MM-DD HH24:MI:SS "UTC"')) $$;

-- A backup that cannot begin stands there as one that failed, with its reason.
create function m23.run_backup(p_plan public.dr_plans, p_like uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_backup jsonb;
  v_job    public.backup_jobs;
begin
  if exists (select from public.backup_jobs j join m23.plan_runs r on r.work_id = j.id and r.plan_id = p_plan.id
      and r.kind = 'backup'
              where j.tenant_id = p_plan.tenant_id and j.status in ('pending', 'in_progress')) then
    update m23.plan_runs set note = 'the backup before it was still running' where plan_id = p_plan.id and kind = 'backup' and due_at = p_plan.next_backup_date;
    return null;
  end if;
  v_backup := m23.scheduled_backup(p_plan);
  v_job := m23.planned_job(p_plan, v_backup);
  perform m23.start_backup(v_job, p_like);
  return v_job.id;
exception when others or query_canceled then
  v_job := m23.planned_job(p_plan, coalesce(v_backup, jsonb_build_object('backupName', m23.name_of_run(p_plan),
      'jobType', p_plan.backup_types[1])));
  perform m23.fail_backup(v_job.id, m23.said(sqlstate, sqlerrm));
  return v_job.id;
end $$;

create function m23.planned_job(p_plan public.dr_plans, p_backup jsonb) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
declare v_job public.backup_jobs := m23.new_backup_job(p_plan.tenant_id, p_backup);
begin
  update public.backup_jobs set created_by = p_plan.created_by,
         metadata = metadata || jsonb_build_object('dr_plan_id', p_plan.id)
   where id = v_job.id returning * into v_job;
  return v_job;
end $$;

-- Tests -------------------------------------------------------------------------------

-- A test that cannot begin stands there as one that failed, with its reason.
create function m23.run_test(p_plan public.dr_plans) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_test jsonb := jsonb_build_object('dr_plan_id', p_plan.id, 'test_type', 'scheduled', 'validation_level', m23.setting('scheduled_test_level'),
    'test_name', m23.name_of_run(p_plan));
  v_id   uuid;
begin
  return m23.begin_test(p_plan.tenant_id, v_test, p_plan.created_by);
exception when others or query_canceled then
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, test_name, test_type, validation_level)
    values (p_plan.tenant_id, p_plan.created_by, p_plan.id, v_test ->> 'test_name', 'scheduled', v_test ->> 'validation_level') returning id into v_id;
  perform m23.fail_test(v_id, m23.said(sqlstate, sqlerrm));
  return v_id;
end $$;

-- Following plans -----------------------------------------------------------------------

-- The plans that have waited longest, locked; those that another Worker has are passed over.
create function m23.due_plans(p_kind text, p_limit int) returns setof public.dr_plans
language plpgsql volatile rows 50 set search_path = '' as $$
declare v_now timestamptz := clock_timestamp();
begin
  if p_kind = 'backup' then
    return query select * from public.dr_plans where is_active and next_backup_date <= v_now
      order by next_backup_date limit p_limit for update skip locked;
  else
    return query select * from public.dr_plans where is_active and next_test_date <= v_now
      order by next_test_date limit p_limit for update skip locked;
  end if;
end $$;

-- Begins what a plan is due for, once for each due time. What fails is noted, and stops no other plan. Gives the work.
create function m23.begin_run(p_plan public.dr_plans, p_kind text, p_due timestamptz, p_like uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare v_work uuid;
begin
  if m23.take_run(p_plan.id, p_kind, p_due) then
    v_work := case p_kind when 'backup' then m23.run_backup(p_plan, p_like) else m23.run_test(p_plan) end;
    update m23.plan_runs set work_id = v_work where plan_id = p_plan.id and kind = p_kind and due_at = p_due;
  end if;
  return v_work;
exception when others or query_canceled then
  insert into m23.plan_runs (plan_id, kind, due_at, note) values (p_plan.id, p_kind, p_due, m23.said(sqlstate, sqlerrm))
    on conflict do nothing;
  return null;
end $$;

-- A share of what is due: of one to 50 plans, and for a second, so that a call ends within two. Gives how many plans
-- it has dealt with; none: nothing is due.
create function m23.follow_plans(p_kind text) returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
  v_count int := m23.mend_due_times();
  v_begun int := 0;
  v_plan  public.dr_plans;
  v_like  uuid;
begin
  if p_kind = 'backup' and exists (select from public.dr_plans where is_active and next_backup_date <= v_now) then
    perform m23.lock_tables(array(select relid from m23.protected_tables));  -- once, for all of them
  end if;
  for v_plan in select * from m23.due_plans(p_kind, 50) loop
    exit when v_begun > 0 and clock_timestamp() > v_until;
    if p_kind = 'backup' then
      v_like := coalesce(m23.begin_run(v_plan, p_kind, v_plan.next_backup_date, v_like), v_like);
      update public.dr_plans set next_backup_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    else
      perform m23.begin_run(v_plan, p_kind, v_plan.next_test_date, null);
      update public.dr_plans set next_test_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    end if;
    v_begun := v_begun + 1;
  end loop;
  return v_count + v_begun;
end $$;

create function public.m23_begin_scheduled_backups() returns int
language sql volatile security definer set search_path = '' set row_security = off set statement_timeout = '30s' as
$$ select m23.follow_plans('backup') $$;
comment on function public.m23_begin_scheduled_backups() is
  'For the clock: begins a share of the backups that plans say are due. '
  'Gives how many plans it dealt with, 0 when none is due.';

create function public.m23_begin_scheduled_tests() returns int
language sql volatile security definer set search_path = '' set row_security = off set statement_timeout = '30s' as
$$ select m23.follow_plans('test') $$;
comment on function public.m23_begin_scheduled_tests() is
  'For the clock: begins a share of the recovery tests that plans say are due. '
  'Gives how many plans it dealt with, 0 when none is due.';

select m23.open_to('{service_role}', 'public.m23_begin_scheduled_backups()', 'public.m23_begin_scheduled_tests()');
select m23.close_functions();
