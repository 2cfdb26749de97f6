-- Constraints that wait for the commit are checked now, while a hook can still be named.
create function m23.check_hooks(p_called text[]) returns void
language plpgsql as $$
declare
  v_state   text;
  v_message text;
begin
  begin
    set constraints all immediate;
    return;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(array_to_string(p_called, ', '), v_state, v_message);
end $$;
