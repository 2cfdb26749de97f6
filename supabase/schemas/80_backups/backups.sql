-- Backups: durable jobs. A job is begun by its user, then driven by a worker that holds
-- its lease, chunk by chunk; whoever finds a lapsed lease goes on where the last chunk
-- ended. Every chunk is read as of the job's one position, while writers go on.

create table m23.backup_work (
  job_id         uuid primary key references public.backup_jobs (id) on delete cascade,
  tenant_id      uuid not null,
  position       pg_snapshot not null,
  incarnation    uuid not null references m23.incarnations (id),
  position_at    timestamptz not null,
  commit_times   text not null check (commit_times in ('native', 'ticks')),
  ticks          jsonb not null default '[]',  -- since the parent: the moments between the two
  definitions    jsonb not null default '[]',  -- of the types that the tables use
  prefix         text not null,
  manifest       text,  -- its object in the store
  manifest_sha256 text,
  key_id         uuid   -- what its chunks are sealed with; null for a plain one
);
create index backup_work_incarnation on m23.backup_work (incarnation);

create table m23.backup_tables (
  job_id         uuid not null references m23.backup_work (job_id) on delete cascade,
  ordinal        int not null,
  table_id       int not null,
  schema_name    text not null,
  table_name     text not null,
  tenant_column  text not null,
  columns        jsonb not null,
  attnums        int2[],  -- of these columns, in this life of the database: what they are called now
  key            text[] not null,
  definition     jsonb,
  whole          boolean not null,  -- all rows; else those that changed since the parent, and their history
  estimated_rows bigint not null,
  done           boolean not null default false,
  history_done   boolean not null,
  primary key (job_id, ordinal)
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
  foreign key (job_id, ordinal) references m23.backup_tables (job_id, ordinal) on delete cascade
);
select m23.close_table('m23.backup_work');
select m23.close_table('m23.backup_tables');
select m23.close_table('m23.backup_chunks');

-- Beginning -----------------------------------------------------------------------

create function m23.shape_of(p_relid oid) returns jsonb
language plpgsql stable as $$
begin
  return (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.name, 'type', c.type_name,
           'not_null', c.not_null,
           'identity', nullif(c.identity::text, ''))) order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated);
end $$;
comment on function m23.shape_of(oid) is
  'The columns of a table that hold values of their own, as a manifest lists them.';

-- The names of a table's key columns, in the order of the key.
create function m23.key_of(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return (select array_agg(c.name order by c.key_ord) from m23.columns_of(p_relid, p_of_key => true) c);
end $$;

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
create function m23.new_backup_job(p_tenant uuid, p_backup jsonb) returns public.backup_jobs
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

-- Notes the position that a backup is of, and what is true of the database there. p_parent: what it builds on.
create function m23.note_backup_work(p_job public.backup_jobs, p_parent m23.backup_work) returns void
language plpgsql as $$
declare v_taken record;
begin
  select * into v_taken from m23.take_position();
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, prefix, commit_times, ticks,
                               definitions)
    values (p_job.id, p_job.tenant_id, v_taken.here, m23.incarnation(), v_taken.at,
            format('tenants/%s/backups/%s', p_job.tenant_id, p_job.id),
            m23.commit_times_since(p_parent.position_at), m23.ticks_between(p_parent, v_taken.here, v_taken.at),
            m23.type_definitions(p_job.tables));
end $$;

-- Driving -------------------------------------------------------------------------

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

-- One line of COPY's text format for a row `r`: tab-separated, \N for null, and
-- backslash, tab, newline and carriage return escaped. With a list: of these columns only.
create function m23.copy_line(p_relid oid, p_columns text[] default null) returns text
language sql stable as $$
  select string_agg(case
      when c.plain then format('coalesce(%s, ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'jsonb'  -- it escapes the others itself
        then format('coalesce(replace((%s) collate "C", ''\'', ''\\''), ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'bytea' then format('coalesce(''\'' || r.%I::text, ''\N'')', c.name)
      -- A column's own collation may be one that replace() does not support.
      else format('coalesce(replace(replace(replace(replace((%s) collate "C", ''\'', ''\\''), '
                  'chr(9), ''\t''), chr(10), ''\n''), chr(13), ''\r''), ''\N'')',
                  m23.text_of(c, 'r')) end, ' || chr(9) || ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated and (p_columns is null or c.name = any (p_columns))
$$;

-- A sum over lines, whatever their order and however they are cut into chunks: those of a
-- restored copy must come to the same.
create function m23.fingerprint_of(p_lines text[]) returns numeric
language sql immutable as
$$ select coalesce(sum(hashtextextended(l collate "C", 0)), 0) from unnest(p_lines) l $$;

-- PostgREST gives a function's result as raw bytes when its type is called so.
create domain m23."application/octet-stream" as bytea;

-- The key of the n-th live row after a key, null where there are fewer: where the next chunk will end if nothing
-- changes.
create function m23.key_ahead(
  p_table m23.protected_tables, p_tenant uuid, p_key text, p_after text[], p_rows int
) returns text[]
language plpgsql volatile as $$
declare
  v_query text := format('select array[%s] from (%s offset %s) r', p_key, m23.live_query(p_table, 1), p_rows - 1);
  v_path  text := m23.path_of(p_table.relid);
  v_at    m23.moment;
  v_ahead text[];
begin
  perform set_config('search_path', v_path, true);
  execute v_query into v_ahead using p_tenant, v_at, p_after;
  return v_ahead;
end $$;

-- The key of such a line `r`, as texts.
create function m23.part_key(p_table m23.protected_tables, p_history boolean) returns text
language sql stable as $$
  select case when p_history then 'r.m23_change_id::text, r.m23_xid::text' else
    (select string_agg(m23.text_of(c, 'r'), ', ' order by c.key_ord)
       from m23.columns_of(p_table.relid, p_of_key => true) c) end
$$;

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

-- The groups that the log of a part of a backup leaves out columns by, with the names that they had when it began; null
-- for a part that is whole, which has no log.
create function m23.groups_of_part(p_part m23.backup_tables) returns jsonb
language plpgsql stable as $$
begin
  if p_part.whole then return null; end if;
  return (select jsonb_agg((select coalesce(jsonb_agg(u.column_facts ->> 'name' order by u.n), '[]')
                              from rows from (jsonb_array_elements(p_part.columns), unnest(p_part.attnums))
                                with ordinality u (column_facts, attnum, n), m23.log_groups g
                             where g.table_id = p_part.table_id and g.bit = b.bit and u.attnum = any (g.attnums))
                           order by b.bit)
            from generate_series(0, (select max(g.bit) from m23.log_groups g
                                      where g.table_id = p_part.table_id)) b (bit));
end $$;

-- The fingerprint of an encrypted chunk is sealed: anybody can read a manifest, and could try what a
-- short chunk holds.
create function m23.chunks_of(p_part m23.backup_tables, p_history boolean) returns json
language sql stable as $$
  select coalesce(json_agg(json_build_object(
           'object', c.object, 'rows', c.rows, 'bytes', c.bytes, 'stored_bytes', c.stored_bytes, 'sha256', c.sha256,
           'fingerprint', case when w.key_id is null then c.fingerprint::text else c.sealed_fingerprint end)
           order by c.seq), '[]')
    from m23.backup_chunks c join m23.backup_work w on w.job_id = c.job_id
   where c.job_id = p_part.job_id and c.ordinal = p_part.ordinal and c.history = p_history
$$;
