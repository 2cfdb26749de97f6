-- Switches the capture of a table on again, or notes what stands in its way. It waits for a lock only
-- shortly: there is a next time.
create function m23.renew_capture(p_table m23.protected_tables) returns boolean
language plpgsql volatile as $$
declare v_obstacle m23.obstacle := m23.obstacle_of(p_table);
begin
  perform set_config('lock_timeout', '200ms', true);
  if v_obstacle.kind is null then
    perform m23.protect_table(p_table.relid);
    return true;
  elsif p_table.suspended is null then
    perform m23.suspend_capture(p_table, v_obstacle.kind);
  end if;
  return false;
exception when others then
  raise log 'm23: the capture of % was not renewed: % (%)', p_table.name, sqlerrm, sqlstate;
  return false;
end $$;
