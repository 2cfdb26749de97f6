-- open to: authenticated, service_role
create function public.plan_retention(p_tenant_id text)
returns table (backup_id uuid, backup_name text, job_type text, created_at timestamptz, backup_size_bytes bigint,
               reason text)
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select j.id, j.backup_name, j.job_type, j.created_at, j.backup_size_bytes, r.reason
    from m23.past_retention(p_tenant_id) r join public.backup_jobs j on j.id = r.backup_id order by j.created_at, j.id;
end $$;
comment on function public.plan_retention(text) is
  'The backups that the next upkeep would delete by the plans'' retention_days, and why. Nothing is changed.';
