-- Plans: what a tenant has promised itself. A plan is checked when it is written, every fault
-- at once, and then knows when its next backup and its next test are due.

create function m23.is_zone(p_zone text) returns boolean
language sql stable set search_path = '' as
$$ select p_zone = 'UTC' or exists (select from pg_timezone_names where name = p_zone) $$;

create function m23.frequency_fault(p_name text, p_frequency text, p_zone text) returns text
language sql stable set search_path = '' as $$
  select case
    when p_frequency is null then p_name || ': is required'
    when m23.calendar_of(p_frequency) is null
      then format('%s: "%s" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly', p_name, p_frequency)
    when m23.next_run(p_frequency, p_zone, now()) is null then format('%s: "%s" never comes', p_name, p_frequency) end
$$;

create function m23.plan_faults(p_plan public.dr_plans) returns text[]
language sql stable set search_path = '' as $$
  select array_remove(array[
    case when coalesce(char_length(p_plan.plan_name), 0) not between 1 and 200 then 'plan_name: must have 1 to 200 characters' end,
    case when char_length(p_plan.description) > 2000 then 'description: must have at most 2000 characters' end,
    case when p_plan.rto_minutes between 1 and 52560000 then null else 'rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when p_plan.rpo_minutes between 1 and 52560000 then null else 'rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when not coalesce(cardinality(p_plan.backup_types) > 0 and p_plan.backup_types <@ array['full', 'incremental', 'snapshot'], false)
      then 'backup_types: must name one or more of full, incremental, snapshot' end,
    case when p_plan.retention_days between 1 and 36500 then null else 'retention_days: must be a number of days, from 1 to 36500 (a hundred years)' end,
    case when not zone.known then format('time_zone: "%s" is not a time zone such as Europe/Berlin', p_plan.time_zone) end,
    m23.frequency_fault('backup_frequency', p_plan.backup_frequency, zone.usable),
    m23.frequency_fault('test_frequency', p_plan.test_frequency, zone.usable)], null)
    from (select known, case when known then p_plan.time_zone else 'UTC' end from (select coalesce(m23.is_zone(p_plan.time_zone), false)) z (known)) zone (known, usable)
$$;

-- A plan that is new, switched on again, or has another frequency or zone is due from now on;
-- its first test when it says so itself.
create function m23.check_plan() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[] := m23.plan_faults(new);
  v_anew   boolean;
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept as it is', v_faults);
  end if;
  v_anew := tg_op = 'INSERT' or new.is_active and not old.is_active or new.time_zone <> old.time_zone;
  if v_anew or new.backup_frequency <> old.backup_frequency then
    new.next_backup_date := m23.next_run(new.backup_frequency, new.time_zone, now());
  end if;
  if (v_anew or new.test_frequency <> old.test_frequency)
     and new.next_test_date is not distinct from (case when tg_op = 'UPDATE' then old.next_test_date end) then
    new.next_test_date := m23.next_run(new.test_frequency, new.time_zone, now());
  end if;
  return new;
end $$;
create trigger check_plan before insert or update of plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
  retention_days, test_frequency, is_active, time_zone on public.dr_plans for each row execute function m23.check_plan();

-- The plan that a request names. Another tenant's looks exactly like a missing one.
create function m23.usable_plan(p_tenant uuid, p_plan uuid) returns public.dr_plans
language plpgsql stable set search_path = '' as $$
declare v_plan public.dr_plans;
begin
  select * into v_plan from public.dr_plans where id = p_plan and tenant_id = p_tenant;
  if p_plan is not null and v_plan.is_active is not true then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be used',
      array[case when v_plan.id is null then 'dr_plan_id: no such plan in this tenant' else 'dr_plan_id: this plan is not active' end]);
  end if;
  return v_plan;
end $$;

-- The newest completed backup that a plan covers, or without a plan the tenant's newest.
create function m23.covered_backup(p_tenant uuid, p_plan public.dr_plans) returns uuid
language sql stable set search_path = '' as $$
  select j.id from public.backup_jobs j
   where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null and (p_plan.id is null or j.job_type = any (p_plan.backup_types))
   order by j.completed_at desc, j.id limit 1
$$;

select m23.close_functions();
