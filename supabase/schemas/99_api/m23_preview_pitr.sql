-- Gives what a restore would do; or, where that is for the archive alone to say, work for the
-- caller to drive first: it ends with the same.
-- open to: authenticated, service_role
create function public.m23_preview_pitr(p_request_id uuid, p_restore jsonb) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-restore', true);
  v_work    m23.restore_work;
  v_detail  text;
begin
  perform m23.refuse_body('pitr-restore', p_restore, true);
  p_restore := m23.with_choice(p_restore);
  perform m23.begin_heavy_read(v_request.tenant_id, 'preview');
  v_work := m23.pitr_work(v_request.tenant_id, p_restore);
  return coalesce(m23.look_at_pitr(v_work, p_restore), m23.begin_work(v_work)::jsonb);
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_preview_pitr(uuid, jsonb) is
  'For pitr-restore: what a restore would do, and has not done.';
