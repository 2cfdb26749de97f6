-- What a restore is to make of which tables.

-- The tables and wanted rows of work.
create function m23.targets_of(p_work m23.restore_work) returns m23.target[]
language plpgsql as $$
begin
  if p_work.job_id is not null then
    return m23.staged_targets(p_work);
  elsif p_work.mode = 'exact' then
    return m23.logged_targets(p_work.tables, p_work.moment, p_work.selection);
  end if;
  return (select array_agg(m23.new_target((t).tbl, (t).moment,
              p_wanted => m23.in_mode(p_work,
                m23.statement((t).tbl, 'as_of', 'log',
                              m23.log_of((t).tbl.id, p_work.tenant_id, (p_work.moment).floor)),
                (t).tbl, (t).columns),
              p_columns => (t).columns, p_path => (t).path, p_kept => (t).kept, p_selection => (t).selection))
            from unnest(m23.complete_targets(m23.logged_targets(p_work.tables, p_work.moment, p_work.selection))) t);
end $$;

-- Tables that are to be as the log has them at a moment, named only (m23.complete_targets).
create function m23.logged_targets(
  p_tables text[], p_moment m23.moment, p_selection jsonb default null
) returns m23.target[]
language plpgsql stable as $$
begin
  return (select array_agg(m23.new_target(t, p_moment, p_selection => m23.selection_of_table(p_selection, t.id))
                           order by n.nspname <> 'public', n.nspname, c.relname)
            from m23.tables_named(p_tables) t
            join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;

-- The tables that work is about, as relations.
create function m23.relations_of(p_work m23.restore_work) returns oid[]
language plpgsql stable as $$
begin
  if p_work.job_id is null then return m23.relations_named(p_work.tables); end if;
  return array(select t.relid from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id
                where s.restore_id = p_work.work_id);
end $$;

-- What is wanted of a table when not all of it shall be as in the backup.
create function m23.in_mode(
  p_work m23.restore_work, p_wanted text, p_table m23.protected_tables, p_columns text[]
) returns text
language sql stable as $q$
  select case p_work.mode when 'exact' then p_wanted
    else format($$with backed_up as materialized (%1$s),
                live as materialized (select %2$s from %3$s r where %4$s)
           select %2$s from backed_up r where %5$s union all select %2$s from live r where %6$s$$,
      p_wanted, (select string_agg(format('r.%I', c), ', ') from unnest(p_columns) c),
      m23.qualified_name(p_table.relid), m23.belongs_to(p_table, 'r', quote_literal(p_work.tenant_id)),
      case p_work.mode when 'missing_only' then 'not ' || m23.key_in(p_table.relid, 'r', 'live') else 'true' end,
      case p_work.mode when 'missing_only' then 'true'
           else 'not ' || m23.key_in(p_table.relid, 'r', 'backed_up') end) end
$q$;

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
