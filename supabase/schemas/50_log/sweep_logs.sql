-- Who is at it already does it.
create function m23.sweep_logs() returns bigint
language plpgsql as $$
begin
  return case when pg_try_advisory_xact_lock(m23.prune_key()) then m23.prune_logs() end;
end $$;
