-- Plans: what a tenant has promised itself. A plan is checked when it is written, every fault
-- at once, and then knows when its next backup and its next test are due.

-- Whether the server knows a time zone.
create function m23.is_zone(p_zone text) returns boolean
language plpgsql stable as $$
begin
  return p_zone = 'UTC' or exists (select from pg_timezone_names where name = p_zone);
end $$;

-- The minute of the day at which a plan comes that names no time. Its backups and its tests have one each.
create function m23.own_minute(p_plan uuid, p_kind text) returns int
language plpgsql immutable as $$
begin
  return abs(hashtextextended(p_kind || p_plan, 0) % 1440);
end $$;

-- When a plan's next backup or test is due.
create function m23.next_due(p_plan public.dr_plans, p_kind text, p_after timestamptz) returns timestamptz
language plpgsql stable as $$
begin
  return m23.next_run(case p_kind when 'backup' then p_plan.backup_frequency else p_plan.test_frequency end,
      p_plan.time_zone, p_after,
                      m23.own_minute(p_plan.id, p_kind));
end $$;

-- Plans are bounded, as each of them makes work. One insert of a tenant at a time, to be counted rightly; tenants share
-- 128 locks, so that one transaction can insert those of thousands.
create function m23.refuse_many_plans(p_tenant text) returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.plans.' || hashtextextended(p_tenant, 0) % 128, 0));
  if (select count(*) from public.dr_plans where tenant_id = p_tenant) >= 20 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept',
        array['tenant_id: a tenant has at most 20 plans; change one that is there']);
  end if;
end $$;

-- Row-level security looks at a new row after its triggers. So this one comes first, by its name: nothing is worked out
-- for whoever may make no plan.
create function m23.refuse_others_plans() returns trigger
language plpgsql as $$
begin
  if new.tenant_id is null or new.tenant_id not in (select m23.caller_tenants(array['owner', 'admin'])) then
    raise exception 'new row violates row-level security policy for table "dr_plans"'
      using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;

create trigger a_role_first before insert on public.dr_plans for each row
  when (current_user = 'authenticated') execute function m23.refuse_others_plans();

create trigger check_plan
  before insert or update of plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
    retention_days, test_frequency, is_active, time_zone
  on public.dr_plans for each row execute function m23.check_plan();

-- The plan that a request names. Another tenant's looks exactly like a missing one.
create function m23.usable_plan(p_tenant text, p_plan uuid) returns public.dr_plans
language plpgsql stable as $$
declare v_plan public.dr_plans;
begin
  select * into v_plan from public.dr_plans where id = p_plan and tenant_id = p_tenant;
  if p_plan is not null and v_plan.is_active is not true then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be used',
      array[case when v_plan.id is null then 'dr_plan_id: no such plan in this tenant'
                 else 'dr_plan_id: this plan is not active' end]);
  end if;
  return v_plan;
end $$;

-- The newest completed backup that a plan covers, or without a plan the tenant's newest.
create function m23.covered_backup(p_tenant text, p_plan public.dr_plans) returns uuid
language sql stable as $$
  select j.id from public.backup_jobs j
   where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null
     and (p_plan.id is null or j.job_type = any (p_plan.backup_types))
   order by j.completed_at desc, j.id limit 1
$$;
