-- Columns of tables, and what statements say of them.

create type m23.column_shape as (
  attnum    int2,
  name      text,
  type_name text,     -- without length or precision
  native    boolean,  -- a base type of pg_catalog: logged as it is
  plain     boolean,  -- its text holds no character that a COPY line escapes
  key_ord   int,      -- place in the key, from 1; null outside it
  generated boolean,
  identity  "char",
  not_null  boolean
);

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
  'The live columns of a table, or those of its key, in order.';

-- A value's text as PostgreSQL would print it. A cast to text is the same for most
-- types, and faster; it would cut the blanks of char(n).
create function m23.text_of(p_column m23.column_shape, p_alias text) returns text
language plpgsql immutable as $$
begin
  return case
    when p_column.type_name = 'boolean'
    then format('case when %1$s.%2$I then ''t'' when not %1$s.%2$I then ''f'' end', p_alias, p_column.name)
    when p_column.native and p_column.type_name not in ('bpchar', 'character', '"char"', 'inet')
      then format('%s.%I::text', p_alias, p_column.name)
    -- IS NULL also holds for a composite value whose fields are all null, which is no null.
    else format('case when %1$s.%2$I is not distinct from null then null else concat(%1$s.%2$I) end',
                p_alias, p_column.name) end;
end $$;

-- The type by which a column's values are read where some can be missing: an entry of the log need not carry them all.
-- A domain that refuses nulls gives way to what it is made of.
create function m23.type_with_nulls(p_table oid, p_attnum int2) returns text
language plpgsql stable as $$
declare v_type oid := (select a.atttypid from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum);
begin
  if not exists (select from pg_type t where t.oid = v_type and t.typtype = 'd') then
    return format_type(v_type, -1);
  end if;
  return (with recursive under (type, depth) as (
      select v_type, 0
      union all
      select t.typbasetype, u.depth + 1 from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select format_type((array_agg(u.type order by case when of.refuses then -u.depth else u.depth end))[1], -1)
      from under u
     cross join (select bool_or(t.typnotnull) as refuses from under x join pg_type t on t.oid = x.type) of);
end $$;

-- The name of the column that holds a row's tenant.


-- The columns of a table that hold values of their own, for a select list.
create function m23.select_list(p_relid oid, p_alias text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.attnum)
      from m23.columns_of(p_relid) c where not c.generated);
end $$;
