-- Keys of encrypted archives. The database knows which key is whose, by its id, and never a key:
-- those are objects in the store, wrapped by a master key that the Workers have.

create table m23.archive_keys (
  key_id     uuid primary key,
  tenant_id  text not null,
  created_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz,  -- new backups are sealed with another one since
  erased_at  timestamptz,  -- somebody wanted it erased: what was sealed with it cannot be read any more
  constraint erased_is_retired check (erased_at is null or retired_at is not null)
);
create index archive_keys_tenant on m23.archive_keys (tenant_id);
create unique index archive_keys_current on m23.archive_keys (tenant_id) where retired_at is null;
select m23.close_table('m23.archive_keys');
comment on table m23.archive_keys is 'The ids of the tenants'' data keys; one of a tenant''s is in use.';

-- It outlives the tenant's records: a wish to erase is not forgotten with the tenant.
create table m23.key_erasures (
  tenant_id text primary key,
  work_id   uuid not null unique default gen_random_uuid(),
  asked_at  timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.key_erasures');
comment on table m23.key_erasures is
  'Tenants whose key objects are to be deleted from the store; a cron Worker does it.';

-- One at a time chooses or erases a tenant's key.
create function m23.lock_keys(p_tenant text) returns void
language sql volatile as
$$ select pg_advisory_xact_lock(hashtextextended('m23.keys.' || p_tenant, 0)) $$;

insert into m23.settings (name, value, about) values
  ('plain_after_sealed', 'no',
   'yes: a tenant whose backups were encrypted gets plain ones where the functions have no ARCHIVE_KEY');

-- Whether a tenant's backups must not be plain: they were encrypted, and nobody has said that they
-- need not be any more.
create function m23.must_be_sealed(p_tenant text) returns boolean
language sql stable as $$
  select m23.setting('plain_after_sealed') <> 'yes'
     and exists (select from m23.archive_keys k where k.tenant_id = p_tenant and k.erased_at is null)
$$;

-- What a worker has to know before it seals a backup.
create function m23.key_plan(p_work m23.backup_work) returns json
language sql stable as $$
  select json_build_object('tenant_id', p_work.tenant_id, 'key_id', p_work.key_id,
    'tenant_key_id', (select k.key_id from m23.archive_keys k
                       where k.tenant_id = p_work.tenant_id and k.retired_at is null),
    'sealed', m23.must_be_sealed(p_work.tenant_id),
    'plain', p_work.key_id is null and exists (select from m23.backup_chunks c where c.job_id = p_work.job_id))
$$;

-- Whether the key that a backup is encrypted with was erased.
create function m23.key_is_erased(p_job uuid) returns boolean
language sql stable as $$
  select exists (select from m23.backup_work w join m23.archive_keys k on k.key_id = w.key_id
                  where w.job_id = p_job and k.erased_at is not null)
$$;

-- Refuses a backup whose key was erased while it was made.
create function m23.refuse_erased_key(p_job uuid) returns void
language plpgsql stable as $$
begin
  if m23.key_is_erased(p_job) then
    perform m23.refuse('BACKUP_UNUSABLE', 'the key that this backup is encrypted with was erased while it was made');
  end if;
end $$;

-- Where the key objects of a tenant lie in the bucket.
create function m23.keys_prefix(p_tenant text) returns text
language sql immutable as
$$ select format('keys/%s/', m23.tenant_name(p_tenant)) $$;
