-- A lock that a hook did not get is not its failure: the restore holds the fence, waits for
-- nobody and tries again.
create function m23.call_hook(p_hook m23.after_restore_hooks, p_tenant text, p_changes jsonb) returns text
language plpgsql as $$
declare
  v_name    text := format('%I.%I', p_hook.schema_name, p_hook.function_name);
  v_fault   text := m23.hook_fault(p_hook.schema_name, p_hook.function_name);
  v_state   text;
  v_message text;
begin
  if v_fault is not null then
    perform m23.refuse_hook(v_name, 'no hook', 'it ' || v_fault);
  end if;
  begin
    execute format('select %s($1, $2)', v_name) using p_tenant, p_changes;
    return v_name;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(v_name, v_state, v_message);
end $$;
