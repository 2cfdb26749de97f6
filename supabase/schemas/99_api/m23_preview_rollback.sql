-- open to: authenticated, service_role
create function public.m23_preview_rollback(p_request_id uuid, p_rollback jsonb) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_request  m23.requests := m23.use_request(p_request_id, 'pitr-rollback', true);
  v_snapshot public.pitr_snapshots;
  v_chosen   record;
  v_detail   text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, true);
  perform m23.begin_heavy_read(v_request.tenant_id, 'preview');
  v_snapshot := m23.usable_snapshot(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid);
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  perform m23.spare_access(auth.uid(), m23.tables_of_rollback(v_snapshot, v_chosen.tables));
  return m23.preview(v_request.tenant_id, m23.snapshot_moment(v_snapshot), v_chosen.tables,
                     coalesce(p_rollback ->> 'onBlocked', 'refuse'),
                     v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_preview_rollback(uuid, jsonb) is
  'For pitr-rollback: what a rollback would do, and has not done.';
