-- open to: authenticated, service_role
create function public.m23_begin_rollback(p_request_id uuid, p_rollback jsonb) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-rollback');
  v_detail  text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, false);
  return m23.begin_rollback(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid, auth.uid(),
                            p_rollback ->> 'reason', p_rollback ->> 'planHash', p_rollback ->> 'onBlocked');
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_rollback(uuid, jsonb) is
  'For pitr-rollback: accepts a rollback under an admitted request.';
