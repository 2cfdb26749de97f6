-- open to: authenticated, service_role
create function public.m23_begin_test(p_request_id uuid, p_test jsonb) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'recovery-test');
  v_detail  text;
begin
  perform m23.refuse_body('recovery-test', p_test);
  return to_json(m23.begin_test(v_request.tenant_id, p_test, auth.uid()));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_test(uuid, jsonb) is
  'For recovery-test: accepts a test under an admitted request, and gives its id. A worker drives it from there.';
