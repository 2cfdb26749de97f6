-- Searches what has grown, what waits longest first, and begins no part after some seconds: the rest comes next time.
-- The very first look only notes where the logs end.
create function m23.search_deletes(p_budget interval default '5 seconds') returns int
language plpgsql volatile as $$
declare
  v_until timestamptz := clock_timestamp() + p_budget;
  v_first boolean := not exists (select from m23.delete_looks l where l.incarnation = (select m23.incarnation()));
  v_part  m23.grown_part;
  v_now   pg_snapshot;
  v_count int := 0;
begin
  for v_part in select * from m23.grown_parts() loop
    exit when clock_timestamp() > v_until and not v_first;
    v_now := m23.current_position();
    if v_first or m23.search_part(v_part, v_now) then
      perform m23.note_look(v_part, v_now);
      v_count := v_count + 1;
    end if;
  end loop;
  return v_count;
end $$;
comment on function m23.search_deletes(interval) is
  'For the clock: looks for mass deletes in what was logged since the last time.';
