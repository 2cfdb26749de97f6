-- open to: authenticated, service_role
create function public.get_active_pitr_snapshots(p_tenant_id text)
returns table (snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz, created_by uuid,
               expires_at timestamptz, affected_tables text[], restore_log_id uuid)
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select s.id, s.snapshot_name, s.snapshot_type, s.created_at, s.created_by, s.expires_at,
                      s.affected_tables, s.restore_log_id
    from public.pitr_snapshots s
   where s.tenant_id = p_tenant_id and s.status = 'active'
     and (s.expires_at is null or s.expires_at > clock_timestamp())
     and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text
     and not exists (select from m23.protected_tables t join pg_class c on c.oid = t.relid
                      where s.snapshot_data -> 'table_ids' @> to_jsonb(t.id)
                        and not pg_visible_in_snapshot(t.xid, (s.snapshot_data ->> 'position')::pg_snapshot))
   order by s.created_at desc, s.id;
end $$;
comment on function public.get_active_pitr_snapshots(text) is 'The snapshots that can be rolled back to, newest first.';
