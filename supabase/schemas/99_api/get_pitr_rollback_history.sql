-- open to: authenticated, service_role
create function public.get_pitr_rollback_history(p_tenant_id text, p_limit int default 50)
returns table (rollback_id uuid, snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz,
               completed_at timestamptz, created_by uuid,
               reason text, status text, error_message text, affected_tables text[], rows_restored bigint,
               warnings text[], pre_rollback_snapshot_id uuid)
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select r.id, r.snapshot_id, s.snapshot_name, s.snapshot_type, r.created_at, r.completed_at, r.created_by,
                      r.reason, r.status, r.error_message, r.affected_tables, r.rows_restored, r.warnings,
                      r.pre_rollback_snapshot_id
    from public.pitr_rollbacks r join public.pitr_snapshots s on s.id = r.snapshot_id
   where r.tenant_id = p_tenant_id order by r.created_at desc, r.id limit greatest(p_limit, 0);
end $$;
comment on function public.get_pitr_rollback_history(text, int) is 'The rollbacks of a tenant, newest first.';
