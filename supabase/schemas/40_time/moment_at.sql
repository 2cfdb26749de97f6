-- The moment of a time: everything committed at or before it, and nothing else. Null when
-- no tick is as old as that.
create function m23.moment_at(p_at timestamptz) returns m23.moment
language plpgsql volatile as $$
declare
  v_tick     m23.ticks;
  v_position pg_snapshot;
  v_fault    text := m23.clock_fault(p_at);
begin
  if v_fault is not null then
    raise exception '%', v_fault using errcode = 'object_not_in_prerequisite_state';
  end if;
  select * into v_tick from m23.ticks
   where at <= p_at and incarnation = (select m23.incarnation()) order by at desc limit 1;
  if v_tick.at is null then
    return null;
  elsif not (v_tick.native and m23.commit_times_are_native()) then
    return m23.moment_of(v_tick.position, v_tick.at);
  end if;
  loop  -- until nobody is stamped by then and still not visible
    v_position := m23.current_position();
    exit when not exists (select from pg_snapshot_xip(v_position) x
                           where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at);
    perform pg_sleep(0.001);
  end loop;
  return m23.moment_of(v_position, p_taken => p_at, p_at => p_at, p_floor => pg_snapshot_xmin(v_tick.position));
end $$;
comment on function m23.moment_at(timestamptz) is
  'The moment of a time in the past. Where commit times are not native it is the last tick before, and its field '
  'taken says which.';
