-- The default plan: what a tenant gets that has never had a plan. Off until the operator sets it.

insert into m23.settings (name, value, about) values
  ('default_plan', '', 'the plan of a tenant that never had one, as JSON; set by m23.set_default_plan; empty: none');

-- The default plan as a tenant's plan. p_plan: the fields that are set.
create function m23.default_plan(p_tenant text, p_plan jsonb) returns public.dr_plans
language plpgsql volatile as $$
begin
  return jsonb_populate_record(null::public.dr_plans,
    jsonb_build_object('plan_name', 'default', 'backup_types', array['full'], 'retention_days', 30, 'time_zone', 'UTC')
    || p_plan
    || jsonb_build_object('id', gen_random_uuid(), 'tenant_id', p_tenant, 'is_active', true,
                          'created_at', clock_timestamp()));
end $$;

-- A tenant that has switched its plan off has had one; one that was forgotten is not taken up again by itself.
create function m23.give_default_plan(p_tenant text) returns void
language plpgsql volatile as $$
declare v_plan text := m23.setting('default_plan');
begin
  if v_plan <> '' and not exists (select from public.dr_plans where tenant_id = p_tenant)
     and not exists (select from m23.forgotten where tenant_id = p_tenant) then
    insert into public.dr_plans select * from m23.default_plan(p_tenant, v_plan::jsonb);
  end if;
end $$;
