-- Writes the plan, and notes for each table how many rows are known to be as planned.
create function m23.apply_targets(p_tenant text, p_targets m23.target[], p_quiet boolean) returns void
language plpgsql as $$
declare
  v_ordered m23.target[] := m23.parents_first(m23.targets_with_changes(p_targets));
  v_count   bigint;
begin
  for n in 1..cardinality(v_ordered) loop
    perform m23.lock_planned(v_ordered[n], p_tenant, p_quiet);
    perform m23.note_vanishing(v_ordered[n], p_tenant);
  end loop;
  for n in reverse cardinality(v_ordered)..1 loop
    if exists (select from m23.plan p where p.table_id = ((v_ordered[n]).tbl).id and p.deletes > 0) then
      v_count := m23.delete_diff(v_ordered[n], p_tenant, 'D', p_quiet);
      update m23.plan p set written = v_count where p.table_id = ((v_ordered[n]).tbl).id;
    end if;
  end loop;
  for n in 1..cardinality(v_ordered) loop
    perform m23.note_parents_to_come(v_ordered[n], p_tenant);
    v_count := m23.apply_table(v_ordered[n], p_tenant, p_quiet);
    update m23.plan p set written = p.written + v_count where p.table_id = ((v_ordered[n]).tbl).id;
  end loop;
end $$;
