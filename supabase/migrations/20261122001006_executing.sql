-- Executing: the one transaction in which live data is touched, from what was staged or from the log.

-- Its tables stand there by name and, as they may be called otherwise by then, by number.
create function m23.new_snapshot(p_tenant uuid, p_name text, p_type text, p_tables text[], p_by uuid, p_restore uuid) returns uuid
language sql set search_path = '' as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at, snapshot_data, affected_tables)
  values (p_tenant, p_restore, p_name, p_type, p_by, clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int),
          m23.snapshot_here() || jsonb_build_object('table_ids', array(select (f.tbl).id from m23.find_tables(p_tables) f order by f.n),
            'transaction', pg_current_xact_id()::text), p_tables)
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
create function m23.staged_at_moment(
  p_staged m23.staged_tables, p_wanted text, p_table m23.protected_tables, p_backup pg_snapshot, p_moment m23.moment,
  p_log text
) returns text
language sql stable set search_path = '' as $q$
  select format($$with since_backup as (with %1$s select * from touched), since_moment as (with %2$s select * from touched),
      changed as materialized (select %3$s from since_backup r union select %3$s from since_moment r)
    select %4$s from (%5$s) r left join (select * from %6$s where %7$I = $1) l on %8$s where not exists (select from changed t where %9$s)
    union all
    select %10$s from (%11$s) r left join (select * from %6$s where %7$I = $1) l on %8$s where exists (select from changed t where %9$s)$$,
    m23.touched_since(p_table, p_log, format('%L::m23.moment', m23.moment_of(p_backup))),
    m23.touched_since(p_table, p_log), m23.key_list(p_table.relid, 'r'),
    (select string_agg(format(case when c.name = any (p_staged.columns) then 'r.%I' else 'l.%I' end, c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    p_wanted, m23.qualified_name(p_table.relid), m23.tenant_column(p_table), m23.key_match(p_table.relid, 'l', 'r'), m23.key_match(p_table.relid, 't', 'r'),
    (select string_agg(format(case when c.name = any (m23.newer_columns(p_table, p_moment))
                                   then 'case when l.%1$I is not null then l.%2$I else r.%2$I end' else 'r.%2$I' end,
                              m23.tenant_column(p_table), c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    m23.as_of_query(p_table, p_log))
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
        row(t, p_work.moment, m23.staged_at_moment(
              s, m23.staged_query(s, t, p_work.tenant_id), t, v_backup.position, p_work.moment,
              m23.log_of(t.id, p_work.tenant_id, least((p_work.moment).floor, pg_snapshot_xmin(v_backup.position)), false)),
            m23.stored_columns(t.relid), null, m23.path_of(t.relid),
            m23.newer_columns(t, p_work.moment))::m23.target
      else row(t, v_logged, m23.in_mode(p_work, m23.with_newer(s, t, m23.staged_query(s, t, p_work.tenant_id)), t,
                                        m23.stored_columns(t.relid)), m23.stored_columns(t.relid),
               m23.arrived_since(s, t, p_work, v_logged), m23.path_of(t.relid), m23.newer_than(s, t))::m23.target end
      order by m23.public_name(t.relid))
    from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id where s.restore_id = p_work.work_id);
end $$;

-- The columns that an archive does not have.
create function m23.newer_than(p_staged m23.staged_tables, p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select c.name from m23.columns_of(p_table.relid) c where not c.generated and c.name <> all (p_staged.columns)
                order by c.attnum);
end $$;

-- Staged rows with the columns that the archive does not have, as null.
create function m23.with_newer(p_staged m23.staged_tables, p_table m23.protected_tables, p_rows text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('select %s from (%s) s',
             string_agg(case when c.name = any (p_staged.columns) then format('s.%I', c.name)
                             else format('null::%s as %I', m23.type_with_nulls(p_table.relid, c.attnum), c.name) end, ', ' order by c.attnum), p_rows)
            from m23.columns_of(p_table.relid) c where not c.generated);
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
  return (select array_agg(row((t).tbl, (t).moment, m23.in_mode(p_work,
                                 m23.as_of_query((t).tbl, m23.log_of((t).tbl.id, p_work.tenant_id, (p_work.moment).floor)),
                                 (t).tbl, (t).columns),
                               (t).columns, null, (t).path, (t).kept)::m23.target)
            from unnest(m23.complete(m23.logged_targets(p_work.tables, p_work.moment))) t);
end $$;

create function m23.relations_named(p_tables text[]) returns oid[]
language plpgsql stable set search_path = '' as $$ begin return array(select t.relid from m23.tables_named(p_tables) t); end $$;

create function m23.relations_of(p_work m23.restore_work) returns oid[]
language plpgsql stable set search_path = '' as $$
begin
  if p_work.job_id is null then return m23.relations_named(p_work.tables); end if;
  return array(select t.relid from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id where s.restore_id = p_work.work_id);
end $$;

-- Tables that are to be as the log has them at a moment, named only (m23.complete).
create function m23.logged_targets(p_tables text[], p_moment m23.moment) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(row(t, p_moment, null, null, null, null, null)::m23.target
                           order by n.nspname <> 'public', n.nspname, c.relname)
            from m23.tables_named(p_tables) t
            join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;

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
    exception when undefined_column or undefined_table then  -- a part of a log was dropped meanwhile, say
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
  perform m23.lock_tables(m23.relations_of(p_work));
  perform m23.begin_copy(p_restore);
  execute format('grant usage on schema %I to service_role', p_restore.target_schema);
  foreach v_target in array coalesce(m23.complete(m23.targets_of(p_work)), '{}') loop
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
  v_copy  text := (select format('%I.%I', p_restore.target_schema, c.relname) from pg_class c where c.oid = (p_target.tbl).relid);
  v_count bigint;
begin
  begin
    if not m23.make_like(v_copy, (p_target.tbl).relid,
         'including generated including identity including constraints including comments', p_target.path) then
      perform m23.warn(p_restore.id, m23.public_name((p_target.tbl).relid)
                || ': the copy has its primary key alone; the server does not find what an index of it calls');
    end if;
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  exception when integrity_constraint_violation then
    perform m23.make_bare(v_copy, (p_target.tbl).relid, p_target.path);
    perform m23.warn(p_restore.id, m23.public_name((p_target.tbl).relid)
              || ': the copy has its primary key and no other rule; its rows do not fit those of now');
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  end;
  execute format('alter table %s enable row level security', v_copy);
  execute format('grant select on %s to service_role', v_copy);
  perform m23.advance_sequences(v_copy::regclass, p_target.columns, v_copy, p_target.path);
  return v_count;
end $$;

create function m23.warn(p_work uuid, p_said text) returns void
language plpgsql set search_path = '' as
$$ begin insert into m23.staging_warnings (work_id, said) values (p_work, p_said) on conflict do nothing; end $$;

-- Makes a table like another, with its primary key and no other rule.
create function m23.make_bare(p_table text, p_relid oid, p_path text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_column name;
begin
  perform m23.run(p_path, format('create table %s (like %s including generated including identity including comments, '
                                 'primary key (%s))', p_table, m23.qualified_name(p_relid),
                                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_relid)) k)));
  for v_column in
    select c.name from m23.columns_of(p_relid) c where c.not_null and c.key_ord is null and c.identity = ''
  loop
    execute format('alter table %s alter column %I drop not null', p_table, v_column);
  end loop;
end $$;

-- Writes the wanted rows into a copy; gives how many.
create function m23.fill_copy(p_target m23.target, p_tenant uuid, p_copy text) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.run_at(p_target, p_tenant, format('
      insert into %s (%s) overriding system value select %s from (%s) w',
    p_copy, (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c), array_to_string(m23.wanted_values(p_target, false), ', '),
    coalesce(p_target.wanted, m23.as_of_query(p_target.tbl, m23.log_of((p_target.tbl).id, p_tenant, (p_target.moment).floor)))));
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
         tables = coalesce(m23.list_of(p_outcome -> 'tables'), '{}'), snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         metadata = r.metadata || jsonb_build_object('transaction', pg_current_xact_id()::text),
         warnings = r.warnings || m23.staging_warnings(p_work.work_id) || coalesce(v_warnings, '{}')
   where r.id = p_work.work_id returning * into v_done;
  return json_build_object('restored_tables', v_done.tables, 'rows_restored', v_done.rows_restored, 'duration', v_done.duration_seconds,
                           'snapshot_id', v_done.snapshot_id, 'warnings', v_done.warnings, 'stats', v_done.stats);
end $$;

-- What an operator does about a server that lacks something.
create function m23.shortage_hint(p_state text) returns text
language sql immutable set search_path = '' as $$
  select case p_state
    when '53100' then 'The disk of the database is full: give it room. docs/on-call.md says what may go.'
    when '53200' then 'The database is out of memory, or max_locks_per_transaction is too low for so many tables.'
    when '53300' then 'All connections are in use: max_connections, or the pool of PostgREST, is too small.'
    else '' end
$$;

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
  elsif p_state ~ '^2[23]' then  -- its message would show the value
    return json_build_object('code', 'CONFLICT', 'message', m23.rules_sentence(), 'details', array_remove(array[
      nullif(concat_ws(': ', nullif(p_table, ''), 'they would break "' || nullif(p_constraint, '') || '"'), '')], null));
  end if;
  raise log 'm23: restore failed: % (%)', p_message, p_state using hint = m23.shortage_hint(p_state);
  if p_state ~ '^53' then
    return json_build_object('code', 'UNAVAILABLE',
      'message', 'the database has no room for this just now; nothing was changed');
  end if;
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

-- Whether no table of a backup is there to be restored any more: the staging has told why of each.
create function m23.is_empty(p_work m23.restore_work) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_work.job_id is not null
     and not exists (select from m23.staged_tables s where s.restore_id = p_work.work_id);
end $$;

create function m23.empty_sentence() returns text
language sql immutable set search_path = '' as
$$ select 'none of these tables can be restored; nothing was changed' $$;

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
  if m23.is_empty(p_work) and not p_work.dry_run then
    perform m23.refuse('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id));
  end if;
  if p_work.dry_run then
    return m23.note_preview(p_work, m23.preview_work(p_work)::jsonb);
  end if;
  return m23.finish_restore(p_work, case when v_log.target_schema is null then m23.restore_live(p_work, v_log.created_by) else m23.restore_beside(p_work, v_log) end);
end $$;

-- Upkeep, every minute: what dead workers have left behind, what is past its time, and capture
-- that was switched off. Gives how much of each there was; nothing that is none. What is old goes in bounded shares.

create function m23.sweep_requests() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  delete from m23.requests where ctid = any (array(
    select ctid from m23.requests
     where counted_at < clock_timestamp() - make_interval(days => m23.setting('request_days')::int) limit 10000));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function m23.sweep_snapshots() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  update public.pitr_snapshots set status = 'expired' where ctid = any (array(
    select ctid from public.pitr_snapshots where status = 'active' and expires_at < clock_timestamp()
     limit 1000 for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function m23.sweep_previews() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  delete from m23.previews where ctid = any (array(
    select ctid from m23.previews where created_at < clock_timestamp() - interval '1 day' limit 100));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Who is at it already does it.
create function m23.sweep_logs() returns bigint
language plpgsql set search_path = '' as $$
begin
  return case when pg_try_advisory_xact_lock(m23.prune_key()) then m23.prune_logs() end;
end $$;

-- One step of the upkeep: one that fails takes back nothing that another has done. Null: it failed.
create function m23.sweep_step(p_function name) returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  execute format('select m23.%I()', p_function) into v_count;
  return coalesce(v_count, 0);
exception when others or query_canceled then
  raise log 'm23: the upkeep failed in %: % (%)', p_function, sqlerrm, sqlstate;
  return null;
end $$;

create function public.m23_sweep() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_step   record;
  v_count  bigint;
  v_told   jsonb := '{}';
  v_failed text[] := '{}';
begin
  for v_step in
    select * from (values
        ('requests', 'sweep_requests', true), ('snapshots', 'sweep_snapshots', false),
        ('previews', 'sweep_previews', false), ('commit times', 'keep_commit_times', false),
        ('log parts', 'sweep_logs', false), ('tenants', 'see_tenants', false),
        ('restores', 'sweep_restores', true), ('copies', 'sweep_copies', true),
        ('captures', 'renew_captures', true), ('jobs', 'sweep_pending_jobs', true),
        -- Last, as calls of their tenants wait for the audit until the end.
        ('audit', 'prune_audit', true), ('refusals', 'write_refusals', true)) s (name, step, is_told)
  loop
    v_count := m23.sweep_step(v_step.step);
    if v_count is null then v_failed := v_failed || v_step.name; end if;
    if v_count > 0 and v_step.is_told then v_told := v_told || jsonb_build_object(v_step.name, v_count); end if;
  end loop;
  return v_told || case when v_failed <> '{}' then jsonb_build_object('failed', v_failed) else '{}' end;
end $$;

select m23.open_to('{service_role}', 'public.m23_execute_restore(uuid, uuid)', 'public.m23_sweep()');
select m23.close_functions();
