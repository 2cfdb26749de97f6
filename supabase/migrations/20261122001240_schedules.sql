-- Schedules: every minute the clock begins what plans say is due, each due time once, whoever
-- wakes. After an outage what was missed is made up for once. Scheduled work is not counted.

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

-- A time that a clock which was ahead has taken is still to come, and what was put off by that clock is
-- due by the one of now; so is a test whose time was taken away.
create function m23.mend_due_times() returns void
language sql volatile set search_path = '' as $$
  with ahead as (delete from m23.plan_runs where due_at > clock_timestamp() returning plan_id),
       old as (delete from m23.plan_runs where due_at < clock_timestamp() - interval '30 days')
  update public.dr_plans p
     set next_backup_date = least(p.next_backup_date, m23.next_run(p.backup_frequency, p.time_zone, clock_timestamp())),
         next_test_date = least(p.next_test_date, m23.next_run(p.test_frequency, p.time_zone, clock_timestamp()))
   where p.is_active and (p.next_test_date is null or p.id in (select plan_id from ahead))
$$;

-- Backups -----------------------------------------------------------------------------

-- What a scheduled incremental can build on: the newest whole backup whose chain can be read and
-- is not too long, as far as the log still knows what has changed since.
create function m23.scheduled_parent(p_tenant uuid) returns uuid
language sql volatile set search_path = '' as $$
  select j.id
    from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
   where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null and j.job_type <> 'snapshot' and j.tables is null
     and m23.chain_fault(j) is null and m23.gaps_since(w, null) = '{}'
     and (select c.created_at from m23.chain_of(j.id) c limit 1) > clock_timestamp() - make_interval(days => m23.setting('full_every_days')::int)
   order by j.completed_at desc, j.id limit 1
$$;

-- The request of a plan's next backup: a full one where none is there to build on; between full
-- ones an incremental or a snapshot, where the plan has them.
create function m23.scheduled_backup(p_plan public.dr_plans) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare v_parent uuid := m23.scheduled_parent(p_plan.tenant_id);
begin
  return jsonb_strip_nulls(jsonb_build_object(
    'backupName', format('%s %s', left(p_plan.plan_name, 150), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')),
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
  return 'it could not be begun; the database''s log tells why';
end $$;

create function m23.run_backup(p_plan public.dr_plans) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_job public.backup_jobs;
begin
  if exists (select from m23.plan_runs r join public.backup_jobs j on j.id = r.work_id
              where r.plan_id = p_plan.id and r.kind = 'backup' and j.status in ('pending', 'in_progress')) then
    update m23.plan_runs set note = 'the backup before it was still running' where plan_id = p_plan.id and kind = 'backup' and due_at = p_plan.next_backup_date;
    return;
  end if;
  v_job := m23.new_backup_job(p_plan.tenant_id, m23.scheduled_backup(p_plan));
  update public.backup_jobs set created_by = p_plan.created_by, metadata = metadata || jsonb_build_object('dr_plan_id', p_plan.id) where id = v_job.id returning * into v_job;
  update m23.plan_runs set work_id = v_job.id where plan_id = p_plan.id and kind = 'backup' and due_at = p_plan.next_backup_date;
  begin
    perform m23.start_backup(v_job);
  exception when others then
    perform m23.fail_backup(v_job.id, m23.said(sqlstate, sqlerrm));
  end;
end $$;

create function public.m23_begin_scheduled_backups() returns int
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_plan  public.dr_plans;
  v_count int := 0;
begin
  perform m23.mend_due_times();
  if exists (select from public.dr_plans where is_active and next_backup_date <= clock_timestamp()) then
    perform m23.lock_tables(array(select relid from m23.protected_tables));  -- once, for all of them
  end if;
  for v_plan in select * from public.dr_plans where is_active and next_backup_date <= clock_timestamp() order by next_backup_date for update skip locked loop
    if m23.take_run(v_plan.id, 'backup', v_plan.next_backup_date) then
      perform m23.run_backup(v_plan);
      v_count := v_count + 1;
    end if;
    update public.dr_plans set next_backup_date = m23.next_run(backup_frequency, time_zone, clock_timestamp()) where id = v_plan.id;
  end loop;
  return v_count;
end $$;
comment on function public.m23_begin_scheduled_backups() is 'For the clock: begins the backups that plans say are due; gives how many.';

-- Tests -------------------------------------------------------------------------------

-- A test that cannot begin stands there as one that failed, with its reason.
create function m23.run_test(p_plan public.dr_plans) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_test jsonb := jsonb_build_object('dr_plan_id', p_plan.id, 'test_type', 'scheduled', 'validation_level', m23.setting('scheduled_test_level'),
    'test_name', format('%s %s', left(p_plan.plan_name, 150), to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')));
  v_id   uuid;
begin
  return m23.begin_test(p_plan.tenant_id, v_test, p_plan.created_by);
exception when others then
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, test_name, test_type, validation_level)
    values (p_plan.tenant_id, p_plan.created_by, p_plan.id, v_test ->> 'test_name', 'scheduled', v_test ->> 'validation_level') returning id into v_id;
  perform m23.fail_test(v_id, m23.said(sqlstate, sqlerrm));
  return v_id;
end $$;

create function public.m23_begin_scheduled_tests() returns int
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_plan  public.dr_plans;
  v_count int := 0;
begin
  perform m23.mend_due_times();
  for v_plan in select * from public.dr_plans where is_active and next_test_date <= clock_timestamp() order by next_test_date for update skip locked loop
    if m23.take_run(v_plan.id, 'test', v_plan.next_test_date) then
      update m23.plan_runs set work_id = m23.run_test(v_plan) where plan_id = v_plan.id and kind = 'test' and due_at = v_plan.next_test_date;
      v_count := v_count + 1;
    end if;
    update public.dr_plans set next_test_date = m23.next_run(test_frequency, time_zone, clock_timestamp()) where id = v_plan.id;
  end loop;
  perform m23.note_health_daily();
  return v_count;
end $$;
comment on function public.m23_begin_scheduled_tests() is
  'For the clock: begins the recovery tests that plans say are due, and notes the health of the day; gives how many tests.';

select m23.open_to('{service_role}', 'public.m23_begin_scheduled_backups()', 'public.m23_begin_scheduled_tests()');
select m23.close_functions();
