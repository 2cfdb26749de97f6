-- Backups: durable jobs. A job is begun by its user, then driven by a worker that holds
-- its lease, chunk by chunk; whoever finds a lapsed lease goes on where the last chunk
-- ended. Every chunk is read as of the job's one position, while writers go on.

create table m23.backup_work (
  job_id         uuid primary key references public.backup_jobs (id) on delete cascade,
  tenant_id      text not null,
  position       pg_snapshot not null,
  incarnation    uuid not null references m23.incarnations (id),
  position_at    timestamptz not null,
  commit_times   text not null check (commit_times in ('native', 'ticks')),
  ticks          jsonb not null default '[]',  -- since the parent: the moments between the two
  definitions    jsonb not null default '[]',  -- of the types that the tables use
  prefix         text not null,
  manifest       text,  -- its object in the store
  manifest_sha256 text,
  key_id         uuid,  -- what its chunks are sealed with; null for a plain one
  constraint manifest_with_its_hash check ((manifest is null) = (manifest_sha256 is null)),
  constraint manifest_hash_is_sha256 check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  constraint lists_are_arrays check (jsonb_typeof(ticks) = 'array' and jsonb_typeof(definitions) = 'array')
);
create index backup_work_incarnation on m23.backup_work (incarnation);

create table m23.backup_tables (
  job_id         uuid not null references m23.backup_work (job_id) on delete cascade,
  ordinal        int not null,
  table_id       int not null,
  schema_name    text not null,
  table_name     text not null,
  tenant_column  text,
  columns        jsonb not null,
  attnums        int2[],  -- of these columns, in this life of the database: what they are called now
  key            text[] not null,
  definition     jsonb,
  whole          boolean not null,  -- all rows; else those that changed since the parent, and their history
  estimated_rows bigint not null,
  done           boolean not null default false,
  history_done   boolean not null,
  path           jsonb,   -- instead of a tenant column: m23.path_facts
  primary key (job_id, ordinal),
  constraint a_tenant_column_or_a_path check ((tenant_column is null) = (path is not null)),
  constraint whole_has_no_history check (history_done or not whole),
  constraint has_key_and_columns check (cardinality(key) > 0 and jsonb_typeof(columns) = 'array'),
  constraint numbers_of_all_columns check (cardinality(attnums) = jsonb_array_length(columns)),
  constraint counts_from_one check (ordinal >= 1 and estimated_rows >= 0)
);

create table m23.backup_chunks (
  job_id       uuid not null,
  ordinal      int not null,
  history      boolean not null default false,  -- not rows, but what the log says of them since the parent
  seq          int not null,
  object       text not null,
  rows         int not null,
  bytes        bigint not null,
  stored_bytes bigint not null,
  sha256       text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  fingerprint  numeric,  -- of its lines as the database read them; see m23.fingerprint_of
  sealed_fingerprint text,  -- the same for the manifest of an encrypted backup
  last_key     text[] not null,
  primary key (job_id, ordinal, history, seq),
  foreign key (job_id, ordinal) references m23.backup_tables (job_id, ordinal) on delete cascade,
  constraint counts_from_one check (seq >= 1 and rows >= 0 and bytes >= 0 and stored_bytes >= 0)
);
select m23.close_table('m23.backup_work');
select m23.close_table('m23.backup_tables');
select m23.close_table('m23.backup_chunks');

-- Rows a second, as measured over the last backups; 50,000 before there is one.
create function m23.backup_throughput() returns numeric
language plpgsql stable as $$
begin
  return (select coalesce(sum(rows) / nullif(sum(seconds), 0), 50000) from (
    select (j.metadata -> 'progress' ->> 'rows')::numeric as rows, j.duration_seconds as seconds
      from public.backup_jobs j
     where j.status = 'completed' and j.duration_seconds > 0 and (j.metadata -> 'progress' ->> 'rows')::bigint > 1000
     order by j.completed_at desc limit 20) recent);
end $$;

-- Makes the row of a backup as a request's body asks for it; gives it.
create function m23.new_backup_job(p_tenant text, p_backup jsonb) returns public.backup_jobs
language sql as $$
  insert into public.backup_jobs (tenant_id, backup_name, description, job_type, tables, base_backup_id, created_by)
  values (p_tenant,
          coalesce(p_backup ->> 'backupName',
                   format('%s %s', p_backup ->> 'jobType',
                          to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))),
          p_backup ->> 'description', p_backup ->> 'jobType',
          (select array_agg(t) from jsonb_array_elements_text(p_backup -> 'tables') t),
          (p_backup ->> 'baseBackupId')::uuid, auth.uid())
  returning *
$$;

-- Refuses a job that no backup can be made of, with all its faults.
create function m23.refuse_backup_faults(p_job public.backup_jobs) returns void
language plpgsql as $$
declare v_faults text[] := m23.table_faults(p_job.tables) || m23.obstacle_faults(p_job.tables);
begin
  if not exists (select from m23.protected_tables) then
    v_faults := v_faults || 'tables: no table is protected yet; see m23.protect_table'::text;
  end if;
  if p_job.job_type = 'incremental' and p_job.base_backup_id is null then
    v_faults := v_faults || 'baseBackupId: is required for incremental'::text;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the backup cannot be made as asked', v_faults);
  end if;
end $$;

-- Where the objects of a backup lie in the bucket.
create function m23.backup_prefix(p_tenant text, p_job uuid) returns text
language sql immutable as
$$ select format('tenants/%s/backups/%s', m23.tenant_name(p_tenant), p_job) $$;

-- Notes the position that a backup is of, and what is true of the database there. p_parent: what it builds on.
create function m23.note_backup_work(p_job public.backup_jobs, p_parent m23.backup_work) returns void
language plpgsql as $$
declare v_taken record;
begin
  select * into v_taken from m23.take_position();
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, prefix, commit_times, ticks,
                               definitions)
    values (p_job.id, p_job.tenant_id, v_taken.here, m23.incarnation(), v_taken.at,
            m23.backup_prefix(p_job.tenant_id, p_job.id),
            m23.commit_times_since(p_parent.position_at), m23.ticks_between(p_parent, v_taken.here, v_taken.at),
            m23.type_definitions(p_job.tables));
end $$;

-- Ends a backup that waits or runs, as failed.
create function m23.fail_backup(p_job uuid, p_error text) returns void
language sql as $$
  update public.backup_jobs set status = 'failed', error_message = left(p_error, 2000),
         completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_job and status in ('pending', 'in_progress');
  delete from m23.leases where work_id = p_job;
$$;

-- What a worker needs to drive a backup: its parts, each with how far it has come. p_token: its lease.
create function m23.backup_plan(p_job uuid, p_token uuid) returns json
language plpgsql stable as $$
begin
  return (select json_build_object(
    'job_id', w.job_id, 'lease', p_token, 'tenant_id', w.tenant_id, 'prefix', w.prefix, 'key', m23.key_plan(w),
    'parent', (select json_build_object('manifest', p.manifest, 'sha256', p.manifest_sha256)
                 from public.backup_jobs j join m23.backup_work p on p.job_id = j.parent_backup_id
                where j.id = w.job_id),
    'parts', (select json_agg(json_build_object(
                 'ordinal', t.ordinal, 'schema', t.schema_name, 'name', t.table_name, 'history', history,
                 'done', case when history then t.history_done else t.done end,
                 'next_seq', (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c
                               where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history),
                 'after', (select c.last_key from m23.backup_chunks c
                            where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history
                            order by c.seq desc limit 1)) order by t.ordinal, history)
                 from m23.backup_tables t cross join (values (false), (true)) h (history)
                where t.job_id = w.job_id and not (t.whole and h.history)))
    from m23.backup_work w where w.job_id = p_job);
end $$;

-- Why a table cannot be read as of a backup's position.
create function m23.reading_fault(p_table m23.protected_tables, p_work m23.backup_work) returns text
language plpgsql stable as $$
declare v_moment m23.moment := m23.moment_of(p_work.position, p_work.position_at);
begin
  return coalesce(m23.moment_fault(p_table, v_moment), m23.lost_since(p_table, p_work.tenant_id, v_moment),
    case when m23.has_altered_type(p_table.relid, p_work.position)
         then format('a type that %s uses was altered while it was backed up', m23.public_name(p_table.relid)) end);
end $$;

-- How far a backup has come, as its row shows it.
create function m23.backup_progress(p_job uuid) returns jsonb
language sql stable as $$
  with c as (select coalesce(sum(rows), 0) as rows, coalesce(sum(bytes), 0) as bytes,
                    coalesce(sum(stored_bytes), 0) as stored_bytes, count(*) as chunks
               from m23.backup_chunks where job_id = p_job),
       t as (select count(*) as tables, count(*) filter (where done and history_done) as tables_done,
                    sum(estimated_rows) as estimated_rows,
                    min(schema_name || '.' || table_name) filter (where not (done and history_done)) as current_table
               from m23.backup_tables where job_id = p_job)
  select jsonb_build_object('rows', c.rows, 'estimated_rows', greatest(t.estimated_rows, c.rows), 'bytes', c.bytes,
           'stored_bytes', c.stored_bytes, 'chunks', c.chunks, 'tables', t.tables, 'tables_done', t.tables_done,
           'current_table', t.current_table,
           'percent', case when t.tables = t.tables_done then 100
                           else least(99, floor(100.0 * c.rows / greatest(t.estimated_rows, c.rows, 1))) end)
    from c, t
$$;
