-- Heavy reads: they look at all that a tenant has changed, and hold a connection meanwhile. Of a user one of a kind
-- runs at a time, of a tenant three. Others wait for 2 s, as long as a tenant has six of both and no more; whatever
-- is beyond that is refused at once. Places are locks: whatever becomes of a read, its place is free when it ends.

-- Takes one of so many places until the end of the transaction, if one is free.
create function m23.take_place(p_name text, p_places int) returns boolean
language plpgsql volatile as $$
begin
  for n in 1..p_places loop
    if pg_try_advisory_xact_lock(hashtextextended(concat_ws('.', 'm23.read', p_name, n), 0)) then return true; end if;
  end loop;
  return false;
end $$;
