-- open to: service_role
create function public.erase_archive_key(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
declare v_keys int;
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'nothing was erased', array['p_tenant_id: is required']);
  end if;
  p_tenant_id := m23.tenant_key(p_tenant_id);
  perform m23.lock_keys(p_tenant_id);
  insert into m23.key_erasures (tenant_id) values (p_tenant_id) on conflict do nothing;
  update m23.archive_keys set erased_at = clock_timestamp(), retired_at = coalesce(retired_at, clock_timestamp())
   where tenant_id = p_tenant_id and erased_at is null;
  get diagnostics v_keys = row_count;
  perform m23.audit_done(p_tenant_id, 'erase_archive_key', jsonb_build_object('keys', v_keys));
  return jsonb_build_object('tenant_id', p_tenant_id, 'prefix', m23.keys_prefix(p_tenant_id), 'keys', v_keys,
                            'status', 'pending');
end $$;
comment on function public.erase_archive_key(text) is
  'Has the key objects of a tenant deleted from the store within a minute, for good: '
  'no encrypted archive of it can be read any more, and a later backup gets a new key. '
  'Gives {"tenant_id", "prefix", "keys", "status"}. Only for the service key.';
