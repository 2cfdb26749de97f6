-- The rollback in one call, for supabase.rpc. It is counted in the window of pitr-rollback.
-- open to: authenticated, service_role
create function public.execute_pitr_rollback(
  p_snapshot_id uuid, p_initiated_by uuid, p_reason text default null
) returns uuid
language plpgsql volatile security definer set row_security = off set statement_timeout = '1h' as $$
declare
  v_tenant  text := (select s.tenant_id from public.pitr_snapshots s where s.id = p_snapshot_id);
  v_begun   json;
  v_outcome json;
begin
  if not m23.is_service() then
    perform m23.refuse_anonymous();
    if not m23.is_member(v_tenant) then
      perform m23.refuse('SNAPSHOT_NOT_FOUND', 'no such active snapshot in this tenant');
    end if;
    perform m23.require_role(v_tenant, array['owner', 'admin']);
    perform m23.require_self(p_initiated_by, 'p_initiated_by');
    if char_length(p_reason) > 2000 then
      perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
                         array['p_reason: must have at most 2000 characters']);
    end if;
    perform m23.count_call(v_tenant, auth.uid(), 'pitr-rollback');
  end if;
  v_begun := m23.begin_rollback(v_tenant, p_snapshot_id, p_initiated_by, p_reason);
  v_outcome := public.m23_execute_restore((v_begun ->> 'work_id')::uuid, (v_begun ->> 'lease')::uuid);
  if v_outcome -> 'error' is not null then
    perform m23.refuse(v_outcome -> 'error' ->> 'code', v_outcome -> 'error' ->> 'message',
                       m23.list_of((v_outcome -> 'error' -> 'details')::jsonb));
  end if;
  perform m23.audit_done(v_tenant, 'execute_pitr_rollback',
                         jsonb_build_object('id', v_begun ->> 'work_id', 'snapshot_id', p_snapshot_id));
  return (v_begun ->> 'work_id')::uuid;
end $$;
comment on function public.execute_pitr_rollback(uuid, uuid, text) is
  'Rolls back to a snapshot and gives the rollback''s id. Owner and admin; counted with pitr-rollback.';
