-- Restores: an archive is first read into staging, every hash checked by the worker;
-- live data is touched only by the one transaction at the end.

create table m23.restore_work (
  restore_id uuid primary key references public.restore_logs (id) on delete cascade,
  tenant_id  uuid not null,
  job_id     uuid not null,
  tables     text[]  -- schema.table, as the caller chose; null: all of the backup
);
create table m23.staged_tables (
  restore_id uuid not null references m23.restore_work (restore_id) on delete cascade,
  ordinal    int not null,
  table_id   int not null,
  staging    text not null,
  fields     text[] not null,   -- the archive's columns, in the order of its lines
  columns    text[] not null,   -- those that the live table has too
  rows       bigint not null,   -- that the manifest promises
  primary key (restore_id, ordinal)
);
create table m23.staged_chunks (
  restore_id uuid not null,
  ordinal    int not null,
  seq        int not null,
  rows       int not null,
  primary key (restore_id, ordinal, seq),
  foreign key (restore_id, ordinal) references m23.staged_tables (restore_id, ordinal) on delete cascade
);
alter table m23.restore_work enable row level security;
alter table m23.staged_tables enable row level security;
alter table m23.staged_chunks enable row level security;

-- Ending ---------------------------------------------------------------------------

create function m23.drop_staging(p_restore uuid) returns void
language plpgsql set search_path = '' as $$
declare v_staging text;
begin
  for v_staging in select staging from m23.staged_tables where restore_id = p_restore loop
    execute format('drop table if exists %s', v_staging);
  end loop;
  -- Each by itself: foreign keys cascade by triggers, which are silent after a restore has written.
  delete from m23.staged_chunks where restore_id = p_restore;
  delete from m23.staged_tables where restore_id = p_restore;
  delete from m23.restore_work where restore_id = p_restore;
  delete from m23.leases where work_id = p_restore;
end $$;

create function m23.fail_restore(p_restore uuid, p_error text) returns void
language sql set search_path = '' as $$
  update public.restore_logs set status = 'failed', error_message = left(p_error, 2000), completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_restore and status in ('pending', 'in_progress');
  select m23.drop_staging(p_restore);
$$;

-- A restore whose worker has died while it staged has changed nothing. One that is
-- writing holds its lock, however long it takes.
create function m23.sweep_restores(p_tenant uuid default null) returns int
language plpgsql set search_path = '' as $$
declare
  v_restore public.restore_logs;
  v_swept   int := 0;
begin
  for v_restore in
    select r.* from public.restore_logs r
     where r.status in ('pending', 'in_progress') and r.restore_type = 'backup' and (p_tenant is null or r.tenant_id = p_tenant)
       and not exists (select from m23.leases l where l.work_id = r.id and l.until > clock_timestamp())
  loop
    if pg_try_advisory_xact_lock(m23.restore_key(v_restore.tenant_id)) then
      perform m23.fail_restore(v_restore.id, 'the worker stopped before anything was changed; start the restore again');
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end $$;

-- Beginning -------------------------------------------------------------------------

create function m23.restorable_backup(p_tenant uuid, p_job uuid) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare v_job public.backup_jobs;
begin
  select * into v_job from public.backup_jobs where id = p_job and tenant_id = p_tenant;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  if v_job.status <> 'completed' then
    perform m23.refuse('BACKUP_UNUSABLE', format('this backup is %s, not completed', replace(v_job.status, '_', ' ')));
  end if;
  return v_job;
end $$;

create function public.m23_begin_restore(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-restore');
  v_job     public.backup_jobs := m23.restorable_backup(v_request.tenant_id, (p_restore ->> 'backupJobId')::uuid);
  v_work    m23.backup_work;
  v_names   text[];
  v_faults  text[];
  v_id      uuid;
  v_lease   m23.leases;
begin
  select * into v_work from m23.backup_work where job_id = v_job.id;
  select array_agg(coalesce(b.schema_name || '.' || b.table_name, n.name)),
         array_agg(format('tables: "%s" is not in this backup', n.name)) filter (where b.ordinal is null)
    into v_names, v_faults
    from jsonb_array_elements_text(p_restore -> 'tables') n (name)
    left join m23.backup_tables b on b.job_id = v_job.id
     and (b.schema_name || '.' || b.table_name = n.name or (b.schema_name = 'public' and b.table_name = n.name));
  v_faults := coalesce(v_faults, '{}') || m23.schema_faults(p_restore ->> 'targetSchema');
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;

  perform m23.sweep_restores(v_request.tenant_id);
  begin
    insert into public.restore_logs (tenant_id, restore_type, backup_job_id, target_schema, tables, status, started_at)
      values (v_request.tenant_id, 'backup', v_job.id, p_restore ->> 'targetSchema', v_names, 'in_progress', clock_timestamp())
      returning id into v_id;
  exception when unique_violation then
    perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
  end;
  insert into m23.restore_work (restore_id, tenant_id, job_id, tables) values (v_id, v_request.tenant_id, v_job.id, v_names);
  v_lease := m23.take_lease(v_id);
  return json_build_object('restore_log_id', v_id, 'lease', v_lease.token, 'tenant_id', v_request.tenant_id, 'backup_id', v_job.id,
                           'manifest', v_work.manifest, 'manifest_sha256', v_work.manifest_sha256, 'tables', v_names);
end $$;
comment on function public.m23_begin_restore(uuid, jsonb) is
  'For backup-restore: accepts a restore under an admitted request, and gives what the worker has to read.';

-- Staging ----------------------------------------------------------------------------

-- Makes room for one table of the archive: `{"ordinal", "schema", "name", "columns": [name…], "rows"}`.
-- Gives false for a table that is no longer there to be restored.
create function public.m23_stage_table(p_restore_id uuid, p_lease uuid, p_table jsonb) returns boolean
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_name    text := (p_table ->> 'schema') || '.' || (p_table ->> 'name');
  v_fields  text[] := array(select jsonb_array_elements_text(p_table -> 'columns'));
  v_table   m23.protected_tables := m23.find_table(v_name);
  v_staging text := format('m23_staging.s_%s_%s', replace(p_restore_id::text, '-', ''), (p_table ->> 'ordinal')::int);
  v_columns text[];
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  if v_table.id is null then
    update public.restore_logs set warnings = warnings || format('%s is not protected any more and was left out', v_name) where id = p_restore_id;
    return false;
  end if;
  select array_agg(c.name order by c.attnum) into v_columns from m23.columns_of(v_table.relid) c where c.name = any (v_fields) and not c.generated;
  if not m23.key_of(v_table.relid) <@ v_columns or m23.tenant_column(v_table) <> all (v_columns) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s has another primary key or tenant column than when it was backed up', v_name));
  end if;
  update public.restore_logs set warnings = warnings || array(
      select format('%s.%s no longer exists; its values were left out', v_name, f) from unnest(v_fields) f where f <> all (v_columns)
      union all
      select format('%s.%s is newer than the backup; it was left as it is', v_name, c.name) from m23.columns_of(v_table.relid) c
       where not c.generated and c.name <> all (v_columns))
   where id = p_restore_id;
  execute format('create unlogged table if not exists %s (%s)', v_staging,
    (select string_agg(format('%I %s', c.name, c.type_name), ', ' order by c.attnum) from m23.columns_of(v_table.relid) c where c.name = any (v_columns)));
  execute format('alter table %s enable row level security', v_staging);
  insert into m23.staged_tables (restore_id, ordinal, table_id, staging, fields, columns, rows)
    values (p_restore_id, (p_table ->> 'ordinal')::int, v_table.id, v_staging, v_fields, v_columns, (p_table ->> 'rows')::bigint)
    on conflict do nothing;
  return true;
end $$;

create function m23.copy_unescape(p_field text) returns text
language sql immutable strict set search_path = '' as $$
  select array_to_string(array(
    select replace(replace(replace(part, '\t', chr(9)), '\n', chr(10)), '\r', chr(13))
      from unnest(string_to_array(p_field, '\\')) with ordinality p (part, n) order by n), '\')
$$;
comment on function m23.copy_unescape(text) is 'A field of a COPY line without its escapes.';

-- One verified chunk: a first line of JSON `{"restore_id", "lease", "ordinal", "seq", "rows"}`, then its lines.
create function public.m23_stage_chunk(bytea) returns int
language plpgsql security definer set search_path = '' set row_security = off
set statement_timeout = '60s' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC' set lc_monetary = 'C' as $$
declare
  v_text   text := convert_from($1, 'UTF8');
  v_head   jsonb := split_part(v_text, chr(10), 1)::jsonb;
  v_id     uuid := (v_head ->> 'restore_id')::uuid;
  v_lines  text := substr(v_text, strpos(v_text, chr(10)) + 1);
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
  v_rows   int;
begin
  perform m23.keep_lease(v_id, (v_head ->> 'lease')::uuid);
  select * into v_staged from m23.staged_tables where restore_id = v_id and ordinal = (v_head ->> 'ordinal')::int;
  select * into v_table from m23.protected_tables where id = v_staged.table_id;
  insert into m23.staged_chunks (restore_id, ordinal, seq, rows)
    values (v_id, v_staged.ordinal, (v_head ->> 'seq')::int, (v_head ->> 'rows')::int) on conflict do nothing;
  if not found then return (v_head ->> 'rows')::int; end if;  -- said twice
  execute format('insert into %s (%s) select %s from (select string_to_array(line, chr(9), ''\N'') as f from string_to_table($1, chr(10)) line) x
                   where cardinality(f) = %s',
    v_staged.staging, (select string_agg(quote_ident(c), ', ') from unnest(v_staged.columns) c),
    (select string_agg(format(case when c.plain then 'f[%1$s]::%2$s'
                                   else '(case when strpos(f[%1$s], ''\'') = 0 then f[%1$s] else m23.copy_unescape(f[%1$s]) end)::%2$s' end,
                              array_position(v_staged.fields, c.name), c.type_name), ', ' order by c.attnum)
       from m23.columns_of(v_table.relid) c where c.name = any (v_staged.columns)),
    cardinality(v_staged.fields))
    using left(v_lines, -1);
  get diagnostics v_rows = row_count;
  if v_rows <> (v_head ->> 'rows')::int then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds %s whole rows, not %s', v_head ->> 'seq', v_table.relid::regclass, v_rows, v_head ->> 'rows'));
  end if;
  return v_rows;
end $$;
comment on function public.m23_stage_chunk(bytea) is 'For the workers: one verified chunk of an archive, into staging.';

-- Progress of a restore, for restore_logs.metadata.
create function public.m23_note_restore(p_restore_id uuid, p_lease uuid, p_progress jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  update public.restore_logs set metadata = metadata || jsonb_build_object('progress', p_progress) where id = p_restore_id;
end $$;

create function public.m23_fail_restore(p_restore_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  perform m23.fail_restore(p_restore_id, p_error);
end $$;

-- Executing ---------------------------------------------------------------------------

create function m23.pre_restore_snapshot(p_restore public.restore_logs, p_tables text[]) returns uuid
language sql set search_path = '' as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at, snapshot_data, affected_tables)
  values (p_restore.tenant_id, p_restore.id, format('before restore %s', p_restore.id), 'pre_restore', p_restore.created_by,
          clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int),
          m23.snapshot_here(), p_tables)
  returning id
$$;

create function m23.check_staged(p_restore uuid) returns void
language plpgsql set search_path = '' as $$
declare v_short record;
begin
  select t.staging, t.rows, coalesce(sum(c.rows), 0) as staged into v_short
    from m23.staged_tables t left join m23.staged_chunks c using (restore_id, ordinal)
   where t.restore_id = p_restore group by t.ordinal, t.staging, t.rows having coalesce(sum(c.rows), 0) <> t.rows limit 1;
  if found then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s of %s rows were read back', v_short.staged, v_short.rows));
  end if;
end $$;

-- The rows of a staged table: all that the manifest promises (staging does not survive a
-- crash of the server), and this tenant's. An archive holds no others; should one do so
-- all the same, the restore is refused.
create function m23.staged_query(p_staged m23.staged_tables, p_table m23.protected_tables, p_tenant uuid) returns text
language plpgsql set search_path = '' as $$
declare
  v_rows    bigint;
  v_foreign bigint;
begin
  execute format('select count(*), count(*) filter (where %I is distinct from %L) from %s',
    m23.tenant_column(p_table), p_tenant, p_staged.staging) into v_rows, v_foreign;
  if v_rows <> p_staged.rows then
    perform m23.refuse('UNAVAILABLE', 'the database was restarted while the archive was read back; start the restore again');
  end if;
  if v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
  return format('select * from %s', p_staged.staging);
end $$;

-- Brings the staged rows into the live tables, under the fence, after a snapshot to come back to.
create function m23.restore_live(p_restore public.restore_logs) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_targets  m23.target[];
  v_names    text[];
  v_since    pg_snapshot;
  v_snapshot uuid;
begin
  select array_agg(row(t, m23.staged_query(s, t, p_restore.tenant_id), s.columns)::m23.target order by s.ordinal),
         array_agg(m23.public_name(t.relid) order by s.ordinal)
    into v_targets, v_names
    from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id where s.restore_id = p_restore.id;
  select w.position into v_since from m23.backup_work w where w.job_id = p_restore.backup_job_id and w.incarnation = m23.incarnation();
  v_snapshot := m23.pre_restore_snapshot(p_restore, v_names);
  return m23.converge_fenced(p_restore.tenant_id, v_targets, v_since, v_snapshot)
      || jsonb_build_object('snapshot_id', v_snapshot, 'tables', v_names);
end $$;

-- Beside the live data: a schema of its own, out of the API's reach until somebody grants it.
create function m23.restore_beside(p_restore public.restore_logs) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_faults text[] := m23.schema_faults(p_restore.target_schema);
  v_part   record;
  v_copy   text;
  v_list   text;
  v_count  bigint;
  v_rows   bigint := 0;
  v_names  text[] := '{}';
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  execute format('create schema if not exists %I', p_restore.target_schema);
  execute format('grant usage on schema %I to service_role', p_restore.target_schema);
  for v_part in
    select s.columns, t.relid, m23.staged_query(s, t, p_restore.tenant_id) as wanted
      from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id where s.restore_id = p_restore.id order by s.ordinal
  loop
    v_copy := (select format('%I.%I', p_restore.target_schema, c.relname) from pg_class c where c.oid = v_part.relid);
    if to_regclass(v_copy) is not null then
      perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', array[format('tables: two tables are called %s; restore them one at a time', v_copy)]);
    end if;
    v_list := (select string_agg(quote_ident(c), ', ') from unnest(v_part.columns) c);
    execute format('create table %s (like %s including generated including identity including indexes including constraints including comments)',
                   v_copy, m23.qualified_name(v_part.relid));
    execute format('alter table %s enable row level security', v_copy);
    execute format('grant select on %s to service_role', v_copy);
    execute format('insert into %s (%s) overriding system value select %s from (%s) s', v_copy, v_list, v_list, v_part.wanted);
    get diagnostics v_count = row_count;
    v_rows := v_rows + v_count;
    v_names := v_names || m23.public_name(v_part.relid);
  end loop;
  return jsonb_build_object('snapshot_id', null, 'tables', v_names, 'warnings', '[]'::jsonb,
    'stats', jsonb_build_object('insertCount', v_rows, 'updateCount', 0, 'deleteCount', 0, 'totalOperations', v_rows, 'affectedTables', to_jsonb(v_names)));
end $$;

create function m23.finish_restore(p_restore public.restore_logs, p_outcome jsonb) returns json
language plpgsql set search_path = '' as $$
declare v_done public.restore_logs;
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint, stats = p_outcome -> 'stats',
         tables = array(select jsonb_array_elements_text(p_outcome -> 'tables')),
         snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         warnings = r.warnings || array(select jsonb_array_elements_text(p_outcome -> 'warnings'))
   where r.id = p_restore.id returning * into v_done;
  perform m23.drop_staging(p_restore.id);
  return json_build_object('restored_tables', v_done.tables, 'rows_restored', v_done.rows_restored, 'duration', v_done.duration_seconds,
                           'snapshot_id', v_done.snapshot_id, 'warnings', v_done.warnings, 'stats', v_done.stats);
end $$;

-- What a failure means to the caller: a refusal keeps its words, a constraint names itself,
-- anything else is ours, and its cause goes to the server's log.
create function m23.failure(p_state text, p_message text, p_table text, p_constraint text) returns json
language plpgsql set search_path = '' as $$
begin
  if p_state = 'PGRST' then
    return (select json_build_object('code', m ->> 'code', 'message', m ->> 'message', 'details', (m ->> 'details')::json)
              from (select p_message::json) x (m));
  elsif p_state like '23%' then
    return json_build_object('code', 'BACKUP_UNUSABLE', 'message', format('its rows no longer fit "%s": they would break the constraint "%s"', p_table, p_constraint));
  end if;
  raise log 'm23: restore failed: % (%)', p_message, p_state;
  return json_build_object('code', 'INTERNAL', 'message', 'the restore failed for a reason of our own; nothing was changed', 'cause', p_message || ' (' || p_state || ')');
end $$;

-- Executes a staged restore, in one transaction. Gives the outcome, or `{"error": {…}}` when
-- it failed, so that the log row can say so: an exception would take that with it.
create function public.m23_execute_restore(p_restore_id uuid, p_lease uuid) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as $$
declare
  v_restore public.restore_logs;
  v_outcome jsonb;
  v_error   json;
  v_state text; v_message text; v_table text; v_constraint text;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  select * into v_restore from public.restore_logs where id = p_restore_id;
  begin
    -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
    if not pg_try_advisory_xact_lock(m23.restore_key(v_restore.tenant_id)) then
      perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
    end if;
    perform m23.check_staged(p_restore_id);
    v_outcome := case when v_restore.target_schema is null then m23.restore_live(v_restore) else m23.restore_beside(v_restore) end;
    return m23.finish_restore(v_restore, v_outcome);
  exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_table = table_name, v_constraint = constraint_name;
    v_error := m23.failure(v_state, v_message, v_table, v_constraint);
  end;
  perform m23.fail_restore(p_restore_id, concat_ws(': ', v_error ->> 'message', (select string_agg(d, '; ') from json_array_elements_text(case json_typeof(v_error -> 'details') when 'array' then v_error -> 'details' end) d)));
  return json_build_object('error', v_error);
end $$;
comment on function public.m23_execute_restore(uuid, uuid) is 'For the workers: writes a staged archive into the live tables, or beside them.';

-- Upkeep, every minute: what dead workers have left behind, and what is past its time.
create function public.m23_sweep() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_requests bigint;
begin
  delete from m23.requests where counted_at < clock_timestamp() - make_interval(days => m23.setting('request_days')::int);
  get diagnostics v_requests = row_count;
  update public.pitr_snapshots set status = 'expired' where status = 'active' and expires_at < clock_timestamp();
  return json_build_object('restores', m23.sweep_restores(), 'requests', v_requests);
end $$;

do $$
declare v_function regprocedure;
begin
  foreach v_function in array array['public.m23_begin_restore(uuid, jsonb)', 'public.m23_stage_table(uuid, uuid, jsonb)',
      'public.m23_stage_chunk(bytea)', 'public.m23_note_restore(uuid, uuid, jsonb)', 'public.m23_fail_restore(uuid, uuid, text)',
      'public.m23_execute_restore(uuid, uuid)', 'public.m23_sweep()']::regprocedure[] loop
    execute format('revoke execute on function %s from public, anon, authenticated, service_role', v_function);
    execute format('grant execute on function %s to %s', v_function,
      case when v_function = 'public.m23_begin_restore(uuid, jsonb)'::regprocedure then 'authenticated' else 'service_role' end);
  end loop;
end $$;
revoke execute on all functions in schema m23 from public;
grant execute on function m23.caller_tenants(text[]), m23.caller_tenant(), m23.caller_membership(), m23.picked_tenant()
  to authenticated, service_role;
