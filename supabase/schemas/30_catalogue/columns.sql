create type m23.column_shape as (
  attnum    int2,
  name      text,
  type_name text,     -- without length or precision
  native    boolean,  -- a base type of pg_catalog: logged as it is
  plain     boolean,  -- its text holds no character that a COPY line escapes
  key_ord   int,      -- place in the primary key, from 1; null outside it
  generated boolean,
  identity  "char",
  not_null  boolean
);

create function m23.key_attnums(p_table oid) returns int2[]
language plpgsql stable as $$
begin
  return (select (indkey::int2[])[0:indnkeyatts - 1] from pg_index where indrelid = p_table and indisprimary);
end $$;
comment on function m23.key_attnums(oid) is
  'The columns of a table''s primary key, in its order; what the index includes besides is no part of it.';

-- Asked for dozens of times in a restore: planned once, and not for each table.
create function m23.columns_of(p_table oid, p_of_key boolean default false) returns setof m23.column_shape
language plpgsql stable rows 20 set plan_cache_mode = force_generic_plan as $$
declare v_key int2[] := m23.key_attnums(p_table);
begin
  return query
  select a.attnum, a.attname::text, format_type(a.atttypid, -1),
         t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm'),
         a.atttypid = any (array['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'uuid', 'date', 'time',
                                 'timetz', 'timestamp', 'timestamptz', 'interval', 'oid']::regtype[]::oid[]),
         array_position(v_key, a.attnum), a.attgenerated <> '', a.attidentity, a.attnotnull
    from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and (not p_of_key or a.attnum = any (v_key))
   order by a.attnum;
end $$;
comment on function m23.columns_of(oid, boolean) is
  'The live columns of a table, or those of its primary key, in order.';

-- A value's text as PostgreSQL would print it. A cast to text is the same for most
-- types, and faster; it would cut the blanks of char(n).
create function m23.text_of(p_column m23.column_shape, p_alias text) returns text
language sql immutable as $$
  select case
    when p_column.type_name = 'boolean'
    then format('case when %1$s.%2$I then ''t'' when not %1$s.%2$I then ''f'' end', p_alias, p_column.name)
    when p_column.native and p_column.type_name not in ('bpchar', 'character', '"char"', 'inet')
      then format('%s.%I::text', p_alias, p_column.name)
    -- IS NULL also holds for a composite value whose fields are all null, which is no null.
    else format('case when %1$s.%2$I is not distinct from null then null else concat(%1$s.%2$I) end',
                p_alias, p_column.name) end
$$;

-- The type by which a column's values are read where some can be missing: an entry of the log need not carry them all.
-- A domain that refuses nulls gives way to what it is made of.
create function m23.type_with_nulls(p_table oid, p_attnum int2) returns text
language plpgsql stable as $$
begin
  return (with recursive under (type, depth) as (
      select a.atttypid, 0 from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum
      union all
      select t.typbasetype, u.depth + 1 from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select format_type((array_agg(u.type order by case when of.refuses then -u.depth else u.depth end))[1], -1)
      from under u
     cross join (select bool_or(t.typnotnull) as refuses from under x join pg_type t on t.oid = x.type) of);
end $$;

-- Whether a constraint is kept at all: from PostgreSQL 18 on it may say that it is not.
create function m23.is_enforced(p_constraint pg_constraint) returns boolean
language plpgsql stable as $$
begin
  return current_setting('server_version_num')::int < 180000 or (to_jsonb(p_constraint) ->> 'conenforced')::boolean;
end $$;

-- Whether a foreign key has PERIOD: several rows together may be what a row of it refers to.
create function m23.is_temporal(p_constraint pg_constraint) returns boolean
language plpgsql stable as $$
begin
  return current_setting('server_version_num')::int >= 180000 and (to_jsonb(p_constraint) ->> 'conperiod')::boolean;
end $$;

-- The operator with which an index compares its column; null where there is none. Strategy 3 is equal, 5 is greater.
create function m23.comparison_operator(p_index oid, p_ord int, p_strategy int) returns oid
language plpgsql stable as $$
begin
  return (select a.amopopr
      from pg_index i
      join pg_opclass c on c.oid = i.indclass[p_ord - 1]
      join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = p_strategy
                    and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
     where i.indexrelid = p_index);
end $$;

-- How an index compares its column, by name: with an empty search path `=` would not find the
-- operator of a type such as citext.
create function m23.comparison(p_index oid, p_ord int, p_strategy int) returns text
language plpgsql stable as $$
begin
  return (select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
           where o.oid = m23.comparison_operator(p_index, p_ord, p_strategy));
end $$;

-- The operator by which an index finds its column equal.
create function m23.equality(p_index oid, p_ord int) returns text
language plpgsql stable as $$ begin return m23.comparison(p_index, p_ord, 3); end $$;

-- The name of the column that holds a row's tenant.
create function m23.tenant_column(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select attname::text from pg_attribute
           where attrelid = p_table.relid and attnum = p_table.tenant_attnum and not attisdropped);
end $$;

-- The columns of a table that hold values of their own, for a select list.
create function m23.select_list(p_relid oid, p_alias text) returns text
language sql stable as $$
  select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated
$$;

-- The columns of a table's primary key, of a row p_alias, as a list.
create function m23.key_list(p_relid oid, p_alias text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c);
end $$;

-- The condition that two rows have the same primary key.
create function m23.key_match(p_relid oid, p_left text, p_right text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%1$s.%3$I %4$s %2$s.%3$I', p_left, p_right, c.name,
                                   m23.equality(i.indexrelid, c.key_ord)), ' and ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c join pg_index i on i.indrelid = p_relid and i.indisprimary);
end $$;
