-- open to: service_role
create function public.m23_finish_erasure(p_work_id uuid, p_lease uuid) returns void
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_work_id, p_lease);
  delete from m23.key_erasures where work_id = p_work_id;
  delete from m23.leases where work_id = p_work_id;
end $$;
comment on function public.m23_finish_erasure(uuid, uuid) is
  'For the workers: the key objects of that tenant are gone.';
