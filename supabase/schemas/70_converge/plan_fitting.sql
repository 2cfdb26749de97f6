-- Plans the targets whose values fit their types of now; the others are told of. Gives what m23.plan_targets says of
-- foreign keys; not where some table is not among them.
create function m23.plan_fitting(
  p_tenant text, inout targets m23.target[], p_on_blocked text, out faults text[], out blocked text[], out unfit text[]
)
language plpgsql as $$
declare
  v_plan  record;
  v_unfit int[];
  v_said  text[];
begin
  unfit := '{}';
  loop
    begin
      v_plan := m23.plan_targets(p_tenant, targets, p_on_blocked);
      targets := v_plan.targets;
      faults := case when unfit = '{}' then v_plan.faults else '{}' end;
      blocked := case when unfit = '{}' then v_plan.blocked else '{}' end;
      return;
    exception when data_exception or integrity_constraint_violation then
      select array_agg(((t).tbl).id) filter (where said <> '{}'), array_agg(s) into v_unfit, v_said
        from unnest(m23.complete_targets(m23.with_entries(p_tenant, targets))) t,
             lateral (select array(select m23.unfit_columns(t, p_tenant)) offset 0) u (said)
        left join lateral unnest(u.said) s on true;
      if v_unfit is null then raise; end if;
    end;
    targets := array(select targets[n] from generate_subscripts(targets, 1) n
                      where ((targets[n]).tbl).id <> all (v_unfit) order by n);
    unfit := unfit || array_remove(v_said, null);
  end loop;
end $$;
