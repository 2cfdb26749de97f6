-- open to: service_role
create function public.m23_claim_erasure() returns json
language plpgsql security definer set row_security = off as $$
declare
  v_erasure m23.key_erasures;
  v_lease   m23.leases;
begin
  for v_erasure in select * from m23.key_erasures order by asked_at loop
    v_lease := m23.take_lease(v_erasure.work_id);
    if v_lease.token is not null then
      return json_build_object('work_id', v_erasure.work_id, 'lease', v_lease.token, 'tenant_id', v_erasure.tenant_id,
                               'prefix', m23.keys_prefix(v_erasure.tenant_id));
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_erasure() is
  'For the workers: a tenant whose key objects are to be deleted; null when there is none.';
