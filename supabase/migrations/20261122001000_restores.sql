-- Restores: an archive is first read into staging, every hash checked by the worker;
-- live data is touched only by the one transaction at the end.

-- Restores and rollbacks that are under way: one for a tenant at a time. A test that restores
-- touches no live data, and stands in nobody's way.
create table m23.restore_work (
  work_id   uuid primary key,
  tenant_id uuid not null,
  kind      text not null check (kind in ('backup', 'pitr', 'rollback', 'test')),
  job_id    uuid,         -- the backup to read from
  moment    m23.moment,   -- of the log; with a backup too: what changed since is taken from the log
  tables    text[],       -- schema.table; null: all of the backup
  plan_hash text,
  inside    m23.moment,   -- a moment between the backup and its parent: the staged rows are taken back to it
  mode      text not null default 'exact' check (mode in ('exact', 'missing_only', 'overwrite_existing')),
  dry_run   boolean not null default false,
  detached  boolean not null default false  -- nobody waits for its answer: any worker may go on with it
);
create unique index restore_work_tenant on m23.restore_work (tenant_id) where kind <> 'test';
create table m23.staged_tables (
  restore_id uuid not null references m23.restore_work (work_id) on delete cascade,
  ordinal    int not null,
  table_id   int not null,
  staging    text not null,
  fields     text[] not null,   -- the archive's columns, in the order of its lines
  columns    text[] not null,   -- those that the live table has too
  rows       bigint not null,   -- lines that the manifests promise
  standing   bigint not null default 0,  -- rows that are there by now
  altered    bigint not null default 0,  -- of a test: chunks that do not hold the lines which were backed up
  history    text,              -- a relation with what the log says since the parent, to go back by
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
select m23.close_table('m23.restore_work');
select m23.close_table('m23.staged_tables');
select m23.close_table('m23.staged_chunks');

-- Ending ---------------------------------------------------------------------------

create function m23.end_work(p_work uuid) returns void
language plpgsql set search_path = '' as $$
declare v_staging text;
begin
  for v_staging in select r from m23.staged_tables s, unnest(array[s.staging, s.history]) r where s.restore_id = p_work and r is not null loop
    execute format('drop table if exists %s', v_staging);
  end loop;
  delete from m23.restore_work where work_id = p_work;
  delete from m23.leases where work_id = p_work;
  delete from m23.cancellations where work_id = p_work;
end $$;

create function m23.fail_restore(p_work uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
declare v_status text := case when exists (select from m23.cancellations where work_id = p_work) then 'cancelled' else 'failed' end;
begin
  update public.restore_logs set status = v_status, error_message = left(p_error, 2000), completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_work and status in ('pending', 'in_progress');
  update public.pitr_rollbacks set status = v_status, error_message = left(p_error, 2000), completed_at = clock_timestamp()
   where id = p_work and status in ('pending', 'in_progress');
  perform m23.end_work(p_work);
end $$;

-- A restore whose worker has died before it wrote has changed nothing. One that is
-- writing holds its lock, however long it takes. One that was answered with 202 is taken up again.
create function m23.sweep_restores(p_tenant uuid default null) returns int
language plpgsql set search_path = '' as $$
declare
  v_work  m23.restore_work;
  v_swept int := 0;
begin
  for v_work in
    select w.* from m23.restore_work w
     where (p_tenant is null or w.tenant_id = p_tenant) and w.kind <> 'test' and not w.detached
       and not exists (select from m23.leases l where l.work_id = w.work_id and l.until > clock_timestamp())
  loop
    if pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.fail_restore(v_work.work_id, 'the worker stopped before anything was changed; start again');
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end $$;

-- Its caller was told that it goes on (202). A dry run has a row to follow it by from then on.
create function public.m23_detach_restore(p_restore_id uuid, p_lease uuid) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_work m23.restore_work;
begin
  perform m23.check_lease(p_restore_id, p_lease);
  update m23.restore_work set detached = true where work_id = p_restore_id returning * into v_work;
  if v_work.dry_run then
    insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, tables, status, started_at, metadata)
      values (v_work.work_id, v_work.tenant_id, v_work.kind, v_work.job_id, (v_work.inside).taken, v_work.tables, 'in_progress', clock_timestamp(), '{"dry_run": true}');
  end if;
end $$;

-- How a dry run that nobody waited for has ended. Its rows are in the preview's pages.
create function m23.note_preview(p_work m23.restore_work, p_seen jsonb) returns json
language plpgsql set search_path = '' as $$
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(), stats = p_seen -> 'stats', warnings = coalesce(m23.list_of(p_seen -> 'warnings'), '{}'),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = r.metadata || jsonb_build_object('preview', p_seen - '{stats,warnings,previewChanges}'::text[])
   where r.id = p_work.work_id;
  return p_seen;
end $$;

-- Takes up a detached restore that nobody drives or writes; null when there is none.
create function public.m23_claim_restore() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_work  m23.restore_work;
  v_lease m23.leases;
begin
  for v_work in
    select w.* from m23.restore_work w
     where w.detached and not exists (select from m23.leases l where l.work_id = w.work_id and l.until > clock_timestamp())
     order by w.work_id
  loop
    continue when not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id));
    v_lease := m23.take_lease(v_work.work_id);
    if v_lease.taken > 5 then
      perform m23.fail_restore(v_work.work_id, 'five workers have taken this restore up without getting further; nothing was changed');
    elsif v_lease.token is not null then
      return m23.order_of(v_work, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_restore() is
  'For the workers: takes the lease of a restore that goes on without its caller and lost its worker, and gives its order.';

-- Beginning -------------------------------------------------------------------------

create function m23.restorable_backup(p_tenant uuid, p_job uuid, p_needs_key boolean default true) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare
  v_job   public.backup_jobs;
  v_fault text;
begin
  select * into v_job from public.backup_jobs where id = p_job and tenant_id = p_tenant;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  v_fault := m23.chain_fault(v_job, p_needs_key);
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_fault);
  end if;
  return v_job;
end $$;

-- The names of a caller's tables as a backup has them, `schema.table`; null stays null.
create function m23.tables_in_backup(p_job uuid, p_tables text[]) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_names  text[];
  v_faults text[];
begin
  select array_agg(b.schema_name || '.' || b.table_name), array_agg(format('tables: "%s" is not in this backup', n)) filter (where b.ordinal is null)
    into v_names, v_faults
    from unnest(p_tables) n
    left join m23.backup_tables b on b.job_id = p_job
     and (b.schema_name || '.' || b.table_name = n or (b.schema_name = 'public' and b.table_name = n));
  if v_faults is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  return v_names;
end $$;

create function m23.list_of(p_json jsonb) returns text[]
language sql immutable set search_path = '' as
$$ select array_agg(t) from jsonb_array_elements_text(case jsonb_typeof(p_json) when 'array' then p_json end) t $$;

-- What a worker needs for work that it holds the lease of: for work on an archive also what
-- to read.
create function m23.order_of(p_work m23.restore_work, p_lease uuid) returns json
language sql stable set search_path = '' as $$
  select json_build_object('work_id', p_work.work_id, 'lease', p_lease, 'tenant_id', p_work.tenant_id, 'backup_id', p_work.job_id,
                           'manifest', b.manifest, 'manifest_sha256', b.manifest_sha256, 'tables', p_work.tables,
                           'rewind', (p_work.inside).taken is not null, 'dry_run', p_work.dry_run)
    from (select) one left join m23.backup_work b on b.job_id = p_work.job_id
$$;

create function m23.begin_work(p_work m23.restore_work) returns json
language plpgsql set search_path = '' as $$
begin
  perform m23.sweep_restores(p_work.tenant_id);
  begin
    insert into m23.restore_work select (p_work).*;
  exception when unique_violation then
    perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
  end;
  return m23.order_of(p_work, (m23.take_lease(p_work.work_id)).token);
end $$;

create function public.m23_begin_restore(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-restore');
  v_job     public.backup_jobs := m23.restorable_backup(v_request.tenant_id, (p_restore ->> 'backupJobId')::uuid);
  v_work    m23.restore_work;
  v_begun   json;
begin
  v_work := row(gen_random_uuid(), v_request.tenant_id, 'backup', v_job.id, null, m23.tables_in_backup(v_job.id, m23.list_of(p_restore -> 'tables')),
                p_restore ->> 'planHash', null, coalesce(p_restore ->> 'mode', 'exact'), coalesce((p_restore ->> 'dryRun')::boolean, false), false)::m23.restore_work;
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  if v_job.job_type = 'snapshot' then
    v_work := m23.from_snapshot(v_work);
  end if;
  if v_work.dry_run then
    return m23.begin_work(v_work);
  end if;
  v_begun := m23.log_restore(v_request.tenant_id, v_work, null, p_restore ->> 'targetSchema');
  update public.restore_logs set backup_job_id = v_job.id, metadata = metadata || jsonb_build_object('mode', v_work.mode) where id = v_work.work_id;
  return v_begun;
end $$;
comment on function public.m23_begin_restore(uuid, jsonb) is
  'For backup-restore: accepts a restore under an admitted request, and gives what the worker has to read.';

create function m23.refuse_restore_faults(p_work m23.restore_work, p_schema text) returns void
language plpgsql set search_path = '' as $$
declare v_faults text[] := m23.schema_faults(p_schema);
begin
  if p_schema is not null then
    v_faults := v_faults || array(select format('tables: %s are called "%s"; restore them one at a time', string_agg(schema_name || '.' || table_name, ' and ' order by schema_name), table_name)
      from m23.backup_tables where job_id = p_work.job_id and (p_work.tables is null or schema_name || '.' || table_name = any (p_work.tables)) group by table_name having count(*) > 1);
    v_faults := v_faults || case when p_work.mode <> 'exact' then array['mode: is for live tables, not for targetSchema'] end
                         || case when p_work.dry_run then array['dryRun: is for live tables, not for targetSchema'] end;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;

-- Work on a backup that is a position: its rows come from the log.
create function m23.from_snapshot(p_work m23.restore_work) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare
  v_backup m23.backup_work;
  v_fault  text;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  p_work.tables := coalesce(p_work.tables, array(select b.schema_name || '.' || b.table_name from m23.backup_tables b
    where b.job_id = p_work.job_id and (m23.find_table(b.schema_name || '.' || b.table_name)).id is not null order by b.ordinal));
  p_work.moment := m23.moment_of(v_backup.position, v_backup.position_at);
  select coalesce(min(m23.moment_fault(t, p_work.moment)), m23.tenant_fault(p_work.tenant_id, p_work.moment)) into v_fault
    from m23.protected_tables t where t.id in (select (m23.find_table(n)).id from unnest(p_work.tables) n);
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'this snapshot can no longer be restored: ' || v_fault);
  end if;
  p_work.job_id := null;
  return p_work;
end $$;

-- The row of restore_logs that stands for a restore, and its work.
create function m23.log_restore(p_tenant uuid, p_work m23.restore_work, p_target timestamptz, p_schema text) returns json
language plpgsql set search_path = '' as $$
declare v_begun json := m23.begin_work(p_work);
begin
  insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, target_schema, tables, status, started_at)
    values (p_work.work_id, p_tenant, p_work.kind, p_work.job_id, p_target, p_schema, p_work.tables, 'in_progress', clock_timestamp());
  return v_begun;
end $$;

-- Staging ----------------------------------------------------------------------------

-- What the columns of an archive are called now. Where they were renamed in this life of the
-- database, it knows them by their numbers; a name that another one of them has by now is none of them.
create function m23.present_names(p_work uuid, p_table m23.protected_tables, p_fields text[]) returns text[]
language sql stable set search_path = '' as $$
  with backup as (
    select b.attnums, array(select c ->> 'name' from jsonb_array_elements(b.columns) c) as names
      from m23.restore_work r join m23.backup_work w on w.job_id = r.job_id join m23.backup_tables b on b.job_id = w.job_id
     where r.work_id = p_work and b.table_id = p_table.id and w.incarnation = m23.incarnation())
  select array_agg(coalesce(a.attname, f.name || case when exists (
             select from backup b, pg_attribute o where o.attrelid = p_table.relid and o.attname = f.name and o.attnum = any (b.attnums)) then ' (as it was)' else '' end) order by f.n)
    from unnest(p_fields) with ordinality f (name, n)
    left join (backup b cross join unnest(b.names, b.attnums) o (name, attnum)) on o.name = f.name
    left join pg_attribute a on a.attrelid = p_table.relid and a.attnum = o.attnum and not a.attisdropped
$$;

-- Makes room for one table of the archive: `{"ordinal", "schema", "name", "columns": [name…], "rows", "rewind"}`,
-- and with `rewind` for what the log says of it. Gives which chunk is the next to be staged, from 1 on;
-- null for a table that is no longer there to be restored.
create function public.m23_stage_table(p_restore_id uuid, p_lease uuid, p_table jsonb) returns int
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_name    text := (p_table ->> 'schema') || '.' || (p_table ->> 'name');
  v_table   m23.protected_tables := m23.find_table(v_name);
  v_staging text := format('m23_staging.s_%s_%s', replace(p_restore_id::text, '-', ''), (p_table ->> 'ordinal')::int);
  v_fields  text[];
  v_columns text[];
  v_list    text;
  v_history text;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  if exists (select from m23.staged_tables where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int) then
    return (select coalesce(max(seq), 0) + 1 from m23.staged_chunks where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int);
  end if;
  if v_table.id is null then
    update public.restore_logs set warnings = array(select distinct w from unnest(warnings || format('%s is not protected any more and was left out', v_name)) w)
     where id = p_restore_id;
    return null;
  end if;
  v_fields := m23.present_names(p_restore_id, v_table, m23.list_of(p_table -> 'columns'));
  select array_agg(c.name order by c.attnum) into v_columns from m23.columns_of(v_table.relid) c where c.name = any (v_fields) and not c.generated;
  if not m23.key_of(v_table.relid) <@ v_columns or m23.tenant_column(v_table) <> all (v_columns) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s has another primary key or tenant column than when it was backed up', v_name));
  end if;
  update public.restore_logs set warnings = warnings || array(
      select format('%s.%s no longer exists; its values were left out', v_name, f) from unnest(v_fields) f where f <> all (v_columns)
      union all
      select format('%s.%s is newer than the backup; it was left as it is', v_name, c.name) from m23.columns_of(v_table.relid) c
       where not c.generated and c.name <> all (v_columns))
   where id = p_restore_id and restore_type = 'backup';  -- a moment has them from the log
  v_list := (select string_agg(format('%I %s', c.name, c.type_name), ', ' order by c.attnum) from m23.columns_of(v_table.relid) c where c.name = any (v_columns));
  execute format('create unlogged table if not exists %s (%s)', v_staging, v_list);
  execute format('alter table %s enable row level security', v_staging);
  if (p_table ->> 'rewind')::boolean then
    v_history := v_staging || '_history';
    execute format('create unlogged table if not exists %s (m23_op "char", m23_change_id bigint, m23_xid xid8, m23_at timestamptz, %s)', v_history, v_list);
    execute format('alter table %s enable row level security', v_history);
  end if;
  insert into m23.staged_tables (restore_id, ordinal, table_id, staging, fields, columns, rows, history)
    values (p_restore_id, (p_table ->> 'ordinal')::int, v_table.id, v_staging, v_fields, v_columns, (p_table ->> 'rows')::bigint, v_history)
    on conflict do nothing;
  return 1;
end $$;

create function m23.copy_unescape(p_field text) returns text
language sql immutable strict set search_path = '' as $$
  select array_to_string(array(
    select replace(replace(replace(part, '\t', chr(9)), '\n', chr(10)), '\r', chr(13))
      from unnest(string_to_array(p_field, '\\')) with ordinality p (part, n) order by n), '\')
$$;
comment on function m23.copy_unescape(text) is 'A field of a COPY line without its escapes.';

-- One verified chunk: a first line of JSON `{"restore_id", "lease", "ordinal", "seq", "rows", "kind"}`, then its
-- lines: `rows`, or the `history` of keys whose rows so far are no longer theirs; of `rewind` the entries are kept.
-- `"from"` is `{"backup_id", "ordinal", "seq", "history"}`, the chunk's place in its backup, and `"fingerprint"` what the
-- archive says of its lines.
create function public.m23_stage_chunk(bytea) returns int
language plpgsql security definer set search_path = '' set row_security = off
set statement_timeout = '60s' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC' set lc_monetary = 'C' as $$
declare
  v_end    int := position('\x0a'::bytea in $1);  -- bytes are cut faster than characters
  v_head   jsonb := convert_from(substring($1 from 1 for v_end - 1), 'UTF8')::jsonb;
  v_id     uuid := (v_head ->> 'restore_id')::uuid;
  v_kind   text := coalesce(v_head ->> 'kind', 'rows');
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
  v_lines  text := convert_from(substring($1 from v_end + 1 for greatest(octet_length($1) - v_end - 1, 0)), 'UTF8');
  v_rows   bigint;
begin
  perform m23.keep_lease(v_id, (v_head ->> 'lease')::uuid);
  update m23.leases set taken = 1 where work_id = v_id;
  select * into v_staged from m23.staged_tables where restore_id = v_id and ordinal = (v_head ->> 'ordinal')::int;
  select * into v_table from m23.protected_tables where id = v_staged.table_id;
  insert into m23.staged_chunks (restore_id, ordinal, seq, rows)
    values (v_id, v_staged.ordinal, (v_head ->> 'seq')::int, (v_head ->> 'rows')::int) on conflict do nothing;
  if not found then return (v_head ->> 'rows')::int; end if;  -- said twice
  v_rows := case when v_kind = 'rows' then m23.stage_rows(v_staged, v_table, v_lines) else m23.stage_history(v_staged, v_table, v_lines, v_kind = 'rewind') end;
  if v_rows <> (v_head ->> 'rows')::int then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds %s whole lines, not %s', v_head ->> 'seq', v_table.relid::regclass, v_rows, v_head ->> 'rows'));
  end if;
  update public.restore_logs set metadata = jsonb_set(metadata, '{progress,rows}',
      to_jsonb((select sum(c.rows) from m23.staged_chunks c where c.restore_id = v_id))) where id = v_id and metadata ? 'progress';
  if exists (select from m23.restore_work w where w.work_id = v_id and w.kind = 'test') then
    perform m23.examine_chunk(v_staged, v_head, v_lines);
  end if;
  return v_rows;
end $$;
comment on function public.m23_stage_chunk(bytea) is 'For the workers: one verified chunk of an archive, into staging.';

-- The values of a line `f` in the columns that are staged; p_skip fields come before them.
create function m23.line_values(p_staged m23.staged_tables, p_table m23.protected_tables, p_skip int) returns text
language sql stable set search_path = '' as $$
  select string_agg(format(case when c.plain then 'f[%1$s]::%2$s as %3$I'
                                -- a cast from text would not know "-", nor the number of what has been dropped
                                when c.type_name = 'regclass' then 'regclassin(textout(f[%1$s])) as %3$I'
                                else '(case when strpos(f[%1$s], ''\'') = 0 then f[%1$s] else m23.copy_unescape(f[%1$s]) end)::%2$s as %3$I' end,
                           array_position(p_staged.fields, c.name) + p_skip, c.type_name, c.name), ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c where c.name = any (p_staged.columns)
$$;

-- Lines with as many fields as there should be, as arrays `f`; cut once, and not for each field.
create function m23.whole_lines(p_staged m23.staged_tables, p_skip int) returns text
language sql immutable set search_path = '' as $q$
  select format($$(select * from (select string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x where cardinality(f) = %s) whole$$,
                cardinality(p_staged.fields) + p_skip)
$q$;

create function m23.stage_rows(p_staged m23.staged_tables, p_table m23.protected_tables, p_lines text) returns bigint
language plpgsql set search_path = '' as $$
declare v_rows bigint;
begin
  execute format('insert into %s (%s) select %s from %s', p_staged.staging, (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c),
                 m23.line_values(p_staged, p_table, 0), m23.whole_lines(p_staged, 0)) using p_lines;
  get diagnostics v_rows = row_count;
  update m23.staged_tables set standing = standing + v_rows where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
exception when unique_violation then
  perform m23.refuse('BACKUP_UNUSABLE', format('the archive has a row of %s twice', p_table.relid::regclass));
end $$;

-- The keys of these entries have no row any more, until the next rows bring one.
create function m23.stage_history(p_staged m23.staged_tables, p_table m23.protected_tables, p_lines text, p_keep boolean) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_list  text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
  v_rows  bigint;
  v_gone  bigint;
begin
  execute format('create unique index if not exists s_%s_%s on %s (%s)', replace(p_staged.restore_id::text, '-', ''), p_staged.ordinal, p_staged.staging,
                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_table.relid)) k));
  execute format('
      with entries as materialized (select f[1]::"char" as m23_op, f[2]::bigint as m23_change_id, f[3]::xid8 as m23_xid, f[4]::timestamptz as m23_at, %1$s from %2$s),
           gone as (delete from %3$s r using (select distinct %4$s from entries e) k where %5$s returning 1),
           kept as (%6$s)
      select (select count(*) from entries), (select count(*) from gone)',
    m23.line_values(p_staged, p_table, 4), m23.whole_lines(p_staged, 4), p_staged.staging, m23.key_list(p_table.relid, 'e'), m23.key_match(p_table.relid, 'k', 'r'),
    case when p_keep then format('insert into %s (m23_op, m23_change_id, m23_xid, m23_at, %2$s) select m23_op, m23_change_id, m23_xid, m23_at, %2$s from entries', p_staged.history, v_list)
         else 'select' end)
    into v_rows, v_gone using p_lines;
  update m23.staged_tables set standing = standing - v_gone where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
end $$;

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

create function m23.new_snapshot(p_tenant uuid, p_name text, p_type text, p_tables text[], p_by uuid, p_restore uuid) returns uuid
language sql set search_path = '' as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at, snapshot_data, affected_tables)
  values (p_tenant, p_restore, p_name, p_type, p_by, clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int), m23.snapshot_here(), p_tables)
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
  if v_rows <> p_staged.standing then
    perform m23.refuse('UNAVAILABLE', 'the database was restarted while the archive was read back; start the restore again');
  end if;
  if v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
  return format('select * from %s', p_staged.staging);
end $$;

-- What the staged rows say, but for keys that have changed since the backup or since the
-- moment: those are as the log has them at the moment. A column that the archive does not have
-- is, in rows that nobody has changed, as it is; one that is newer than the moment always is.
create function m23.staged_at_moment(p_staged m23.staged_tables, p_wanted text, p_table m23.protected_tables, p_backup pg_snapshot, p_moment m23.moment) returns text
language sql stable set search_path = '' as $q$
  select format($$with since_backup as (with %1$s select * from touched), since_moment as (with %2$s select * from touched),
      changed as materialized (select %3$s from since_backup r union select %3$s from since_moment r)
    select %4$s from (%5$s) r left join (select * from %6$s where %7$I = $1) l on %8$s where not exists (select from changed t where %9$s)
    union all
    select %10$s from (%11$s) r left join (select * from %6$s where %7$I = $1) l on %8$s where exists (select from changed t where %9$s)$$,
    replace(replace(replace(m23.touched_since(p_table), '$2', quote_literal(p_backup) || '::pg_snapshot'), '$3', 'null::timestamptz'),
            '$4', quote_literal(pg_snapshot_xmin(p_backup)) || '::xid8'),
    m23.touched_since(p_table), m23.key_list(p_table.relid, 'r'),
    (select string_agg(format(case when c.name = any (p_staged.columns) then 'r.%I' else 'l.%I' end, c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    p_wanted, m23.qualified_name(p_table.relid), m23.tenant_column(p_table), m23.key_match(p_table.relid, 'l', 'r'), m23.key_match(p_table.relid, 't', 'r'),
    (select string_agg(format(case when m23.is_newer(row(p_table, p_moment, null, null, null)::m23.target, c.attnum)
                                   then 'case when l.%1$I is not null then l.%2$I else r.%2$I end' else 'r.%2$I' end,
                              m23.tenant_column(p_table), c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    m23.as_of_query(p_table))
$q$;

create function m23.staged_targets(p_work m23.restore_work) returns m23.target[]
language plpgsql set search_path = '' as $$
declare
  v_backup m23.backup_work;
  v_logged m23.moment;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  if v_backup.incarnation = m23.incarnation() then
    v_logged := m23.moment_of(v_backup.position);  -- without a time: the staging of its tables has told of their shape
  end if;
  return (select array_agg(case
      when (p_work.moment).position is not null then
        row(t, p_work.moment, m23.staged_at_moment(s, m23.staged_query(s, t, p_work.tenant_id), t, v_backup.position, p_work.moment),
            (m23.target_of(t, p_work.moment)).columns, null)::m23.target
      else row(t, v_logged, m23.in_mode(p_work, m23.staged_query(s, t, p_work.tenant_id), t, s.columns), s.columns, m23.arrived_since(s, t, p_work, v_logged))::m23.target end
      order by m23.public_name(t.relid))
    from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id where s.restore_id = p_work.work_id);
end $$;

-- What is wanted of a table when not all of it shall be as in the backup.
create function m23.in_mode(p_work m23.restore_work, p_wanted text, p_table m23.protected_tables, p_columns text[]) returns text
language sql stable set search_path = '' as $q$
  select case p_work.mode when 'exact' then p_wanted
    else format($$with backed_up as materialized (%1$s), live as materialized (select %2$s from %3$s r where r.%4$I = %5$L)
           select %2$s from backed_up r where %6$s union all select %2$s from live r where %7$s$$,
      p_wanted, (select string_agg(format('r.%I', c), ', ') from unnest(p_columns) c), m23.qualified_name(p_table.relid), m23.tenant_column(p_table), p_work.tenant_id,
      case p_work.mode when 'missing_only' then 'not ' || m23.key_in(p_table.relid, 'r', 'live') else 'true' end,
      case p_work.mode when 'missing_only' then 'true' else 'not ' || m23.key_in(p_table.relid, 'r', 'backed_up') end) end
$q$;

-- The tables and wanted rows of work.
create function m23.targets_of(p_work m23.restore_work) returns m23.target[]
language plpgsql set search_path = '' as $$
begin
  if p_work.job_id is not null then
    return m23.staged_targets(p_work);
  elsif p_work.mode = 'exact' then
    return m23.logged_targets(p_work.tables, p_work.moment);
  end if;
  return (select array_agg(row((t).tbl, (t).moment, m23.in_mode(p_work, m23.as_of_query((t).tbl), (t).tbl, (t).columns), (t).columns, null)::m23.target)
            from unnest(m23.logged_targets(p_work.tables, p_work.moment)) t);
end $$;

create function m23.logged_targets(p_tables text[], p_moment m23.moment) returns m23.target[]
language sql stable set search_path = '' as $$
  select array_agg(m23.target_of(t, p_moment) order by m23.public_name(t.relid))
    from m23.protected_tables t where t.id in (select (m23.find_table(n)).id from unnest(p_tables) n)
$$;

-- Writes the wanted rows into the live tables, under the fence, after a snapshot to come back
-- to. A column that is renamed or dropped before its table is locked makes it begin again.
create function m23.restore_live(p_work m23.restore_work, p_by uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_targets  m23.target[];
  v_names    text[];
  v_snapshot uuid;
begin
  for v_left in reverse 4..0 loop
    begin
      v_targets := m23.targets_of(p_work);
      v_names := array(select m23.public_name((t).tbl.relid) from unnest(v_targets) t);
      v_snapshot := m23.new_snapshot(p_work.tenant_id, format('before %s %s', case p_work.kind when 'rollback' then 'rollback' else 'restore' end, p_work.work_id),
                                     'pre_restore', v_names, p_by, (select id from public.restore_logs where id = p_work.work_id));
      return m23.converge_fenced(p_work.tenant_id, v_targets, p_work.plan_hash, v_snapshot, p_work.work_id)
          || jsonb_build_object('snapshot_id', v_snapshot, 'tables', v_names);
    exception when undefined_column then
      if v_left = 0 then raise; end if;
    end;
  end loop;
end $$;

-- Beside the live data: a schema of its own, out of the API's reach until somebody grants it.
create function m23.restore_beside(p_work m23.restore_work, p_restore public.restore_logs) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_faults text[] := m23.schema_faults(p_restore.target_schema);
  v_target m23.target;
  v_rows   bigint := 0;
  v_names  text[] := '{}';
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  perform m23.begin_copy(p_restore);
  execute format('grant usage on schema %I to service_role', p_restore.target_schema);
  foreach v_target in array coalesce(m23.targets_of(p_work), '{}') loop
    v_rows := v_rows + m23.copy_beside(v_target, p_restore);
    v_names := v_names || m23.public_name((v_target.tbl).relid);
  end loop;
  perform m23.end_copy(p_restore);
  return jsonb_build_object('snapshot_id', null, 'tables', v_names, 'warnings', '[]'::jsonb,
    'stats', jsonb_build_object('insertCount', v_rows, 'updateCount', 0, 'deleteCount', 0, 'totalOperations', v_rows, 'affectedTables', to_jsonb(v_names)));
end $$;

create function m23.copy_beside(p_target m23.target, p_restore public.restore_logs) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_live  text := m23.qualified_name((p_target.tbl).relid);
  v_copy  text := (select format('%I.%I', p_restore.target_schema, c.relname) from pg_class c where c.oid = (p_target.tbl).relid);
  v_list  text := (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c);
  v_count bigint;
begin
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot.
  execute format('lock table %s in access share mode', v_live);
  execute format('create table %s (like %s including generated including identity including indexes including constraints including comments)', v_copy, v_live);
  execute format('alter table %s enable row level security', v_copy);
  execute format('grant select on %s to service_role', v_copy);
  execute format('insert into %s (%s) overriding system value select %s from (%s) s', v_copy, v_list, v_list, coalesce(p_target.wanted, m23.as_of_query(p_target.tbl)))
    using p_restore.tenant_id, (p_target.moment).position, (p_target.moment).at, (p_target.moment).floor, null::text[];
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- The log row of work that is done; its figures, for the caller.
create function m23.finish_restore(p_work m23.restore_work, p_outcome jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_warnings text[] := m23.list_of(p_outcome -> 'warnings');
  v_done     public.restore_logs;
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint, stats = p_outcome -> 'stats',
         tables = m23.list_of(p_outcome -> 'tables'), snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         metadata = r.metadata || jsonb_build_object('transaction', pg_current_xact_id()::text),
         warnings = r.warnings || coalesce(v_warnings, '{}')
   where r.id = p_work.work_id returning * into v_done;
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
  elsif p_state = '57014' then
    return json_build_object('code', 'UNAVAILABLE', 'message', 'the restore was cancelled before it was done; nothing was changed');
  elsif p_state like '23%' then
    return json_build_object('code', 'BACKUP_UNUSABLE', 'message', format('its rows no longer fit "%s": they would break the constraint "%s"', p_table, p_constraint));
  end if;
  if p_state like '22%' then  -- its message would show the value
    return json_build_object('code', 'VALIDATION_FAILED', 'message', 'values of that moment do not fit the types that their columns have now; nothing was changed');
  end if;
  raise log 'm23: restore failed: % (%)', p_message, p_state;
  return json_build_object('code', 'INTERNAL', 'message', 'the restore failed for a reason of our own; nothing was changed', 'cause', p_message || ' (' || p_state || ')');
end $$;

-- Executes a restore or rollback, in one transaction. Gives the outcome, or `{"error": {…}}`
-- when it failed, so that the log row can say so: an exception would take that with it.
create function public.m23_execute_restore(p_restore_id uuid, p_lease uuid) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' set plan_cache_mode = force_generic_plan as $$
declare
  v_work    m23.restore_work;
  v_error   json;
  v_outcome json;
  v_state text; v_message text; v_table text; v_constraint text;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  select * into v_work from m23.restore_work where work_id = p_restore_id;
  begin
    -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
    if not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
    end if;
    perform m23.stop_if_cancelled(p_restore_id);
    v_outcome := m23.execute_work(v_work);
    perform m23.end_work(p_restore_id);
    return v_outcome;
  exception when query_canceled or others then  -- the others do not include it
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_table = table_name, v_constraint = constraint_name;
    v_error := m23.failure(v_state, v_message, v_table, v_constraint);
  end;
  perform m23.fail_restore(p_restore_id, concat_ws(': ', v_error ->> 'message', array_to_string(m23.list_of((v_error -> 'details')::jsonb), '; ')));
  return json_build_object('error', v_error);
end $$;
comment on function public.m23_execute_restore(uuid, uuid) is
  'For the workers: writes what was planned or staged into the live tables, or beside them.';

create function m23.execute_work(p_work m23.restore_work) returns json
language plpgsql set search_path = '' as $$
declare
  v_log      public.restore_logs;
  v_rollback public.pitr_rollbacks;
begin
  if p_work.kind = 'rollback' then
    select * into v_rollback from public.pitr_rollbacks where id = p_work.work_id;
    return m23.finish_rollback(v_rollback, m23.restore_live(p_work, v_rollback.created_by));
  end if;
  select * into v_log from public.restore_logs where id = p_work.work_id;
  perform m23.check_staged(p_work.work_id);
  perform m23.rewind_staged(p_work);
  if p_work.dry_run then
    return m23.note_preview(p_work, m23.preview_work(p_work)::jsonb);
  end if;
  return m23.finish_restore(p_work, case when v_log.target_schema is null then m23.restore_live(p_work, v_log.created_by) else m23.restore_beside(p_work, v_log) end);
end $$;

-- Upkeep, every minute: what dead workers have left behind, what is past its time, and capture
-- that was switched off. Gives how much of each there was; nothing that is none.
create function public.m23_sweep() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_requests bigint;
begin
  delete from m23.requests where counted_at < clock_timestamp() - make_interval(days => m23.setting('request_days')::int);
  get diagnostics v_requests = row_count;
  update public.pitr_snapshots set status = 'expired' where status = 'active' and expires_at < clock_timestamp();
  delete from m23.previews where created_at < clock_timestamp() - interval '1 day';
  perform m23.keep_commit_times();
  perform m23.prune_logs();
  return json_strip_nulls(json_build_object('restores', nullif(m23.sweep_restores(), 0), 'requests', nullif(v_requests, 0),
                                            'copies', nullif(m23.sweep_copies(), 0), 'captures', nullif(m23.renew_captures(), 0), 'backups', nullif(m23.retire_backups(), 0)));
end $$;

select m23.open_to('{authenticated}', 'public.m23_begin_restore(uuid, jsonb)');
select m23.open_to('{service_role}', 'public.m23_stage_table(uuid, uuid, jsonb)', 'public.m23_stage_chunk(bytea)',
  'public.m23_note_restore(uuid, uuid, jsonb)', 'public.m23_fail_restore(uuid, uuid, text)', 'public.m23_execute_restore(uuid, uuid)',
  'public.m23_detach_restore(uuid, uuid)', 'public.m23_claim_restore()', 'public.m23_sweep()');
select m23.close_functions();
