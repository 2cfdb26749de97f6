-- Brings capture, log and history up to what a command has made of a table.
create function m23.bring_up_to_date(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_obstacle m23.obstacle := m23.obstacle_of(p_table);
begin
  if v_obstacle.kind is not null then
    perform m23.suspend_capture(p_table, v_obstacle.kind);
    return;
  elsif m23.is_unwritten_since(p_table) then
    p_table := m23.resume_history(p_table);  -- a key that is another one by now begins a new history below
  elsif p_table.suspended is not null then
    p_table := m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended);
  elsif m23.was_off(p_table, true) then
    -- What this command has done to the triggers is put right before anybody can write.
    p_table := m23.begin_history(p_table, 'capture was switched off');
  end if;
  perform m23.write_capture(p_table);
end $$;
