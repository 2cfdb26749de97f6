-- Groups of columns that an update may leave out of its image: which they are, and how an update
-- tells that it has changed one.

-- Which groups a statement has changed, as a relation of one row with a column for each. It is asked once: asked for
-- each row, the settings would be half of what logging the row costs.
create function m23.changed_groups(p_table_id int) returns text
language plpgsql stable as $$
begin
  return (select format('(select %s offset 0) changed',
                  string_agg(format('%s as g%s', m23.has_changed_group(p_table_id, g.bit), g.bit), ', ' order by g.bit))
      from m23.log_groups g where g.table_id = p_table_id and g.in_use);
end $$;

-- The value of `unchanged` for an update: the bits of the groups that nobody has changed; null for none.
create function m23.unchanged_bits(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select 'nullif('
           || string_agg(format('case when changed.g%s then 0 else %s end', g.bit, 1 << g.bit), ' + ' order by g.bit)
           || ', 0)'
      from m23.log_groups g where g.table_id = p_table.id and g.in_use);
end $$;

-- The columns that can be left out: of variable length, but for numbers, keys and what foreign keys refer with,
-- by which the order of changes is told. A table of very many columns has none, as a query into its past names each of
-- them twice and can have 1,664; a partitioned table has none: a row that changes its partition
-- fires no trigger for updated rows.
create function m23.groupable_columns(p_table m23.protected_tables) returns table (attnum int2, name text)
language plpgsql stable rows 10 as $$
begin
  return query
  select a.attnum, a.attname::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
   where a.attrelid = p_table.relid and c.relkind = 'r' and c.relnatts <= 500
     and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and a.attlen = -1 and a.atttypid <> 'numeric'::regtype
     and a.attnum <> all (m23.tenancy_attnums(p_table) || m23.parent_attnums(p_table) || p_table.key_attnums)
     and not exists (select from pg_constraint k
                      where k.conrelid = a.attrelid and k.contype = 'f' and a.attnum = any (k.conkey))
   order by a.attnum;
end $$;

-- The bits of the groups that a column is or has been in: an image that has any of them does not carry it.
create function m23.column_bits(p_table m23.protected_tables, p_attnum int2) returns int
language plpgsql stable as $$
begin
  return (select coalesce(bit_or(1 << g.bit), 0)
      from m23.log_groups g where g.table_id = p_table.id and p_attnum = any (g.attnums));
end $$;

-- The groups by bit, as lists of the columns' present names; null where there are none.
create function m23.groups_of(p_table m23.protected_tables) returns jsonb
language sql stable as $$
  select jsonb_agg((select coalesce(jsonb_agg(a.attname order by a.attnum), '[]')
                      from m23.log_groups g join pg_attribute a on a.attnum = any (g.attnums)
                     where g.table_id = p_table.id and g.bit = b.bit
                       and a.attrelid = p_table.relid and not a.attisdropped) order by b.bit)
    from generate_series(0, (select max(g.bit) from m23.log_groups g where g.table_id = p_table.id)) b (bit)
$$;

-- The condition that a column, or a list of them, differs in `old` and `new` by what is stored. A value that lies
-- outside its row, and was not touched, lies where it did, which only a server from 17 on tells.
create function m23.columns_differ(p_columns text[], p_wide text[] default '{}') returns text
language plpgsql stable as $$
declare v_knows boolean := current_setting('server_version_num')::int >= 170000;
begin
  return concat_ws(' or ',
    (select format('row(%s)::pg_catalog.record operator(pg_catalog.*<>) row(%s)::pg_catalog.record',
                   string_agg(format('old.%I', c), ', '), string_agg(format('new.%I', c), ', '))
       from unnest(p_columns) c where c <> all (p_wide) or not v_knows having count(*) > 0),
    (select string_agg(format(
         'case when pg_catalog.pg_column_toast_chunk_id(old.%1$I)
                    operator(pg_catalog.=) pg_catalog.pg_column_toast_chunk_id(new.%1$I) then false
               else row(old.%1$I)::pg_catalog.record operator(pg_catalog.*<>) row(new.%1$I)::pg_catalog.record end', c),
                       ' or ')
       from unnest(p_columns) c where c = any (p_wide) and v_knows));
end $$;
