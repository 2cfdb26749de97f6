-- Heavy reads: they look at all that a tenant has changed, and hold a connection meanwhile. Of a user one of a kind
-- runs at a time, of a tenant three. Others wait for 2 s, as long as a tenant has six of both and no more; whatever
-- is beyond that is refused at once. Places are locks: whatever becomes of a read, its place is free when it ends.

-- Takes one of so many places until the end of the transaction, if one is free.
create function m23.take_place(p_name text, p_places int) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  for n in 1..p_places loop
    if pg_try_advisory_xact_lock(hashtextextended(concat_ws('.', 'm23.read', p_name, n), 0)) then return true; end if;
  end loop;
  return false;
end $$;

-- Begins a heavy read in the caller's name. The service key is not metered.
create function m23.begin_heavy_read(p_tenant uuid, p_kind text) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_user     uuid := auth.uid();
  v_deadline timestamptz := clock_timestamp() + interval '2 seconds';
begin
  if v_user is null then return; end if;
  if m23.take_place('tenant and waiting.' || p_tenant, 6) then
    loop
      if m23.take_place(concat_ws('.', v_user, p_kind), 1) and m23.take_place('tenant.' || p_tenant, 3) then
        return;
      end if;
      exit when clock_timestamp() >= v_deadline;
      perform pg_sleep(0.05);
    end loop;
  end if;
  perform m23.refuse('UNAVAILABLE', 'other reads of this kind are under way in this tenant; try again shortly',
                     p_retry_after => 2);
end $$;

select m23.close_functions();
