-- open to: service_role
create function public.m23_finish_request(p_id uuid, p_status int, p_body jsonb) returns void
language sql security definer set row_security = off as
$$ update m23.requests set response_status = p_status, response_body = p_body where id = p_id $$;
comment on function public.m23_finish_request(uuid, int, jsonb) is
  'Keeps the answer of a request for a retry with the same idempotency key.';
