-- open to: service_role
create function public.m23_abandon_request(p_id uuid) returns void
language sql security definer set row_security = off as
$$ update m23.requests set idempotency_key = null where id = p_id $$;
comment on function public.m23_abandon_request(uuid) is
  'Frees the idempotency key of a request that failed for our own reasons.';
