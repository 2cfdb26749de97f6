-- The same for supabase.rpc, with the service key alone.
-- open to: service_role
create function public.forget_tenant(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '1h' as $$
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'no tenant can be forgotten', array['p_tenant_id: is required']);
  end if;
  return m23.forget_tenant(p_tenant_id);
exception
  when object_in_use then perform m23.refuse('UNAVAILABLE', sqlerrm || '; nothing was removed, try again');
  when dependent_objects_still_exist
    then perform m23.refuse('VALIDATION_FAILED', 'the tenant cannot be forgotten; nothing was removed',
                            array['p_tenant_id: ' || sqlerrm]);
end $$;
comment on function public.forget_tenant(text) is
  'Removes everything that M23 keeps of a tenant, for good; see m23.forget_tenant. Service key only.';
