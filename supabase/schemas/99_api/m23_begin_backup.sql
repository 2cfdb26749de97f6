-- open to: authenticated, service_role
create function public.m23_begin_backup(p_request_id uuid, p_backup jsonb) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-create');
  v_detail  text;
begin
  perform m23.refuse_body('backup-create', p_backup);
  return m23.start_backup(m23.requested_job(v_request.tenant_id, case  -- only an incremental builds on a base
      when p_backup ->> 'jobType' <> 'incremental' then p_backup - 'baseBackupId' else p_backup end));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_backup(uuid, jsonb) is
  'For backup-create: accepts a job under an admitted request and fixes its position. A worker drives it from there.';
