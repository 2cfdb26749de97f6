-- open to: authenticated, service_role
create function public.calculate_health_score(p_tenant_id text, p_days_back int default 30) returns numeric
language sql volatile security definer set row_security = off as
$$ select (public.get_health(p_tenant_id, p_days_back) ->> 'score')::numeric $$;
comment on function public.calculate_health_score(text, int) is
  'The score of get_health: 0 to 100; below 70 is a reason to alert.';
