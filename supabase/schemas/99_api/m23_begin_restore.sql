-- open to: authenticated, service_role
create function public.m23_begin_restore(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-restore');
  v_detail  text;
begin
  perform m23.refuse_body('backup-restore', p_restore);
  return m23.begin_restore(v_request.tenant_id, p_restore);
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_restore(uuid, jsonb) is
  'For backup-restore: accepts a restore under an admitted request, and gives what the worker has to read.';
