-- Adoption: a database learns of a backup from its manifest. It notes what is needed to read the rows, and executes
-- nothing that the manifest says: types and tables that are missing are made by `m23 catalogue rebuild`, with the
-- rights of whoever connects, before a restore fills them.

create function m23.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_id     uuid := (p_manifest ->> 'backup_id')::uuid;
  v_parent uuid := (p_manifest -> 'parent' ->> 'backup_id')::uuid;
  v_known  m23.backup_work;
begin
  if p_manifest ->> 'format' is distinct from 'm23-archive' or (p_manifest ->> 'version')::int not in (1, 2) then
    raise exception 'this is not a manifest that this version knows' using errcode = 'invalid_parameter_value';
  elsif p_object is distinct from format('tenants/%s/backups/%s/manifest.json', p_manifest ->> 'tenant_id', v_id) then
    raise exception 'the manifest of the backup % does not lie at %', v_id, p_object
      using errcode = 'invalid_parameter_value';
  end if;
  select * into v_known from m23.backup_work where job_id = v_id;
  if v_known.manifest_sha256 = p_sha256 then
    return v_id;
  elsif v_known.job_id is not null or exists (select from public.backup_jobs where id = v_id) then
    raise exception 'the backup % is here already, with another manifest', v_id using errcode = 'unique_violation';
  elsif v_parent is not null and not exists (select from m23.backup_work w where w.job_id = v_parent and w.manifest_sha256 = p_manifest -> 'parent' ->> 'sha256') then
    raise exception 'the backup % builds on %, which is not here, or is another: adopt that first', v_id, v_parent using errcode = 'object_not_in_prerequisite_state';
  end if;
  perform m23.note_adopted(p_manifest, p_object, p_sha256);
  return v_id;
end $$;
comment on function m23.adopt_backup(jsonb, text, text) is
  'Records a backup from its manifest, the manifest''s object and its SHA-256, and executes nothing. Full backups '
  'before their incrementals. Again: nothing.';

create function m23.note_adopted(p_manifest jsonb, p_object text, p_sha256 text) returns void
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
                               'adopted_at', clock_timestamp()));
  -- Its key still opens it, and seals nothing new.
  insert into m23.archive_keys (key_id, tenant_id, retired_at)
    select (p_manifest -> 'encryption' ->> 'key_id')::uuid, (p_manifest ->> 'tenant_id')::uuid, clock_timestamp() where p_manifest -> 'encryption' ->> 'key_id' is not null on conflict do nothing;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, ticks, prefix,
                               manifest, manifest_sha256, key_id)
    values (v_id, (p_manifest ->> 'tenant_id')::uuid, (p_manifest ->> 'position')::pg_snapshot, (p_manifest ->> 'incarnation')::uuid, v_at,
            coalesce(p_manifest ->> 'commit_times', 'native'), coalesce(p_manifest -> 'ticks', '[]'),
            regexp_replace(p_object, '/manifest\.json$', ''), p_object, p_sha256, (p_manifest -> 'encryption' ->> 'key_id')::uuid);
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, key, whole,
                                 estimated_rows, done, history_done)
    select v_id, n, coalesce((m23.find_table((t ->> 'schema') || '.' || (t ->> 'name'))).id, 0), t ->> 'schema', t ->> 'name', t ->> 'tenant_column', t -> 'columns',
           m23.list_of(t -> 'key'), coalesce((t ->> 'whole')::boolean, true), 0, true, true
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
