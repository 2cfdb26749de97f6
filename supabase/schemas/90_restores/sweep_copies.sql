-- Drops copies that have expired; gives how many.
create function m23.sweep_copies() returns int
language plpgsql volatile as $$
declare
  v_until   timestamptz := clock_timestamp() + interval '1 second';  -- the rest in a minute
  v_copy    m23.copies;
  v_dropped int := 0;
begin
  for v_copy in
    select * from m23.copies where expires_at < clock_timestamp() order by expires_at for update skip locked
  loop
    exit when clock_timestamp() > v_until;
    begin
      if m23.drop_copy(v_copy) = '{}' then v_dropped := v_dropped + 1; end if;
    exception when others then
      raise log 'm23: the copy % could not be dropped: % (%)', v_copy.schema_name, sqlerrm, sqlstate;
    end;
  end loop;
  return v_dropped;
end $$;
