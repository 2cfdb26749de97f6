-- Backups: durable jobs. A job is begun by its user, then driven by a worker that holds
-- its lease, chunk by chunk; whoever finds a lapsed lease goes on where the last chunk
-- ended. Every chunk is read as of the job's one position, while writers go on.

create table m23.leases (
  work_id uuid primary key,
  token   uuid not null,
  until   timestamptz not null,
  taken   int not null default 1,  -- by how many workers since the last progress
  pid     int default pg_backend_pid(),  -- which backend took or renewed it last,
  backend_start timestamptz              -- and since when that has run
);
select m23.close_table('m23.leases');

create function m23.own_start() returns timestamptz
language sql volatile set search_path = '' as
$$ select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a $$;

create function m23.lease_end() returns timestamptz
language plpgsql volatile set search_path = '' as $$ begin return clock_timestamp() + make_interval(secs => m23.setting('lease_seconds')::int); end $$;

-- Takes or takes over a lease; null while somebody else holds it.
create function m23.take_lease(p_work uuid) returns m23.leases
language plpgsql set search_path = '' as $$
declare v_lease m23.leases;
begin
  insert into m23.leases as l (work_id, token, until, backend_start)
    values (p_work, gen_random_uuid(), m23.lease_end(), m23.own_start())
    on conflict (work_id) do update set token = excluded.token, until = excluded.until, taken = l.taken + 1,
                                        pid = excluded.pid, backend_start = excluded.backend_start
     where l.until < clock_timestamp()
    returning * into v_lease;
  return v_lease;
end $$;

-- Renews a lease, or says that it was lost: the worker must stop then.
create function m23.keep_lease(p_work uuid, p_token uuid) returns void
language plpgsql set search_path = '' as $$
begin
  update m23.leases set until = m23.lease_end(), pid = pg_backend_pid(), backend_start = m23.own_start()
   where work_id = p_work and token = p_token;
  if not found then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;

-- Whether the backend that renewed a lease last is known to have died with its server. A pool closes connections for
-- other reasons, so that one which is only gone says nothing of its worker, but where nothing is between two calls.
create function m23.holder_is_dead(p_lease m23.leases, p_is_one_call boolean) returns boolean
language plpgsql volatile set search_path = '' as $$
declare v_server_start timestamptz := greatest(pg_postmaster_start_time(),
  (select a.backend_start from pg_stat_activity a where a.backend_type = 'checkpointer'));  -- crashes end it, too
begin
  return coalesce(p_lease.backend_start < v_server_start, false)
      or p_is_one_call and p_lease.pid is not null and not exists (
    select from pg_stat_activity a
     where a.pid = p_lease.pid and coalesce(a.backend_start = p_lease.backend_start, true));
end $$;

-- The same without renewing it, for a long read beside which others renew it.
create function m23.check_lease(p_work uuid, p_token uuid) returns void
language plpgsql set search_path = '' as $$
begin
  if not exists (select from m23.leases where work_id = p_work and token = p_token) then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;

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
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.name, 'type', c.type_name,
           'not_null', c.not_null,
           'identity', nullif(c.identity::text, ''))) order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated);
end $$;
comment on function m23.shape_of(oid) is 'The columns of a table that hold values of their own, as a manifest lists them.';

create function m23.key_of(p_relid oid) returns text[]
language plpgsql stable set search_path = '' as $$ begin return (select array_agg(c.name order by c.key_ord) from m23.columns_of(p_relid, p_of_key => true) c); end $$;

-- The planner's estimate of a tenant's rows: no scan, and good enough for a progress bar.
create function m23.estimated_rows(p_table m23.protected_tables, p_tenant uuid) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_query text := format('explain (format json) select from %s where %I = %L', m23.qualified_name(p_table.relid),
                         m23.tenant_column(p_table), p_tenant);
  v_path  text := m23.path_of(p_table.relid);
  v_plan  json;
begin
  perform set_config('search_path', v_path, true);
  begin  -- which lets go of the indexes: there may be hundreds of tables
    execute v_query into v_plan;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  perform pg_catalog.set_config('search_path', '', true);
  return (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
end $$;

-- Rows a second, as measured over the last backups; 50,000 before there is one.
create function m23.backup_throughput() returns numeric
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(sum(rows) / nullif(sum(seconds), 0), 50000) from (
    select (j.metadata -> 'progress' ->> 'rows')::numeric as rows, j.duration_seconds as seconds
      from public.backup_jobs j
     where j.status = 'completed' and j.duration_seconds > 0 and (j.metadata -> 'progress' ->> 'rows')::bigint > 1000
     order by j.completed_at desc limit 20) recent);
end $$;

create function m23.new_backup_job(p_tenant uuid, p_backup jsonb) returns public.backup_jobs
language sql set search_path = '' as $$
  insert into public.backup_jobs (tenant_id, backup_name, description, job_type, tables, base_backup_id, created_by)
  values (p_tenant,
          coalesce(p_backup ->> 'backupName', format('%s %s', p_backup ->> 'jobType', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))),
          p_backup ->> 'description', p_backup ->> 'jobType',
          (select array_agg(t) from jsonb_array_elements_text(p_backup -> 'tables') t),
          (p_backup ->> 'baseBackupId')::uuid, auth.uid())
  returning *
$$;

-- The job that a request runs: a new one, or one that createBackupJob has left pending.
create function m23.requested_job(p_tenant uuid, p_backup jsonb) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare v_job public.backup_jobs;
begin
  if p_backup ->> 'jobId' is null then
    perform m23.parent_backup(p_tenant, (p_backup ->> 'baseBackupId')::uuid);
    return m23.new_backup_job(p_tenant, p_backup);
  end if;
  select * into v_job from public.backup_jobs j where j.id = (p_backup ->> 'jobId')::uuid and j.tenant_id = p_tenant for update;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup job in this tenant');
  end if;
  if v_job.status <> 'pending' or exists (select from m23.backup_work w where w.job_id = v_job.id) then
    perform m23.refuse('VALIDATION_FAILED', 'the job cannot be run', array[format('jobId: this job was started before and is %s', v_job.status)]);
  end if;
  return v_job;
end $$;

create function public.m23_begin_backup(p_request_id uuid, p_backup jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-create');
  v_detail  text;
begin
  perform m23.refuse_body('backup-create', p_backup);
  return m23.start_backup(m23.requested_job(v_request.tenant_id, case  -- only an incremental builds on a base
      when p_backup ->> 'jobType' <> 'incremental' then p_backup - 'baseBackupId' else p_backup end));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_backup(uuid, jsonb) is
  'For backup-create: accepts a job under an admitted request and fixes its position. A worker drives it from there.';

-- p_like: a job that the same transaction began before it, under the same locks; its tables' definitions are taken over.
create function m23.start_backup(p_job public.backup_jobs, p_like uuid default null) returns json
language plpgsql set search_path = '' as $$
declare v_parent m23.backup_work;
begin
  perform m23.renew_types();
  perform m23.refuse_backup_faults(p_job);
  if p_job.job_type = 'snapshot' then
    return m23.make_snapshot_backup(p_job);
  elsif p_job.job_type = 'incremental' then
    v_parent := m23.join_chain(p_job);
  end if;
  perform m23.lock_tables(array(
    select t.relid from public.backup_jobs j cross join lateral m23.chosen(j.tables) t where j.id = p_job.id));
  perform m23.note_backup_work(p_job, v_parent);
  perform m23.note_backup_tables(p_job, v_parent, p_like);
  return m23.note_estimate(p_job.id, v_parent);
end $$;

create function m23.refuse_backup_faults(p_job public.backup_jobs) returns void
language plpgsql set search_path = '' as $$
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

create function m23.note_backup_work(p_job public.backup_jobs, p_parent m23.backup_work) returns void
language plpgsql set search_path = '' as $$
declare v_taken record;
begin
  select * into v_taken from m23.take_position();
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, prefix, commit_times, ticks, definitions)
    values (p_job.id, p_job.tenant_id, v_taken.here, m23.incarnation(), v_taken.at, format('tenants/%s/backups/%s', p_job.tenant_id, p_job.id),
            m23.commit_times_since(p_parent.position_at), m23.ticks_between(p_parent, v_taken.here, v_taken.at), m23.type_definitions(p_job.tables));
end $$;

create function m23.note_backup_tables(p_job public.backup_jobs, p_parent m23.backup_work, p_like uuid default null)
returns void
language plpgsql set search_path = '' as $$
declare v_logged int[] := m23.logged_tables(
  array(select t.id from m23.protected_tables t where p_parent.job_id is not null), p_job.tenant_id,
  pg_snapshot_xmin(p_parent.position));
begin
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, attnums, key, definition, whole, history_done, estimated_rows)
    select p_job.id, row_number() over (order by n.nspname, c.relname), t.id, n.nspname, c.relname, m23.tenant_column(t),
           m23.shape_of(t.relid), array(select f.attnum from m23.columns_of(t.relid) f where not f.generated order by f.attnum),
           m23.key_of(t.relid),
           coalesce((select b.definition from m23.backup_tables b where b.job_id = p_like and b.table_id = t.id),
                    m23.table_definition(t.relid)),
           chain.whole, chain.whole,
           case when chain.whole then m23.estimated_rows(t, p_job.tenant_id)
                when t.id = any (v_logged) then m23.count_changes(t, p_job.tenant_id, p_parent.position) else 0 end
      from m23.chosen((select j.tables from public.backup_jobs j where j.id = p_job.id)) t
      join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (select m23.is_whole(t, p_parent) as whole offset 0) chain;
end $$;

-- What a caller and a progress bar are told of a job's size.
create function m23.note_estimate(p_job uuid, p_parent m23.backup_work) returns json
language plpgsql set search_path = '' as $$
declare
  v_rows    bigint := (select coalesce(sum(estimated_rows), 0) from m23.backup_tables where job_id = p_job);
  v_seconds numeric := round(1 + v_rows / m23.backup_throughput(), 1);
  v_work    m23.backup_work;
  v_job     public.backup_jobs;
begin
  select * into v_work from m23.backup_work where job_id = p_job;
  update public.backup_jobs set metadata = metadata || jsonb_build_object('estimated_rows', v_rows, 'estimated_seconds', v_seconds,
      'position', v_work.position::text, 'position_at', v_work.position_at) where id = p_job returning * into v_job;
  return json_build_object('job_id', v_job.id, 'backup_name', v_job.backup_name, 'estimated_duration', v_seconds, 'status', v_job.status,
    'sealed', m23.must_be_sealed(v_job.tenant_id),
    'parent', case when p_parent.job_id is not null then json_build_object('manifest', p_parent.manifest, 'sha256', p_parent.manifest_sha256) end);
end $$;

-- Driving -------------------------------------------------------------------------

create function m23.fail_backup(p_job uuid, p_error text) returns void
language sql set search_path = '' as $$
  update public.backup_jobs set status = 'failed', error_message = left(p_error, 2000), completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_job and status in ('pending', 'in_progress');
  delete from m23.leases where work_id = p_job;
$$;

create function m23.backup_plan(p_job uuid, p_token uuid) returns json
language plpgsql stable set search_path = '' as $$
begin
  return (select json_build_object('job_id', w.job_id, 'lease', p_token, 'tenant_id', w.tenant_id, 'prefix', w.prefix, 'key', m23.key_plan(w),
    'parent', (select json_build_object('manifest', p.manifest, 'sha256', p.manifest_sha256)
                 from public.backup_jobs j join m23.backup_work p on p.job_id = j.parent_backup_id where j.id = w.job_id),
    'parts', (select json_agg(json_build_object('ordinal', t.ordinal, 'schema', t.schema_name, 'name', t.table_name, 'history', history,
                 'done', case when history then t.history_done else t.done end,
                 'next_seq', (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history),
                 'after', (select c.last_key from m23.backup_chunks c where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history
                            order by c.seq desc limit 1)) order by t.ordinal, history)
                 from m23.backup_tables t cross join (values (false), (true)) h (history) where t.job_id = w.job_id and not (t.whole and h.history)))
    from m23.backup_work w where w.job_id = p_job);
end $$;

create function public.m23_claim_backup(p_job_id uuid default null) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_job   uuid;
  v_lease m23.leases;
begin
  for v_job in
    select j.id from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
     where j.status in ('pending', 'in_progress') and (p_job_id is null or j.id = p_job_id)
     order by j.created_at
  loop
    v_lease := m23.take_lease(v_job);
    if v_lease.taken > 5 then
      perform m23.fail_backup(v_job, 'five workers have taken this backup up without getting further');
    elsif v_lease.token is not null then
      update public.backup_jobs set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp()) where id = v_job;
      return m23.backup_plan(v_job, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_backup(uuid) is
  'For the workers: takes the lease of a job (this one, or any accepted one that nobody drives) and gives its plan; null when there is none.';

-- One line of COPY's text format for a row `r`: tab-separated, \N for null, and
-- backslash, tab, newline and carriage return escaped. With a list: of these columns only.
create function m23.copy_line(p_relid oid, p_columns text[] default null) returns text
language sql stable set search_path = '' as $$
  select string_agg(case
      when c.plain then format('coalesce(%s, ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'jsonb' then format('coalesce(replace((%s) collate "C", ''\'', ''\\''), ''\N'')', m23.text_of(c, 'r'))  -- it escapes the others itself
      when c.type_name = 'bytea' then format('coalesce(''\'' || r.%I::text, ''\N'')', c.name)
      -- A column's own collation may be one that replace() does not support.
      else format('coalesce(replace(replace(replace(replace((%s) collate "C", ''\'', ''\\''), chr(9), ''\t''), chr(10), ''\n''), chr(13), ''\r''), ''\N'')',
                  m23.text_of(c, 'r')) end, ' || chr(9) || ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated and (p_columns is null or c.name = any (p_columns))
$$;

-- A sum over lines, whatever their order and however they are cut into chunks: those of a
-- restored copy must come to the same.
create function m23.fingerprint_of(p_lines text[]) returns numeric
language sql immutable set search_path = '' as
$$ select coalesce(sum(hashtextextended(l collate "C", 0)), 0) from unnest(p_lines) l $$;

-- PostgREST gives a function's result as raw bytes when its type is called so.
create domain m23."application/octet-stream" as bytea;

-- The next chunk of a table: a first line of JSON `{"rows", "last_key", "next_key", "done", "fingerprint"}`,
-- then the rows as COPY lines. `next_key`, where it is known, is the key at which the chunk after it will end.
-- Bounded in rows and bytes, whatever the tenant's size.
create function public.m23_read_chunk(p_job_id uuid, p_lease uuid, p_ordinal int, p_after text[], p_history boolean default false) returns m23."application/octet-stream"
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_work  m23.backup_work;
  v_part  m23.backup_tables;
  v_table m23.protected_tables;
  v_rows  int := m23.setting('chunk_rows')::int;
  v_limit bigint := m23.setting('chunk_bytes')::bigint;
  v_at    m23.moment;
  v_from  m23.moment;
  v_path  text;
  v_query text;
  v_quiet boolean;
  v_chunk record;
  v_key   text;
  v_next  text[];
  v_done  boolean;
begin
  perform m23.check_lease(p_job_id, p_lease);
  select * into v_work from m23.backup_work where job_id = p_job_id;
  select * into v_part from m23.backup_tables where job_id = p_job_id and ordinal = p_ordinal;
  select * into v_table from m23.protected_tables where id = v_part.table_id;
  v_at := m23.moment_of(v_work.position);
  v_from := m23.moment_of(m23.parent_position(p_job_id));
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot.
  if m23.qualified_name(v_table.relid) is not null then
    execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  end if;
  perform m23.check_part(v_part, v_table, v_work);  -- an ALTER TABLE may have held that lock
  v_key := m23.part_key(v_table, p_history);
  v_path := m23.path_of(v_table.relid);
  v_quiet := v_part.whole and not p_history and not m23.has_changed(v_table, v_work.tenant_id, v_work.position);
  loop
    -- In one pass, without keeping the page: the rows come in order. The fingerprint is m23.fingerprint_of.
    v_query := format('
        select count(*) as rows, string_agg(m23_line, chr(10)) as lines,
               coalesce(sum(pg_catalog.hashtextextended(m23_line collate "C", 0::bigint)), 0)::text as fingerprint,
               coalesce(max(m23_bytes), 0) as bytes,
               pg_catalog.max(array[%2$s]) filter (where m23_n = %3$s or m23_bytes >= $5) as last_key
          from (select p.*, sum(octet_length(m23_line) + 1) over (rows unbounded preceding) as m23_bytes, count(*) over (rows unbounded preceding) as m23_n from (%1$s) p) r
         where m23_bytes - octet_length(m23_line) - 1 < $5',
      m23.part_query(v_part, p_history, v_table, v_rows, v_quiet,
                     m23.log_of(v_table.id, v_work.tenant_id, least(v_at.floor, v_from.floor))), v_key, v_rows);
    -- Here, and not by a function: its result would be copied once more.
    perform set_config('search_path', v_path, true);
    begin
      execute v_query into v_chunk using v_work.tenant_id, v_at, p_after, v_from, v_limit;
    exception when data_exception then  -- an ALTER TYPE waits for no reader: it may have come in between
      perform m23.check_part(v_part, v_table, v_work);
      raise;
    end;
    perform pg_catalog.set_config('search_path', '', true);
    v_done := v_chunk.rows < v_rows and v_chunk.bytes < v_limit;
    if v_quiet and v_chunk.rows = v_rows then
      v_next := m23.key_ahead(v_table, v_work.tenant_id, v_key, v_chunk.last_key, v_rows);
      v_done := v_next is null and m23.key_ahead(v_table, v_work.tenant_id, v_key, v_chunk.last_key, 1) is null;
    end if;
    -- What live rows show is in the log for every later statement: if it still has nothing, they were those of the position.
    exit when not v_quiet or not m23.has_changed(v_table, v_work.tenant_id, v_work.position);
    v_quiet := false;
    v_next := null;
  end loop;
  -- By || and not by concat(), which copies long texts more often.
  return convert_to(json_build_object('rows', v_chunk.rows, 'last_key', v_chunk.last_key, 'next_key', v_next,
                                      'done', v_done, 'fingerprint', v_chunk.fingerprint)::text || chr(10)
                    || case when v_chunk.rows > 0 then v_chunk.lines || chr(10) else '' end, 'UTF8');
end $$;
comment on function public.m23_read_chunk(uuid, uuid, int, text[], boolean) is
  'For the workers: the next chunk of a backup, as of its position.';

-- The key of the n-th live row after a key, null where there are fewer: where the next chunk will end if nothing changes.
create function m23.key_ahead(p_table m23.protected_tables, p_tenant uuid, p_key text, p_after text[], p_rows int) returns text[]
language plpgsql volatile set search_path = '' as $$
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

-- The next lines of a part of a backup (m23_line), with the columns of their keys, in order.
-- Parameters: those of m23.touched_since for the backup's position, and $4, the parent's as a moment. With p_live
-- from the live rows alone. p_log: the log's entries since the earlier of the two.
create function m23.part_query(
  p_part m23.backup_tables, p_history boolean, p_table m23.protected_tables, p_limit int, p_live boolean, p_log text
) returns text
language plpgsql stable set search_path = '' as $$
declare v_key text := m23.key_list(p_table.relid, 'r');
begin
  if p_history then
    return format('select concat_ws(chr(9), r.m23_op, r.m23_change_id, r.m23_xid, coalesce(r.m23_at::text, ''\N''), r.m23_unchanged, %s) as m23_line, r.m23_change_id, r.m23_xid from (%s) r order by r.m23_change_id, r.m23_xid',
      m23.copy_line(p_table.relid), m23.history_query(p_table, p_log, p_limit));
  end if;
  return format('select %s as m23_line, %2$s from (%3$s) r order by %2$s limit %4$s', m23.copy_line(p_table.relid), v_key,
    case when p_live then m23.live_query(p_table, p_limit)
         when p_part.whole then m23.as_of_query(p_table, p_log, p_limit)
         else m23.changed_query(p_table, p_log, p_limit) end, p_limit);
end $$;

-- The key of such a line `r`, as texts.
create function m23.part_key(p_table m23.protected_tables, p_history boolean) returns text
language sql stable set search_path = '' as $$
  select case when p_history then 'r.m23_change_id::text, r.m23_xid::text' else
    (select string_agg(m23.text_of(c, 'r'), ', ' order by c.key_ord) from m23.columns_of(p_table.relid, p_of_key => true) c) end
$$;

-- What would make the rest of a backup another moment, or another shape, than its beginning.
create function m23.check_part(p_part m23.backup_tables, p_table m23.protected_tables, p_work m23.backup_work) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_name text := p_part.schema_name || '.' || p_part.table_name;
  v_gap  text;
begin
  if p_table.id is null or not exists (select from pg_class where oid = p_table.relid) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s was dropped or unprotected while it was backed up', v_name));
  end if;
  if m23.shape_of(p_table.relid) <> p_part.columns or m23.key_of(p_table.relid) <> p_part.key then
    perform m23.refuse('BACKUP_UNUSABLE', format('the columns of %s changed while it was backed up', v_name));
  end if;
  if p_work.incarnation <> m23.incarnation() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the database was restored or copied while the backup ran');
  end if;
  v_gap := m23.reading_fault(p_table, p_work);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
end $$;

-- Why a table cannot be read as of a backup's position.
create function m23.reading_fault(p_table m23.protected_tables, p_work m23.backup_work) returns text
language plpgsql stable set search_path = '' as $$
declare v_moment m23.moment := m23.moment_of(p_work.position, p_work.position_at);
begin
  return coalesce(m23.moment_fault(p_table, v_moment), m23.lost_since(p_table, p_work.tenant_id, v_moment),
    case when m23.has_altered_type(p_table.relid, p_work.position)
         then format('a type that %s uses was altered while it was backed up', m23.public_name(p_table.relid)) end);
end $$;

-- Notes a chunk that is safe in the store, and with it the job's progress. Saying the
-- same twice changes nothing.
create function public.m23_record_chunk(p_chunk jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_job     uuid := (p_chunk ->> 'job_id')::uuid;
  v_ordinal int := (p_chunk ->> 'ordinal')::int;
  v_history boolean := coalesce((p_chunk ->> 'history')::boolean, false);
begin
  perform m23.keep_lease(v_job, (p_chunk ->> 'lease')::uuid);
  if (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c where c.job_id = v_job and c.ordinal = v_ordinal and c.history = v_history)
     < (p_chunk ->> 'seq')::int then
    -- A crash where commits are asynchronous, or a replica that took over. The next worker begins at the gap.
    perform m23.refuse('UNAVAILABLE', 'the database has lost the record of an earlier chunk of this backup');
  end if;
  if (p_chunk ->> 'rows')::int > 0 then
    insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256, fingerprint, sealed_fingerprint, last_key)
      values (v_job, v_ordinal, v_history, (p_chunk ->> 'seq')::int, p_chunk ->> 'object', (p_chunk ->> 'rows')::int, (p_chunk ->> 'bytes')::bigint,
              (p_chunk ->> 'stored_bytes')::bigint, p_chunk ->> 'sha256', (p_chunk ->> 'fingerprint')::numeric, p_chunk ->> 'sealed_fingerprint',
              coalesce(m23.list_of(p_chunk -> 'last_key'), '{}'))
      on conflict do nothing;
  end if;
  update m23.backup_tables set done = case when v_history then done else (p_chunk ->> 'done')::boolean end,
         history_done = case when v_history then (p_chunk ->> 'done')::boolean else history_done end
   where job_id = v_job and ordinal = v_ordinal;
  update m23.leases set taken = 1 where work_id = v_job;
  update public.backup_jobs set metadata = metadata || jsonb_build_object('progress', m23.backup_progress(v_job)) where id = v_job;
end $$;
comment on function public.m23_record_chunk(jsonb) is 'For the workers: a chunk that is stored.';

create function m23.backup_progress(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  with c as (select coalesce(sum(rows), 0) as rows, coalesce(sum(bytes), 0) as bytes, coalesce(sum(stored_bytes), 0) as stored_bytes,
                    count(*) as chunks from m23.backup_chunks where job_id = p_job),
       t as (select count(*) as tables, count(*) filter (where done and history_done) as tables_done, sum(estimated_rows) as estimated_rows,
                    min(schema_name || '.' || table_name) filter (where not (done and history_done)) as current_table
               from m23.backup_tables where job_id = p_job)
  select jsonb_build_object('rows', c.rows, 'estimated_rows', greatest(t.estimated_rows, c.rows), 'bytes', c.bytes,
           'stored_bytes', c.stored_bytes, 'chunks', c.chunks, 'tables', t.tables, 'tables_done', t.tables_done,
           'current_table', t.current_table,
           'percent', case when t.tables = t.tables_done then 100
                           else least(99, floor(100.0 * c.rows / greatest(t.estimated_rows, c.rows, 1))) end)
    from c, t
$$;

-- The facts of a finished backup; the archive crate writes the manifest from them.
create function public.m23_backup_facts(p_job_id uuid, p_lease uuid) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if exists (select from m23.backup_tables where job_id = p_job_id and not (done and history_done)) then
    perform m23.refuse('UNAVAILABLE', 'not every table of this backup has been read to its end');
  end if;
  perform m23.refuse_erased_key(p_job_id);
  return (select json_strip_nulls(json_build_object(
      'backup_id', j.id, 'tenant_id', j.tenant_id, 'backup_name', j.backup_name, 'job_type', j.job_type,
      'position', w.position::text, 'position_at', w.position_at, 'incarnation', w.incarnation,
      'server_version', current_setting('server_version_num')::int,
      'base_backup_id', j.base_backup_id, 'parent', m23.parent_facts(j.parent_backup_id),
      'commit_times', w.commit_times, 'ticks', w.ticks, 'definitions', w.definitions,
      'tables', (select json_agg(json_build_object('schema', t.schema_name, 'name', t.table_name, 'tenant_column', t.tenant_column, 'key', t.key,
          'columns', t.columns, 'definition', t.definition, 'whole', t.whole, 'groups', m23.groups_of_part(t), 'chunks', m23.chunks_of(t, false), 'history', m23.chunks_of(t, true))
          order by t.ordinal) from m23.backup_tables t where t.job_id = j.id)))
    from public.backup_jobs j join m23.backup_work w on w.job_id = j.id where j.id = p_job_id);
end $$;

-- The groups that the log of a part of a backup leaves out columns by, with the names that they had when it began; null for a part that is whole, which has no log.
create function m23.groups_of_part(p_part m23.backup_tables) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  if p_part.whole then return null; end if;
  return (select jsonb_agg((select coalesce(jsonb_agg(u.column_facts ->> 'name' order by u.n), '[]')
                              from rows from (jsonb_array_elements(p_part.columns), unnest(p_part.attnums)) with ordinality u (column_facts, attnum, n), m23.log_groups g
                             where g.table_id = p_part.table_id and g.bit = b.bit and u.attnum = any (g.attnums)) order by b.bit)
            from generate_series(0, (select max(g.bit) from m23.log_groups g where g.table_id = p_part.table_id)) b (bit));
end $$;

-- The fingerprint of an encrypted chunk is sealed: anybody can read a manifest, and could try what a
-- short chunk holds.
create function m23.chunks_of(p_part m23.backup_tables, p_history boolean) returns json
language sql stable set search_path = '' as $$
  select coalesce(json_agg(json_build_object('object', c.object, 'rows', c.rows, 'bytes', c.bytes, 'stored_bytes', c.stored_bytes, 'sha256', c.sha256,
           'fingerprint', case when w.key_id is null then c.fingerprint::text else c.sealed_fingerprint end) order by c.seq), '[]')
    from m23.backup_chunks c join m23.backup_work w on w.job_id = c.job_id
   where c.job_id = p_part.job_id and c.ordinal = p_part.ordinal and c.history = p_history
$$;

create function public.m23_finish_backup(p_job_id uuid, p_lease uuid, p_manifest text, p_manifest_sha256 text, p_size_bytes bigint) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_gap text := (select min(m23.reading_fault(t, w))
                   from m23.backup_work w join m23.backup_tables b on b.job_id = w.job_id
                   join m23.protected_tables t on t.id = b.table_id join pg_class c on c.oid = t.relid where w.job_id = p_job_id);
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
  update m23.backup_work set manifest = p_manifest, manifest_sha256 = p_manifest_sha256 where job_id = p_job_id;
  update public.backup_jobs set status = 'completed', completed_at = clock_timestamp(), backup_size_bytes = p_size_bytes,
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = metadata || jsonb_build_object('progress', m23.backup_progress(p_job_id), 'manifest', p_manifest, 'manifest_sha256', p_manifest_sha256)
   where id = p_job_id and status = 'in_progress';
  delete from m23.leases where work_id = p_job_id;
end $$;

create function public.m23_fail_backup(p_job_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  perform m23.fail_backup(p_job_id, p_error);
end $$;

-- Lets go of a job that this worker cannot bring further now: the next one need not wait.
create function public.m23_release_work(p_work_id uuid, p_lease uuid) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.leases set until = clock_timestamp() where work_id = p_work_id and token = p_lease $$;

select m23.open_to('{authenticated, service_role}', 'public.m23_begin_backup(uuid, jsonb)');
select m23.open_to('{service_role}', 'public.m23_claim_backup(uuid)', 'public.m23_read_chunk(uuid, uuid, int, text[], boolean)',
  'public.m23_record_chunk(jsonb)', 'public.m23_backup_facts(uuid, uuid)', 'public.m23_finish_backup(uuid, uuid, text, text, bigint)',
  'public.m23_fail_backup(uuid, uuid, text)', 'public.m23_release_work(uuid, uuid)');
select m23.close_functions();
