-- The default plan: what a tenant gets that has never had a plan. Off until the operator sets it.

insert into m23.settings (name, value, about) values
  ('default_plan', '', 'the plan of a tenant that never had one, as JSON; set by m23.set_default_plan; empty: none');

create function m23.default_plan(p_tenant uuid, p_plan jsonb) returns public.dr_plans
language plpgsql volatile set search_path = '' as $$
begin
  return jsonb_populate_record(null::public.dr_plans,
    jsonb_build_object('plan_name', 'default', 'backup_types', array['full'], 'retention_days', 30, 'time_zone', 'UTC')
    || p_plan
    || jsonb_build_object('id', gen_random_uuid(), 'tenant_id', p_tenant, 'is_active', true,
                          'created_at', clock_timestamp()));
end $$;

create function m23.set_default_plan(p_plan jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_faults text[] := array(
    select format('%s: is no column of a plan that can be set', k) from jsonb_object_keys(coalesce(p_plan, '{}')) k
     where k <> all (array['plan_name', 'description', 'rto_minutes', 'rpo_minutes', 'backup_frequency', 'backup_types',
                           'retention_days', 'test_frequency', 'time_zone']))
    || case when p_plan is not null then m23.plan_faults(m23.default_plan(null, p_plan)) else '{}' end;
begin
  if cardinality(v_faults) > 0 then
    raise exception 'that cannot be the default plan: %', array_to_string(v_faults, '; ') using errcode
        = 'invalid_parameter_value';
  end if;
  update m23.settings set value = coalesce(p_plan::text, '') where name = 'default_plan';
end $$;
comment on function m23.set_default_plan(jsonb) is
  'Sets the plan that every tenant gets which has never had one, by the columns of dr_plans: '
  'm23.set_default_plan(''{"rto_minutes": 60, "rpo_minutes": 1440, "backup_frequency": "daily", '
  '"test_frequency": "weekly"}''). Null: none.';

-- A tenant that has switched its plan off has had one; one that was forgotten is not taken up again by itself.
create function m23.give_default_plan(p_tenant uuid) returns void
language plpgsql volatile set search_path = '' as $$
declare v_plan text := m23.setting('default_plan');
begin
  if v_plan <> '' and not exists (select from public.dr_plans where tenant_id = p_tenant)
     and not exists (select from m23.forgotten where tenant_id = p_tenant) then
    insert into public.dr_plans select (m23.default_plan(p_tenant, v_plan::jsonb)).*;
  end if;
end $$;

select m23.close_functions();
