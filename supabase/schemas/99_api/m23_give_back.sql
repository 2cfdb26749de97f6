-- open to: service_role
create function public.m23_give_back(p_id uuid) returns json
language plpgsql volatile security definer set row_security = off as $$
declare
  v_request m23.requests := m23.give_back(p_id);
  v_window  record;
begin
  select * into v_window from m23.window_of(v_request.tenant_id, v_request.function);
  return json_build_object('given_back', v_request.given_back_at is not null,
                           'used', v_window.used, 'reset', v_window.reset);
end $$;
comment on function public.m23_give_back(uuid) is
  'For the edge functions, with the service key: what ended by our own fault does not count; tells the window.';
