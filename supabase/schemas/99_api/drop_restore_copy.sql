-- open to: authenticated, service_role
create function public.drop_restore_copy(p_restore_log_id uuid) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
declare
  v_copy m23.copies;
  v_kept text[];
begin
  perform m23.refuse_anonymous();
  select * into v_copy from m23.copies where restore_log_id = p_restore_log_id for update;
  if v_copy.tenant_id is null or not m23.is_member(v_copy.tenant_id) then
    perform m23.refuse('VALIDATION_FAILED', 'the copy cannot be dropped',
                       array['p_restore_log_id: no such copy in this tenant']);
  end if;
  perform m23.require_role(v_copy.tenant_id, array['owner', 'admin']);
  v_kept := m23.drop_copy(v_copy);
  perform m23.audit_done(v_copy.tenant_id, 'drop_restore_copy',
                         jsonb_build_object('id', p_restore_log_id, 'dropped', v_kept = '{}'));
  return jsonb_build_object('dropped', v_kept = '{}', 'schema', v_copy.schema_name, 'kept_by', to_jsonb(v_kept));
end $$;
comment on function public.drop_restore_copy(uuid) is
  'Drops the copy that a restore with targetSchema has made. Gives {"dropped", "schema", "kept_by"}: '
  'what others have added keeps the copy. Owner and admin.';
