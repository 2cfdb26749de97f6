-- open to: authenticated, service_role
create function public.get_doctor() returns table (topic text, state text, finding text, advice text)
language plpgsql volatile security definer rows 20 set row_security = off as $$
begin
  perform m23.require_platform();
  return query select d.topic, d.state, d.finding, d.advice from m23.doctor() d;
end $$;
comment on function public.get_doctor() is
  'What m23.doctor() says. The platform''s operator (app_metadata.m23_platform) and the service key.';
