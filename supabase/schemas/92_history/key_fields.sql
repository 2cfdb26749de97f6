-- Keys in queries of the log. An entry's key stands as m23_k1, m23_k2, … in the present types of its columns.

-- The columns of a log that hold a table's key as it is, by their names in the log, in the order of the key; null where
-- one is kept as text or compared in a way of its own: no index of ours serves it.
create function m23.plain_key(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return (
    select case when bool_and(c.native and coalesce(o.collisdeterministic, true)
                              and m23.equality(m23.key_index(p_table.relid), c.key_ord) = 'operator(pg_catalog.=)')
                then array_agg(m23.log_field(p_table, c.attnum) order by c.key_ord) end
      from m23.columns_of(p_table.relid, p_of_key => true) c
      join pg_attribute a on a.attrelid = p_table.relid and a.attnum = c.attnum
      left join pg_collation o on o.oid = a.attcollation);
end $$;

-- Makes the index by which a row's entries are found in a sealed part. A key that is too long for it goes without.
create function m23.index_part(p_table m23.protected_tables, p_part int) returns boolean
language plpgsql volatile as $$
declare v_key text[] := m23.plain_key(p_table);
begin
  if v_key is null or cardinality(v_key) > 16 then return false; end if;
  execute format('create index if not exists log_%1$s_%2$s_by_key on %3$s (tenant_id, %4$s)', p_table.id, p_part,
                 m23.part_name(p_table.id, p_part), array_to_string(v_key, ', '));
  return true;
exception when program_limit_exceeded then return false;
end $$;

-- The key of an entry `l`, for a select list.
create function m23.key_values(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s as m23_k%s', m23.log_value(p_table, c), c.key_ord), ', ' order by c.key_ord)
            from m23.columns_of(p_table.relid, p_of_key => true) c);
end $$;

-- The same as a list, of a relation that has it.
create function m23.numbered_key(p_relid oid, p_alias text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.m23_k%s', p_alias, c.key_ord), ', ' order by c.key_ord)
            from m23.columns_of(p_relid, p_of_key => true) c);
end $$;

-- The condition that a live row `t` has the key of `r`.
create function m23.has_numbered_key(p_relid oid) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('t.%I %s r.m23_k%s', c.name, m23.equality(i.relid, c.key_ord), c.key_ord), ' and '
                            order by c.key_ord)
            from m23.columns_of(p_relid, p_of_key => true) c, (select m23.key_index(p_relid) offset 0) i (relid));
end $$;

-- The condition that an entry `l` has one of the keys of the relation `keys`. As a list that is hashed once.
create function m23.is_among_keys(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (
    select case when count(distinct e.equality) = 1
                then format('(%s) %s any (select %s from keys k)', string_agg(e.value, ', ' order by e.n),
                            min(e.equality), m23.numbered_key(p_table.relid, 'k'))
                else format('exists (select from keys k where %s)',
                            string_agg(format('%s %s k.m23_k%s', e.value, e.equality, e.n), ' and ' order by e.n)) end
      from (select c.key_ord as n, m23.log_value(p_table, c) as value, m23.equality(i.relid, c.key_ord) as equality
              from m23.columns_of(p_table.relid, p_of_key => true) c,
                   (select m23.key_index(p_table.relid) offset 0) i (relid)) e);
end $$;

-- The condition that an entry `l` has the key of a JSON object, an expression.
create function m23.has_key(p_table m23.protected_tables, p_key text) returns text
language plpgsql stable as $$
declare v_plain text[] := m23.plain_key(p_table);
begin
  return (
    select string_agg(format('%s %s (%s ->> %L)::%s',
                             coalesce('l.' || v_plain[c.key_ord], m23.log_value(p_table, c)),
                             m23.equality(i.relid, c.key_ord), p_key, c.name, c.type_name), ' and ' order by c.key_ord)
      from m23.columns_of(p_table.relid, p_of_key => true) c,
           (select m23.key_index(p_table.relid) offset 0) i (relid));
end $$;

-- What is wrong with a key that a caller names a row of a table by.
create function m23.key_faults(p_relid oid, p_key jsonb, p_name text default 'p_key') returns text[]
language plpgsql stable as $$
declare v_key text[] := m23.key_of(p_relid);
begin
  if jsonb_typeof(p_key) is distinct from 'object' then
    return array[format('%s: must be an object of %s', p_name, array_to_string(v_key, ', '))];
  end if;
  return array(
    select format('%s.%s: %s', p_name, coalesce(k.name, c.name), case
        when c.name is null then 'is no column of the key, which is ' || array_to_string(v_key, ', ')
        when coalesce(jsonb_typeof(p_key -> c.name), 'null') = 'null' then 'is required'
        else m23.misfit(p_relid, p_key -> c.name, c.type_name) end)
      from jsonb_object_keys(p_key) k (name)
      full join m23.columns_of(p_relid, p_of_key => true) c on c.name = k.name
     where c.name is null or coalesce(jsonb_typeof(p_key -> c.name), 'null') = 'null'
        or m23.misfit(p_relid, p_key -> c.name, c.type_name) is not null
     order by 1);
end $$;
