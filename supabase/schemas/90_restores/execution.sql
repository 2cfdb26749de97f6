-- Executing: the one transaction in which live data is touched, from what was staged or from the log.

-- Its tables stand there by name and, as they may be called otherwise by then, by number.
create function m23.new_snapshot(
  p_tenant uuid, p_name text, p_type text, p_tables text[], p_by uuid, p_restore uuid
) returns uuid
language sql as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at,
                                     snapshot_data, affected_tables)
  values (p_tenant, p_restore, p_name, p_type, p_by,
          clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int),
          m23.snapshot_here() || jsonb_build_object(
            'table_ids', array(select (f.tbl).id from m23.find_tables(p_tables) f order by f.n),
            'transaction', pg_current_xact_id()::text),
          p_tables)
  returning id
$$;

-- Refuses a restore of which not all rows were read back.
create function m23.check_staged(p_restore uuid) returns void
language plpgsql as $$
declare v_short record;
begin
  select t.staging, t.rows, coalesce(sum(c.rows), 0) as staged into v_short
    from m23.staged_tables t left join m23.staged_chunks c using (restore_id, ordinal)
   where t.restore_id = p_restore
   group by t.ordinal, t.staging, t.rows having coalesce(sum(c.rows), 0) <> t.rows limit 1;
  if found then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s of %s rows were read back', v_short.staged, v_short.rows));
  end if;
end $$;

-- The columns that an archive does not have.
create function m23.newer_than(p_staged m23.staged_tables, p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return array(select c.name from m23.columns_of(p_table.relid) c
                where not c.generated and c.name <> all (p_staged.columns)
                order by c.attnum);
end $$;

-- Staged rows with the columns that the archive does not have, as null.
create function m23.with_newer(p_staged m23.staged_tables, p_table m23.protected_tables, p_rows text) returns text
language plpgsql stable as $$
begin
  return (select format('select %s from (%s) s',
             string_agg(case when c.name = any (p_staged.columns) then format('s.%I', c.name)
                             else format('null::%s as %I', m23.type_with_nulls(p_table.relid, c.attnum), c.name) end,
                        ', ' order by c.attnum), p_rows)
            from m23.columns_of(p_table.relid) c where not c.generated);
end $$;

-- What is wanted of a table when not all of it shall be as in the backup.
create function m23.in_mode(
  p_work m23.restore_work, p_wanted text, p_table m23.protected_tables, p_columns text[]
) returns text
language sql stable as $q$
  select case p_work.mode when 'exact' then p_wanted
    else format($$with backed_up as materialized (%1$s),
                live as materialized (select %2$s from %3$s r where r.%4$I = %5$L)
           select %2$s from backed_up r where %6$s union all select %2$s from live r where %7$s$$,
      p_wanted, (select string_agg(format('r.%I', c), ', ') from unnest(p_columns) c),
      m23.qualified_name(p_table.relid), m23.tenant_column(p_table), p_work.tenant_id,
      case p_work.mode when 'missing_only' then 'not ' || m23.key_in(p_table.relid, 'r', 'live') else 'true' end,
      case p_work.mode when 'missing_only' then 'true'
           else 'not ' || m23.key_in(p_table.relid, 'r', 'backed_up') end) end
$q$;

-- The tables and wanted rows of work.
create function m23.targets_of(p_work m23.restore_work) returns m23.target[]
language plpgsql as $$
begin
  if p_work.job_id is not null then
    return m23.staged_targets(p_work);
  elsif p_work.mode = 'exact' then
    return m23.logged_targets(p_work.tables, p_work.moment);
  end if;
  return (select array_agg(m23.new_target((t).tbl, (t).moment,
              p_wanted => m23.in_mode(p_work,
                m23.as_of_query((t).tbl, m23.log_of((t).tbl.id, p_work.tenant_id, (p_work.moment).floor)),
                (t).tbl, (t).columns),
              p_columns => (t).columns, p_path => (t).path, p_kept => (t).kept))
            from unnest(m23.complete_targets(m23.logged_targets(p_work.tables, p_work.moment))) t);
end $$;

-- The tables that work is about, as relations.
create function m23.relations_of(p_work m23.restore_work) returns oid[]
language plpgsql stable as $$
begin
  if p_work.job_id is null then return m23.relations_named(p_work.tables); end if;
  return array(select t.relid from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id
                where s.restore_id = p_work.work_id);
end $$;

-- Tables that are to be as the log has them at a moment, named only (m23.complete_targets).
create function m23.logged_targets(p_tables text[], p_moment m23.moment) returns m23.target[]
language plpgsql stable as $$
begin
  return (select array_agg(m23.new_target(t, p_moment) order by n.nspname <> 'public', n.nspname, c.relname)
            from m23.tables_named(p_tables) t
            join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;

-- Notes what a caller is told when work ends.
create function m23.add_staging_warning(p_work uuid, p_said text) returns void
language plpgsql as
$$ begin insert into m23.staging_warnings (work_id, said) values (p_work, p_said) on conflict do nothing; end $$;

-- What an operator does about a server that lacks something.
create function m23.shortage_hint(p_state text) returns text
language sql immutable as $$
  select case p_state
    when '53100' then 'The disk of the database is full: give it room. docs/on-call.md says what may go.'
    when '53200' then 'The database is out of memory, or max_locks_per_transaction is too low for so many tables.'
    when '53300' then 'All connections are in use: max_connections, or the pool of PostgREST, is too small.'
    else '' end
$$;

-- Whether no table of a backup is there to be restored any more: the staging has told why of each.
create function m23.is_empty(p_work m23.restore_work) returns boolean
language plpgsql stable as $$
begin
  return p_work.job_id is not null
     and not exists (select from m23.staged_tables s where s.restore_id = p_work.work_id);
end $$;

-- What is said of a backup none of whose tables is there any more.
create function m23.empty_sentence() returns text
language sql immutable as
$$ select 'none of these tables can be restored; nothing was changed' $$;

-- Marks snapshots that have expired, so many at a time; gives how many.
create function m23.sweep_snapshots() returns bigint
language plpgsql as $$
declare v_count bigint;
begin
  update public.pitr_snapshots set status = 'expired' where ctid = any (array(
    select ctid from public.pitr_snapshots where status = 'active' and expires_at < clock_timestamp()
     limit 1000 for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Who is at it already does it.
create function m23.sweep_logs() returns bigint
language plpgsql as $$
begin
  return case when pg_try_advisory_xact_lock(m23.prune_key()) then m23.prune_logs() end;
end $$;
