-- What keeps a table from being captured that finds its tenants by a path.

-- What is wrong with the path itself, a sentence that goes on from the table's name; null where nothing is.
create function m23.path_fault(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  if p_table.parent_id is null then return null; end if;
  return case
    when not exists (select from pg_class c where c.oid = v_parent.relid)
      then format('finds its tenants through %s, which does not exist any more', v_parent.name)
    when cardinality(m23.tenancy_columns(p_table)) < cardinality(p_table.via_attnums)
      then format('finds its tenants through %s, and has lost a column that leads there',
                  m23.public_name(v_parent.relid))
    when (select count(distinct a.attnum) from pg_attribute a
           where a.attrelid = v_parent.relid and a.attnum = any (p_table.parent_attnums) and not a.attisdropped)
         < (select count(distinct u) from unnest(p_table.parent_attnums) u)
      then format('finds its tenants through %s, which has lost a column that it is found by',
                  m23.public_name(v_parent.relid))
    when array_position(m23.path_operators(p_table), null) is not null
      then format('finds its tenants through %s, by columns that cannot be compared any more',
                  m23.public_name(v_parent.relid)) end;
end $$;

-- The obstacle of a path; null where there is none.
create function m23.path_obstacle(p_table m23.protected_tables) returns m23.obstacle
language plpgsql stable as $$
declare
  v_parent   m23.protected_tables := m23.parent_of(p_table);
  v_above    m23.obstacle;
  v_obstacle m23.obstacle;
  v_fault    text := m23.path_fault(p_table);
begin
  if p_table.parent_id is null then return null; end if;
  if v_fault is not null then
    v_obstacle.sentence := v_fault;
    v_obstacle.advice := 'put it back, or call m23.unprotect_table and protect the table by another way';
    v_obstacle.code := '42703';
  else
    v_above := m23.obstacle_of(v_parent);
    if v_above.kind is null and v_parent.suspended is null then return null; end if;
    v_obstacle.sentence := format('finds its tenants through %s, whose capture is suspended: %s',
      m23.public_name(v_parent.relid), coalesce('it ' || v_above.sentence, v_parent.suspended));
    v_obstacle.advice := coalesce(v_above.advice, 'the upkeep renews that within a minute');
    v_obstacle.code := coalesce(v_above.code, '55000');
  end if;
  v_obstacle.kind := 'no path';
  return v_obstacle;
end $$;
