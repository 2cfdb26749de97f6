-- What is said of the triggers of tables that will be written: those that fire although triggers are silenced, or those
-- that cannot be.
create function m23.trigger_sentences(p_targets m23.target[], p_silenced boolean) returns text[]
language plpgsql as $$
declare
  v_target m23.target;
  v_loud   text;
  v_said   text[] := '{}';
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    v_loud := nullif(array_to_string(m23.loud_triggers(v_target.tbl, p_silenced), ', '), '');
    continue when v_loud is null;
    v_said := v_said || format(case
        when p_silenced then '%s: the triggers %s are set to fire always: a restore sets them off, too'
        else 'tables: "%s" has triggers (%s) that this server does not let M23 silence' end,
      m23.public_name((v_target.tbl).relid), v_loud);
  end loop;
  return v_said;
end $$;
