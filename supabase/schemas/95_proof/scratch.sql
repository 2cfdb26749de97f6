-- The deepest test: the staged archive is restored into a scratch schema, compared with what was
-- backed up, damaged, restored in place and taken back again. All of it is one transaction that
-- rolls that back: nobody else ever sees the schema, and nothing of it can stay.

-- A staged table and its copy, which stands for a protected table wherever a restore needs one.
create type m23.scratch as (
  staged m23.staged_tables,
  live   m23.protected_tables,
  copy   m23.protected_tables,
  name   text,  -- of the live table, as callers write it
  path   text   -- m23.path_of the live table
);

-- A copy as what a restore converges, to the rows of a query.
create function m23.scratch_target(p_scratch m23.scratch, p_wanted text) returns m23.target
language plpgsql stable as $$
begin
  return m23.new_target(p_scratch.copy, p_wanted => p_wanted, p_columns => (p_scratch.staged).columns,
                        p_path => p_scratch.path, p_kept => '{}');
end $$;

-- A column that the backup does not have, and that a function would fill in a restore, may be empty in the copy.
create function m23.without_fills(p_copy text, p_live m23.protected_tables, p_staged m23.staged_tables) returns void
language plpgsql as $$
declare v_column name;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = p_live.relid and a.attnotnull and a.attname <> all (p_staged.columns)
       and m23.fill_call(p_live, a.attnum, p_staged.columns) is not null
  loop
    execute format('alter table %s alter column %I drop not null', p_copy, v_column);
  end loop;
end $$;

-- Gives the planner its statistics. From PostgreSQL 17 on, ANALYZE has a search path of its own: where the functions
-- of an index do not get by with it, there are none, as of the live table.
create function m23.look_at(p_scratch m23.scratch) returns void
language plpgsql as $$
begin
  perform m23.run(p_scratch.path, format('analyze %s', m23.qualified_name((p_scratch.copy).relid)));
exception when others then null;
end $$;

-- How many rows of a copy are of another tenant.
create function m23.count_foreign(p_scratch m23.scratch, p_tenant text) returns bigint
language plpgsql as $$
begin
  return m23.number_of(p_scratch.path, format('select count(*) from %s r where %s',
    m23.qualified_name((p_scratch.copy).relid),
    m23.is_foreign(p_scratch.live, p_tenant, m23.staged_parents(p_scratch.staged, p_scratch.live))));
end $$;

-- Converges the copies to what a query gives of each, as a restore does to live tables; gives
-- how many rows that changed.
create function m23.converge_scratch(p_tenant text, p_all m23.scratch[], p_wanted text[], p_work uuid) returns bigint
language plpgsql as $$
declare
  v_left text;
  v_done jsonb;
begin
  v_done := m23.converge(p_tenant, array(
    select m23.scratch_target(p_all[n], p_wanted[n]) from generate_subscripts(p_all, 1) n order by n),
    'refuse', null, p_work);
  for v_left in
    select relname from pg_class
     where relnamespace = pg_my_temp_schema() and relkind = 'r' and relname ~ '^m23_' and relname <> 'm23_checks'
  loop
    execute format('drop table pg_temp.%I', v_left);
  end loop;
  return (v_done -> 'stats' ->> 'totalOperations')::bigint;
end $$;

-- The copies, those that others refer to last.
create function m23.children_first(p_all m23.scratch[]) returns m23.scratch[]
language sql stable as $$
  with targets (t) as (select m23.parents_first(array(select m23.scratch_target(s, null) from unnest(p_all) s)))
  select array_agg((select s from unnest(p_all) s where (s).copy.relid = (t[n]).tbl.relid) order by n desc)
    from targets, generate_subscripts(t, 1) n
$$;
