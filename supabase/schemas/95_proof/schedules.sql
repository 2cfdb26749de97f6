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
  primary key (plan_id, kind, due_at),
  constraint became_work_or_says_why check (work_id is null or note is null)
);
create index plan_runs_due on m23.plan_runs (due_at);
select m23.close_table('m23.plan_runs');
comment on table m23.plan_runs is 'What plans have begun, and when it was due.';

-- Takes a due time for oneself; false when somebody else has it.
create function m23.take_run(p_plan uuid, p_kind text, p_due timestamptz) returns boolean
language plpgsql as $$
begin
  insert into m23.plan_runs (plan_id, kind, due_at) values (p_plan, p_kind, p_due) on conflict do nothing;
  return found;
end $$;

-- When a plan is due after now. One whose time cannot be worked out any more, as its zone is gone from the server,
-- is looked at again in an hour.
create function m23.due_anew(p_plan public.dr_plans, p_kind text) returns timestamptz
language plpgsql volatile as $$
begin
  return m23.next_due(p_plan, p_kind, clock_timestamp());
exception when others then
  raise log 'm23: plan % has no next %: % (%)', p_plan.id, p_kind, sqlerrm, sqlstate;
  return clock_timestamp() + interval '1 hour';
end $$;

-- Why something scheduled could not begin, in one line. A fault of ours is told by the server's
-- log, and keeps nobody else's plan from being followed.
create function m23.said(p_state text, p_message text) returns text
language plpgsql as $$
begin
  if p_state = 'PGRST' then
    return (select concat_ws(': ', m ->> 'message',
                             (select string_agg(d, '; ') from json_array_elements_text((m ->> 'details')::json) d))
              from (select p_message::json) x (m));
  end if;
  raise log 'm23: a plan could not be followed: % (%)', p_message, p_state;
  return case p_state when '57014' then 'it took too long to begin' else
      'it could not be begun; the database''s log tells why' end;
end $$;

-- What a scheduled backup or test is called.
create function m23.name_of_run(p_plan public.dr_plans) returns text
language sql volatile as
$$ select format('%s %s', left(p_plan.plan_name, 150), to_char(clock_timestamp() at time zone 'UTC',
    'YYYY-MM-DD HH24:MI:SS "UTC"')) $$;

-- Makes the row of a backup that a plan begins; gives it.
create function m23.planned_job(p_plan public.dr_plans, p_backup jsonb) returns public.backup_jobs
language plpgsql volatile as $$
declare v_job public.backup_jobs := m23.new_backup_job(p_plan.tenant_id, p_backup);
begin
  update public.backup_jobs set created_by = p_plan.created_by,
         metadata = metadata || jsonb_build_object('dr_plan_id', p_plan.id)
   where id = v_job.id returning * into v_job;
  return v_job;
end $$;

-- A test that cannot begin stands there as one that failed, with its reason.
create function m23.run_test(p_plan public.dr_plans) returns uuid
language plpgsql volatile as $$
declare
  v_test jsonb := jsonb_build_object(
    'dr_plan_id', p_plan.id, 'test_type', 'scheduled', 'test_name', m23.name_of_run(p_plan),
    'validation_level', m23.setting('scheduled_test_level'));
  v_id   uuid;
begin
  return m23.begin_test(p_plan.tenant_id, v_test, p_plan.created_by);
exception when others or query_canceled then
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, test_name, test_type, validation_level)
    values (p_plan.tenant_id, p_plan.created_by, p_plan.id, v_test ->> 'test_name', 'scheduled',
            v_test ->> 'validation_level') returning id into v_id;
  perform m23.fail_test(v_id, m23.said(sqlstate, sqlerrm));
  return v_id;
end $$;

-- The plans that have waited longest, locked; those that another Worker has are passed over.
create function m23.due_plans(p_kind text, p_limit int) returns setof public.dr_plans
language plpgsql volatile rows 50 as $$
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
language plpgsql volatile as $$
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
