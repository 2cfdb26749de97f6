-- Plans: what a tenant has promised itself. A plan is checked when it is written, every fault
-- at once, and then knows when its next backup and its next test are due.

create function m23.is_zone(p_zone text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_zone = 'UTC' or exists (select from pg_timezone_names where name = p_zone);
end $$;

create function m23.frequency_fault(p_name text, p_frequency text, p_zone text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency);
  v_distance int := m23.shortest_distance(v_calendar);
begin
  return case
    when p_frequency is null then p_name || ': is required'
    when char_length(p_frequency) > 200 then p_name || ': must have at most 200 characters'
    when v_calendar is null
      then format('%s: "%s" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly', p_name, p_frequency)
    when v_distance < 5
      then format('%s: "%s" comes %s after another; at least 5 minutes must lie between', p_name, p_frequency,
          case v_distance when 1 then 'a minute' else v_distance || ' minutes' end)
    when m23.next_run(p_frequency, p_zone, now()) is null then format('%s: "%s" never comes', p_name, p_frequency) end;
end $$;

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
    case when not zone.known then format('time_zone: "%s" is not a time zone such as Europe/Berlin',
        left(p_plan.time_zone, 100)) end,
    m23.frequency_fault('backup_frequency', p_plan.backup_frequency, zone.usable),
    m23.frequency_fault('test_frequency', p_plan.test_frequency, zone.usable)], null)
    from (select known, case when known then p_plan.time_zone else 'UTC' end from (select coalesce(m23.is_zone(p_plan.time_zone), false)) z (known)) zone (known, usable)
$$;

-- The minute of the day at which a plan comes that names no time. Its backups and its tests have one each.
create function m23.own_minute(p_plan uuid, p_kind text) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return abs(hashtextextended(p_kind || p_plan, 0) % 1440);
end $$;

-- When a plan's next backup or test is due.
create function m23.next_due(p_plan public.dr_plans, p_kind text, p_after timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
  return m23.next_run(case p_kind when 'backup' then p_plan.backup_frequency else p_plan.test_frequency end,
      p_plan.time_zone, p_after,
                      m23.own_minute(p_plan.id, p_kind));
end $$;

-- Plans are bounded, as each of them makes work. One insert of a tenant at a time, to be counted rightly; tenants share
-- 128 locks, so that one transaction can insert those of thousands.
create function m23.refuse_many_plans(p_tenant uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.plans.' || hashtextextended(p_tenant::text, 0) % 128, 0));
  if (select count(*) from public.dr_plans where tenant_id = p_tenant) >= 20 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept',
        array['tenant_id: a tenant has at most 20 plans; change one that is there']);
  end if;
end $$;

-- Row-level security looks at a new row after its triggers. So this one comes first, by its name: nothing is worked out
-- for whoever may make no plan.
create function m23.refuse_others_plans() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.tenant_id is null or new.tenant_id not in (select m23.caller_tenants(array['owner', 'admin'])) then
    raise exception 'new row violates row-level security policy for table "dr_plans"'
      using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger a_role_first before insert on public.dr_plans for each row
  when (current_user = 'authenticated') execute function m23.refuse_others_plans();

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
  if tg_op = 'INSERT' then
    perform m23.refuse_many_plans(new.tenant_id);
  end if;
  v_anew := tg_op = 'INSERT' or new.is_active and not old.is_active or new.time_zone <> old.time_zone;
  if v_anew or new.backup_frequency <> old.backup_frequency then
    new.next_backup_date := m23.next_due(new, 'backup', now());
  end if;
  if (v_anew or new.test_frequency <> old.test_frequency)
     and new.next_test_date is not distinct from (case when tg_op = 'UPDATE' then old.next_test_date end) then
    new.next_test_date := m23.next_due(new, 'test', now());
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
