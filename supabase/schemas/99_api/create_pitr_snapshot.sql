-- open to: authenticated, service_role
create function public.create_pitr_snapshot(
  p_tenant_id text, p_snapshot_name text, p_affected_tables text[], p_created_by uuid,
  p_restore_log_id uuid default null
) returns uuid
language plpgsql volatile security definer set row_security = off as $$
declare
  v_faults text[];
  v_id     uuid;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  perform m23.require_self(p_created_by, 'p_created_by');
  v_faults := m23.table_faults(p_affected_tables)
    || case when p_affected_tables = '{}' then array['p_affected_tables: is empty; leave it out for all tables']
            else '{}' end;
  if p_restore_log_id is not null
     and not exists (select from public.restore_logs where id = p_restore_log_id and tenant_id = p_tenant_id) then
    v_faults := v_faults || 'p_restore_log_id: no such restore in this tenant'::text;
  end if;
  if coalesce(char_length(p_snapshot_name), 0) not between 1 and 200 then
    v_faults := v_faults || 'p_snapshot_name: must have 1 to 200 characters'::text;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the snapshot cannot be made as asked', v_faults);
  end if;
  v_id := m23.new_snapshot(p_tenant_id, p_snapshot_name, 'manual',
    m23.public_names(m23.chosen_tables(p_affected_tables, false)), p_created_by, p_restore_log_id);
  perform m23.audit_done(p_tenant_id, 'create_pitr_snapshot', jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.create_pitr_snapshot(text, text, text[], uuid, uuid) is
  'A manual snapshot of this moment, for pitr-rollback; p_affected_tables null means every protected table. '
  'Owner, admin, operator.';
