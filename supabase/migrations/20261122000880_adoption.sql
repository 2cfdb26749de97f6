-- Adoption: a database learns of a backup from its manifest. One that has M23's migrations and
-- none of the application's tables gets those, too, empty: a restore then fills them. The
-- statements of a manifest are executed with the rights of whoever adopts it, so adopt only what
-- lies in your own bucket.

-- Refuses a statement that is no definition.
create function m23.check_definition(p_sql text) returns void
language plpgsql stable set search_path = '' as $$
begin
  if p_sql !~ ('^(create (schema|extension|collation|type|domain|sequence|table|index|unique index|policy)|'
               'alter (table|sequence)|grant) ')
     and p_sql !~ '^CREATE (UNIQUE )?INDEX ' then
    raise exception 'the manifest holds a statement that is no definition: %', left(p_sql, 80) using errcode = 'invalid_schema_definition';
  end if;
end $$;

-- Executes one statement; a sentence where it cannot be. What makes something that is there already changes nothing.
create function m23.define(p_sql text) returns text
language plpgsql set search_path = '' as $$
begin
  execute p_sql;
  return null;
exception
  when duplicate_object or duplicate_table or duplicate_schema then return null;
  when others then return format('%s: %s', left(p_sql, 200), sqlerrm);
end $$;

-- Protects a table of a manifest; a sentence where it cannot be, or is not there.
create function m23.protect_adopted(p_schema text, p_name text, p_tenant_column text) returns text
language plpgsql set search_path = '' as $$
begin
  if (m23.find_table(p_schema || '.' || p_name)).id is not null then return null; end if;
  perform m23.protect_table(format('%I.%I', p_schema, p_name)::regclass, p_tenant_column::name);
  return null;
exception when others then return format('%s.%s is not protected: %s', p_schema, p_name, sqlerrm);
end $$;

-- Makes the types and tables of a manifest that are not there, and protects all its tables. Gives what could not be
-- made: the rest goes on without it, and a table that is made later, and protected, gets its rows then.
create function m23.make_defined(p_manifest jsonb) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_new   jsonb := (select coalesce(jsonb_agg(t order by n), '[]') from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n)
                     where to_regclass(format('%I.%I', t ->> 'schema', t ->> 'name')) is null);
  v_said  text[];
  v_part  text;
begin
  perform m23.check_definition(s) from jsonb_array_elements_text(p_manifest -> 'definitions') s;
  perform m23.check_definition(s) from jsonb_array_elements(v_new) t, jsonb_each(t -> 'definition') p,
                                       jsonb_array_elements_text(p.value) s;
  v_said := array(select m23.define(s) from jsonb_array_elements_text(p_manifest -> 'definitions') s);
  foreach v_part in array '{create,finish,references}'::text[] loop
    v_said := v_said || array(
      select m23.define(s) from jsonb_array_elements(v_new) t, jsonb_array_elements_text(t -> 'definition' -> v_part) s
       where v_part = 'create' or to_regclass(format('%I.%I', t ->> 'schema', t ->> 'name')) is not null);
  end loop;
  return array_remove(v_said || array(select m23.protect_adopted(t ->> 'schema', t ->> 'name', t ->> 'tenant_column')
                                        from jsonb_array_elements(p_manifest -> 'tables') t), null);
end $$;

create function m23.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_id     uuid := (p_manifest ->> 'backup_id')::uuid;
  v_parent uuid := (p_manifest -> 'parent' ->> 'backup_id')::uuid;
  v_known  m23.backup_work;
begin
  if p_manifest ->> 'format' is distinct from 'm23-archive' or (p_manifest ->> 'version')::int not in (1, 2) then
    raise exception 'this is not a manifest that this version knows' using errcode = 'invalid_parameter_value';
  end if;
  select * into v_known from m23.backup_work where job_id = v_id;
  if v_known.manifest_sha256 = p_sha256 then
    return v_id;
  elsif v_known.job_id is not null or exists (select from public.backup_jobs where id = v_id) then
    raise exception 'the backup % is here already, with another manifest', v_id using errcode = 'unique_violation';
  elsif v_parent is not null and not exists (select from m23.backup_work w where w.job_id = v_parent and w.manifest_sha256 = p_manifest -> 'parent' ->> 'sha256') then
    raise exception 'the backup % builds on %, which is not here, or is another: adopt that first', v_id, v_parent using errcode = 'object_not_in_prerequisite_state';
  end if;
  perform m23.note_adopted(p_manifest, p_object, p_sha256, m23.make_defined(p_manifest));
  return v_id;
end $$;
comment on function m23.adopt_backup(jsonb, text, text) is
  'Records a backup from its manifest, the manifest''s object and its SHA-256, and makes the tables that are missing. Full backups before their incrementals. Again: nothing.';

create function m23.note_adopted(p_manifest jsonb, p_object text, p_sha256 text, p_said text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_id uuid := (p_manifest ->> 'backup_id')::uuid;
  v_at timestamptz := (p_manifest ->> 'position_at')::timestamptz;
begin
  -- Its positions are of a life that is over; it must never look like the newest.
  insert into m23.incarnations (id, fingerprint, since) values ((p_manifest ->> 'incarnation')::uuid, 'adopted', '-infinity') on conflict do nothing;
  insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, created_at, created_by, started_at, completed_at, backup_size_bytes, base_backup_id, parent_backup_id, metadata)
    values (v_id, (p_manifest ->> 'tenant_id')::uuid, p_manifest ->> 'backup_name', p_manifest ->> 'job_type', 'completed', v_at, null, v_at, v_at,
            (p_manifest ->> 'stored_bytes')::bigint, (p_manifest ->> 'base_backup_id')::uuid, (p_manifest -> 'parent' ->> 'backup_id')::uuid,
            jsonb_build_object('position', p_manifest ->> 'position', 'position_at', v_at, 'manifest', p_object, 'manifest_sha256', p_sha256,
                               'adopted_at', clock_timestamp(), 'not_made', to_jsonb(p_said)));
  -- Its key still opens it, and seals nothing new.
  insert into m23.archive_keys (key_id, tenant_id, retired_at)
    select (p_manifest -> 'encryption' ->> 'key_id')::uuid, (p_manifest ->> 'tenant_id')::uuid, clock_timestamp() where p_manifest -> 'encryption' ->> 'key_id' is not null on conflict do nothing;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, ticks, definitions, prefix, manifest, manifest_sha256, key_id)
    values (v_id, (p_manifest ->> 'tenant_id')::uuid, (p_manifest ->> 'position')::pg_snapshot, (p_manifest ->> 'incarnation')::uuid, v_at,
            coalesce(p_manifest ->> 'commit_times', 'native'), coalesce(p_manifest -> 'ticks', '[]'), coalesce(p_manifest -> 'definitions', '[]'),
            regexp_replace(p_object, '/manifest\.json$', ''), p_object, p_sha256, (p_manifest -> 'encryption' ->> 'key_id')::uuid);
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, key, definition, whole, estimated_rows, done, history_done)
    select v_id, n, coalesce((m23.find_table((t ->> 'schema') || '.' || (t ->> 'name'))).id, 0), t ->> 'schema', t ->> 'name', t ->> 'tenant_column', t -> 'columns',
           m23.list_of(t -> 'key'), t -> 'definition', coalesce((t ->> 'whole')::boolean, true), 0, true, true
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n);
  insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256, fingerprint, sealed_fingerprint, last_key)
    select v_id, u.n, k.history, c.seq, c.chunk ->> 'object', (c.chunk ->> 'rows')::int, (c.chunk ->> 'bytes')::bigint, (c.chunk ->> 'stored_bytes')::bigint, c.chunk ->> 'sha256',
           case when p_manifest -> 'encryption' is null then (c.chunk ->> 'fingerprint')::numeric end,
           case when p_manifest -> 'encryption' is not null then c.chunk ->> 'fingerprint' end, '{}'
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n)
      cross join lateral (values (false, u.t -> 'chunks'), (true, coalesce(u.t -> 'history', '[]'))) k (history, chunks)
      cross join lateral jsonb_array_elements(k.chunks) with ordinality c (chunk, seq);
end $$;

create function public.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_id uuid := m23.adopt_backup(p_manifest, p_object, p_sha256);
begin
  perform m23.audit_done((select j.tenant_id from public.backup_jobs j where j.id = v_id), 'adopt_backup', jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.adopt_backup(jsonb, text, text) is 'For administrators, with the service key: m23.adopt_backup.';

select m23.open_to('{service_role}', 'public.adopt_backup(jsonb, text, text)');
select m23.close_functions();
