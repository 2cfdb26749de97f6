-- What a restore is to make of which tables.

-- The tables and wanted rows of work.
create function m23.targets_of(p_work m23.restore_work) returns m23.target[]
language plpgsql as $$
begin
  if p_work.job_id is not null then
    return m23.staged_targets(p_work);
  elsif (p_work.undo).xids is not null then
    return m23.undo_targets(p_work.undo, p_work.moment);
  end if;
  return m23.logged_targets(p_work.tables, p_work.moment, p_work.selection);
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
