create function m23.set_default_plan(p_plan jsonb) returns void
language plpgsql as $$
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
