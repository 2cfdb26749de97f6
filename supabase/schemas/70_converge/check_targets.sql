-- Checks what was written: foreign keys in both directions, deferrable constraints, then that nothing differs from the
-- plan any more. What breaks a foreign key has come since the plan, which is made anew if blocked rows are not to be
-- refused. Takes sequences past the rows that came back. p_since: the log's place before the writing.
create function m23.check_targets(
  p_tenant text, p_targets m23.target[], p_chosen m23.target[], p_since pg_lsn, p_quiet boolean,
  p_on_blocked text
) returns void
language plpgsql as $$
declare
  v_changed m23.target[] := m23.targets_with_changes(p_targets);
  v_target  m23.target;
  v_faults  text[] := '{}';
  v_blocked text[] := '{}';
begin
  foreach v_target in array v_changed loop
    select * into v_faults, v_blocked from m23.check_parents(p_targets, v_target, v_faults, v_blocked);
    select * into v_faults, v_blocked from m23.check_children(p_targets, v_target, v_faults, v_blocked);
    perform m23.check_deferrable(v_target, p_tenant);
  end loop;
  if p_on_blocked <> 'refuse' and v_faults || v_blocked <> '{}' then
    raise exception 'rows that others need have gone meanwhile' using errcode = 'lock_not_available';
  elsif cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_faults);
  end if;
  perform m23.refuse_blocked(v_blocked);
  foreach v_target in array v_changed loop
    -- The defaults of a deep test's copies name the live tables' sequences.
    continue when not exists (select from m23.protected_tables t where t.relid = (v_target.tbl).relid);
    perform m23.advance_sequences((v_target.tbl).relid, v_target.columns, m23.diff_name(v_target.tbl), '');
  end loop;
  foreach v_target in array p_targets loop
    perform m23.refuse_difference(v_target, p_tenant) where not m23.is_as_written(v_target.tbl, p_tenant, p_since);
  end loop;
  if not (select bool_and(m23.writes_as_planned((t).tbl, p_quiet)) from unnest(v_changed) t) then
    perform m23.refuse_difference(t, p_tenant) from unnest(m23.written_beside(p_tenant, p_targets, p_chosen)) t;
  end if;
end $$;
