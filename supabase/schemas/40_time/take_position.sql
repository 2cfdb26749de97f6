-- A position and the time that tells it from all others: whatever the position sees was
-- committed by then, whatever it does not see is committed later. A transaction is stamped a
-- little before it becomes visible; one that gets in between makes it begin again.
create function m23.take_position(out here pg_snapshot, out at timestamptz)
language plpgsql volatile as $$
begin
  for n in 1..1000 loop
    here := m23.current_position();
    at := clock_timestamp();
    if not m23.commit_times_are_native() then
      insert into m23.ticks (at, position, incarnation, native)
        values (take_position.at, here, m23.incarnation(), false);
      return;
    elsif m23.is_stamped_apart(here, at) then
      perform pg_sleep(0.002);  -- whoever has a time writes it down at once
      if m23.is_stamped_apart(here, at) then return; end if;
    end if;
  end loop;
  perform m23.refuse('UNAVAILABLE', 'so many transactions end at once that no moment lies between them; try again');
end $$;
