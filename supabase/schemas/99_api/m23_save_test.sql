-- open to: service_role
create function public.m23_save_test(p_test_id uuid, p_lease uuid, p_state jsonb) returns void
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_test_id, p_lease);
  update m23.test_work set state = p_state where test_id = p_test_id and state <> p_state;
  if found then
    update m23.leases set taken = 1 where work_id = p_test_id;
  end if;
end $$;
comment on function public.m23_save_test(uuid, uuid, jsonb) is
  'For the workers: how far an examination has come, for whoever goes on with it.';
