-- open to: authenticated, service_role
create function public.get_health(p_tenant_id text, p_days_back int default 30) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return m23.health(p_tenant_id, coalesce(p_days_back, 30));
end $$;
comment on function public.get_health(text, int) is
  'How well a tenant could be brought back: {"score", "healthy", "daysBack", "parts", "capped"?}. '
  'Looks at the last p_days_back days.';
