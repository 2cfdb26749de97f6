-- open to: authenticated, service_role
create function public.get_current_tenant() returns text
language plpgsql stable security definer set row_security = off as $$
begin
  perform m23.refuse_anonymous();
  return m23.caller_tenant();
end $$;
comment on function public.get_current_tenant() is
  'The caller''s tenant, for calls that want it named; null for a user of none, or of several with none picked.';
