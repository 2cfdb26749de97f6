-- The service: whoever has the service key calls the five functions for a tenant that it names. Nobody
-- need be a member any more: what M23 knows of a tenant outlives its root row and its users.

-- Whether any record of M23's own names a tenant.
create function m23.has_records(p_tenant text) returns boolean
language plpgsql stable as $$
begin
  return exists (select from public.backup_jobs where tenant_id = p_tenant)
      or exists (select from m23.seen_tenants where tenant_id = p_tenant)
      or exists (select from m23.audit_heads where tenant_id = p_tenant)
      or exists (select from m23.requests where tenant_id = p_tenant)
      or exists (select from public.restore_logs where tenant_id = p_tenant)
      or exists (select from public.pitr_snapshots where tenant_id = p_tenant)
      or exists (select from public.recovery_tests where tenant_id = p_tenant)
      or exists (select from public.dr_plans where tenant_id = p_tenant)
      or exists (select from public.health_snapshots where tenant_id = p_tenant);
end $$;

-- Memberships are asked for by user: only where nothing else is known of a tenant are all of them gone through.
create function m23.has_members(p_tenant text) returns boolean
language plpgsql stable as $$
declare v_found boolean := exists (select from public.tenant_members where tenant_id = p_tenant);
begin
  if not v_found and to_regclass('auth.users') is not null then
    execute 'select exists (select from auth.users u, m23.memberships_of(u.id) m where m.tenant_id = $1)'
      into v_found using p_tenant;
  end if;
  return v_found;
end $$;

create function m23.knows_tenant(p_tenant text) returns boolean
language plpgsql volatile security definer set row_security = off as $$
begin
  return p_tenant is not null and (m23.has_records(p_tenant) or m23.has_rows(p_tenant)
                                   or m23.is_root_tenant(p_tenant) or m23.has_members(p_tenant));
end $$;
comment on function m23.knows_tenant(text) is
  'Whether any record, protected table, log or membership has heard of a tenant.';
