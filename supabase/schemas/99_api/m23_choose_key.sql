-- open to: service_role
create function public.m23_choose_key(
  p_job_id uuid, p_lease uuid, p_key_id uuid, p_instead_of uuid default null
) returns uuid
language plpgsql security definer set row_security = off as $$
declare
  v_work m23.backup_work;
  v_key  uuid;
begin
  perform m23.keep_lease(p_job_id, p_lease);
  select * into v_work from m23.backup_work where job_id = p_job_id;
  perform m23.lock_keys(v_work.tenant_id);
  if exists (select from m23.key_erasures where tenant_id = v_work.tenant_id) then
    perform m23.refuse('UNAVAILABLE', 'the keys of this tenant are being erased; a new one can be made in a minute');
  end if;
  update m23.archive_keys set retired_at = clock_timestamp()
   where tenant_id = v_work.tenant_id and retired_at is null and key_id = p_instead_of and key_id <> p_key_id;
  insert into m23.archive_keys (key_id, tenant_id) values (p_key_id, v_work.tenant_id) on conflict do nothing;
  select k.key_id into v_key from m23.archive_keys k where k.tenant_id = v_work.tenant_id and k.retired_at is null;
  if v_key is null then
    perform m23.refuse('UNAVAILABLE', 'the key of this tenant was erased meanwhile; a new one can be made now');
  end if;
  update m23.backup_work set key_id = coalesce(key_id, v_key) where job_id = p_job_id returning key_id into v_key;
  return v_key;
end $$;
comment on function public.m23_choose_key(uuid, uuid, uuid, uuid) is
  'For the workers: offers a key that is in the store, in the place of one that is not there any more, and gives the '
  'one that seals this backup: the tenant''s, whoever has offered it.';
