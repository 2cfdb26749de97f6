-- open to: authenticated, service_role
create function public.get_recovery_window(p_tenant_id text)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select * from m23.recovery_window(p_tenant_id);
end $$;
comment on function public.get_recovery_window(text) is
  'For each protected table the earliest and latest moment that can be gone back to (null: none at present), '
  'and gaps: [{"from", "until", "reason"}].';
