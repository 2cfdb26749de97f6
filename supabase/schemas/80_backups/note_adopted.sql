-- Writes the records of a backup that lies in the bucket, as its manifest has them. p_object: the manifest's place.
create function m23.note_adopted(p_manifest jsonb, p_object text, p_sha256 text) returns void
language plpgsql as $$
declare
  v_id uuid := (p_manifest ->> 'backup_id')::uuid;
  v_at timestamptz := (p_manifest ->> 'position_at')::timestamptz;
begin
  -- Its positions are of a life that is over; it must never look like the newest.
  insert into m23.incarnations (id, fingerprint, since)
    values ((p_manifest ->> 'incarnation')::uuid, 'adopted', '-infinity') on conflict do nothing;
  insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, created_at, created_by, started_at,
                                  completed_at, backup_size_bytes, base_backup_id, parent_backup_id, metadata)
    values (v_id, p_manifest ->> 'tenant_id', p_manifest ->> 'backup_name', p_manifest ->> 'job_type',
            'completed', v_at, null, v_at, v_at,
            (p_manifest ->> 'stored_bytes')::bigint, (p_manifest ->> 'base_backup_id')::uuid,
            (p_manifest -> 'parent' ->> 'backup_id')::uuid,
            jsonb_build_object('position', p_manifest ->> 'position', 'position_at', v_at, 'manifest', p_object,
                               'manifest_sha256', p_sha256, 'adopted_at', clock_timestamp()));
  -- Its key still opens it, and seals nothing new.
  insert into m23.archive_keys (key_id, tenant_id, retired_at)
    select (p_manifest -> 'encryption' ->> 'key_id')::uuid, p_manifest ->> 'tenant_id', clock_timestamp()
     where p_manifest -> 'encryption' ->> 'key_id' is not null on conflict do nothing;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, ticks, prefix,
                               manifest, manifest_sha256, key_id)
    values (v_id, p_manifest ->> 'tenant_id', (p_manifest ->> 'position')::pg_snapshot,
            (p_manifest ->> 'incarnation')::uuid, v_at,
            coalesce(p_manifest ->> 'commit_times', 'native'), coalesce(p_manifest -> 'ticks', '[]'),
            regexp_replace(p_object, '/manifest\.json$', ''), p_object, p_sha256,
            (p_manifest -> 'encryption' ->> 'key_id')::uuid);
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, path, columns, key,
                                 whole, estimated_rows, done, history_done)
    select v_id, n, coalesce((m23.find_table((t ->> 'schema') || '.' || (t ->> 'name'))).id, 0), t ->> 'schema',
           t ->> 'name', t ->> 'tenant_column', nullif(t -> 'path', 'null'), t -> 'columns',
           m23.list_of(t -> 'key'), coalesce((t ->> 'whole')::boolean, true), 0, true, true
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n);
  insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256, fingerprint,
                                 sealed_fingerprint, last_key)
    select v_id, u.n, k.history, c.seq, c.chunk ->> 'object', (c.chunk ->> 'rows')::int, (c.chunk ->> 'bytes')::bigint,
           (c.chunk ->> 'stored_bytes')::bigint, c.chunk ->> 'sha256',
           case when p_manifest -> 'encryption' is null then (c.chunk ->> 'fingerprint')::numeric end,
           case when p_manifest -> 'encryption' is not null then c.chunk ->> 'fingerprint' end, '{}'
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n)
      cross join lateral (values (false, u.t -> 'chunks'), (true, coalesce(u.t -> 'history', '[]'))) k (history, chunks)
      cross join lateral jsonb_array_elements(k.chunks) with ordinality c (chunk, seq);
end $$;
