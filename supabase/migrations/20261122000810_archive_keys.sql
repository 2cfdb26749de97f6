-- Keys of encrypted archives. The database knows which key is whose, by its id, and never a key:
-- those are objects in the store, wrapped by a master key that the Workers have.

create table m23.archive_keys (
  key_id     uuid primary key,
  tenant_id  uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz,  -- new backups are sealed with another one since
  erased_at  timestamptz   -- somebody wanted it erased: what was sealed with it cannot be read any more
);
create index archive_keys_tenant on m23.archive_keys (tenant_id);
create unique index archive_keys_current on m23.archive_keys (tenant_id) where retired_at is null;
select m23.close_table('m23.archive_keys');
comment on table m23.archive_keys is 'The ids of the tenants'' data keys; one of a tenant''s is in use.';

-- It outlives the tenant's records: a wish to erase is not forgotten with the tenant.
create table m23.key_erasures (
  tenant_id uuid primary key,
  work_id   uuid not null unique default gen_random_uuid(),
  asked_at  timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.key_erasures');
comment on table m23.key_erasures is 'Tenants whose key objects are to be deleted from the store; a cron Worker does it.';

-- One at a time chooses or erases a tenant's key.
create function m23.lock_keys(p_tenant uuid) returns void
language sql volatile set search_path = '' as
$$ select pg_advisory_xact_lock(hashtextextended('m23.keys.' || p_tenant, 0)) $$;

insert into m23.settings (name, value, about) values
  ('plain_after_sealed', 'no', 'yes: a tenant whose backups were encrypted gets plain ones where the functions have no ARCHIVE_KEY');

-- Whether a tenant's backups must not be plain: they were encrypted, and nobody has said that they
-- need not be any more.
create function m23.must_be_sealed(p_tenant uuid) returns boolean
language sql stable set search_path = '' as $$
  select m23.setting('plain_after_sealed') <> 'yes' and exists (select from m23.archive_keys k where k.tenant_id = p_tenant and k.erased_at is null)
$$;

-- What a worker has to know before it seals a backup.
create function m23.key_plan(p_work m23.backup_work) returns json
language sql stable set search_path = '' as $$
  select json_build_object('tenant_id', p_work.tenant_id, 'key_id', p_work.key_id,
    'tenant_key_id', (select k.key_id from m23.archive_keys k where k.tenant_id = p_work.tenant_id and k.retired_at is null),
    'sealed', m23.must_be_sealed(p_work.tenant_id),
    'plain', p_work.key_id is null and exists (select from m23.backup_chunks c where c.job_id = p_work.job_id))
$$;

create function public.m23_choose_key(p_job_id uuid, p_lease uuid, p_key_id uuid, p_instead_of uuid default null) returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
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
  'For the workers: offers a key that is in the store, in the place of one that is not there any more, and gives the one that seals this backup: the tenant''s, '
  'whoever has offered it.';

create function m23.key_is_erased(p_job uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (select from m23.backup_work w join m23.archive_keys k on k.key_id = w.key_id where w.job_id = p_job and k.erased_at is not null)
$$;

create function m23.refuse_erased_key(p_job uuid) returns void
language plpgsql stable set search_path = '' as $$
begin
  if m23.key_is_erased(p_job) then
    perform m23.refuse('BACKUP_UNUSABLE', 'the key that this backup is encrypted with was erased while it was made');
  end if;
end $$;

-- Erasing ---------------------------------------------------------------------------------

create function public.erase_archive_key(p_tenant_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_keys int;
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'nothing was erased', array['p_tenant_id: is required']);
  end if;
  perform m23.lock_keys(p_tenant_id);
  insert into m23.key_erasures (tenant_id) values (p_tenant_id) on conflict do nothing;
  update m23.archive_keys set erased_at = clock_timestamp(), retired_at = coalesce(retired_at, clock_timestamp())
   where tenant_id = p_tenant_id and erased_at is null;
  get diagnostics v_keys = row_count;
  perform m23.audit_done(p_tenant_id, 'erase_archive_key', jsonb_build_object('keys', v_keys));
  return jsonb_build_object('tenant_id', p_tenant_id, 'prefix', m23.keys_prefix(p_tenant_id), 'keys', v_keys, 'status', 'pending');
end $$;
comment on function public.erase_archive_key(uuid) is
  'Has the key objects of a tenant deleted from the store within a minute, for good: no encrypted archive of it can be read any more, and a later backup gets a new '
  'key. Gives {"tenant_id", "prefix", "keys", "status"}. Only for the service key.';

create function m23.keys_prefix(p_tenant uuid) returns text
language sql immutable set search_path = '' as
$$ select format('keys/%s/', p_tenant) $$;

create function public.m23_claim_erasure() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_erasure m23.key_erasures;
  v_lease   m23.leases;
begin
  for v_erasure in select * from m23.key_erasures order by asked_at loop
    v_lease := m23.take_lease(v_erasure.work_id);
    if v_lease.token is not null then
      return json_build_object('work_id', v_erasure.work_id, 'lease', v_lease.token, 'tenant_id', v_erasure.tenant_id, 'prefix', m23.keys_prefix(v_erasure.tenant_id));
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_erasure() is 'For the workers: a tenant whose key objects are to be deleted; null when there is none.';

create function public.m23_finish_erasure(p_work_id uuid, p_lease uuid) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_work_id, p_lease);
  delete from m23.key_erasures where work_id = p_work_id;
  delete from m23.leases where work_id = p_work_id;
end $$;
comment on function public.m23_finish_erasure(uuid, uuid) is 'For the workers: the key objects of that tenant are gone.';

select m23.open_to('{service_role}', 'public.m23_choose_key(uuid, uuid, uuid, uuid)', 'public.erase_archive_key(uuid)', 'public.m23_claim_erasure()',
  'public.m23_finish_erasure(uuid, uuid)');
select m23.close_functions();
