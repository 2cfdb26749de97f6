-- Capture: what every row of a protected table was before each change, in one typed
-- log table per protected table, written by statement-level triggers.
--
-- The log of a key answers two questions about a position:
--   was the key there?   there now, minus the arrivals since, plus the departures
--                        since. Only sums are used, so the order in which triggers of
--                        one statement fire does not matter.
--   what was its row?    the first old image since, in order of change_id. What that
--                        image does not carry is as in the next one that does, or as in
--                        the row that is there (below).
--
--   op  balance  meaning                               carries
--   I     +1     inserted                              the key
--   D     -1     deleted (or truncated)                the old row
--   U      0     updated                               the old row
--   o     -1     an update took this key away          the key
--   n     +1     an update made this key               the key
--   l     -1     the row left for another tenant       the key
--   a     +1     the row arrived from another tenant   the key
--
-- The columns of a log table are c<attnum>: a rename costs nothing. They have types of
-- pg_catalog only; whatever the application could drop or alter is kept as text. A column
-- whose type changes gets another column in the log (m23.log_columns says since when); what
-- is logged is never rewritten.
--
-- A change id is the place in the server's log (WAL) at which the change was noted: a later change of
-- the same row has a larger one, in whichever session, and no sequence of the writer's session is
-- touched, whose lastval() stays as it was. Two transactions can read one place: what is unique is a
-- change id together with its transaction, and the entries of one key never tie.

create table m23.protected_tables (
  id            int primary key generated always as identity,
  relid         oid not null unique,
  tenant_attnum int2 not null,
  key_attnums   int2[] not null,
  name          text not null,  -- as it was last seen
  protected_at  timestamptz not null default clock_timestamp(),
  xid           xid8 not null default pg_current_xact_id(),  -- what sees it, sees every change logged
  incarnation   uuid not null references m23.incarnations (id),
  pruned_below  xid8 not null default '0',  -- the log of transactions from here on is whole
  pruned_at     timestamptz,                -- what that is as a time
  attributes    int2,                       -- the highest number of a column, as it was last seen
  triggers      text[],                     -- marks of its triggers, as they were written last
  suspended     text                        -- m23.obstacle.kind: what has kept it from being captured since its history
);
select m23.close_table('m23.protected_tables');
create index protected_tables_incarnation on m23.protected_tables (incarnation);
comment on table m23.protected_tables is 'The tables under protection, and since when.';

create table m23.log_columns (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  name      text not null,    -- in the log table
  attnum    int2 not null,    -- of the table
  column_name text not null,  -- as it was last seen
  type_name text not null,    -- in the log table
  column_type text not null,  -- in the table, when this column of the log was made
  since     pg_lsn not null,  -- the first change id that has it; 0/0: all
  since_xid xid8 not null default pg_current_xact_id(),
  until_xid xid8,             -- retyped or dropped by this transaction
  generated boolean not null, -- it had been generated before `since`
  primary key (table_id, name)
);
select m23.close_table('m23.log_columns');
comment on table m23.log_columns is 'Which column of a log holds which column of its table, from which change on.';

create table m23.log_parts (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,                    -- capture has gone on to the next one
  sealed    boolean not null default false, -- its tenants stand in m23.log_tenants
  primary key (table_id, part)
);
select m23.close_table('m23.log_parts');
comment on table m23.log_parts is
  'The parts of each log: capture writes into the newest, straight, and old ones are dropped whole.';

-- Columns that an update leaves as they are need not be in its image. They are told in groups: an
-- entry's `unchanged` has the bit of each group that its image does not carry, and is null where it
-- carries all. Only entries of updates that change neither key nor tenant leave a group out. A value
-- that is not there is as in the next image of the key that has it, and as in the live row where
-- there is none: nothing refers to what is older, so that old parts can be dropped.
create table m23.log_groups (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  bit      int not null check (bit between 0 and 30),
  attnums  int2[] not null,  -- of the table
  wide     boolean not null, -- one column whose values are long
  in_use   boolean not null default true,
  primary key (table_id, bit)
);
select m23.close_table('m23.log_groups');
comment on table m23.log_groups is
  'Which columns a bit of a log''s `unchanged` stands for. A bit is not given to other columns within a history.';

-- Shape ----------------------------------------------------------------------

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
language plpgsql stable set search_path = '' as $$ begin return (select (indkey::int2[])[0:indnkeyatts - 1] from pg_index where indrelid = p_table and indisprimary); end $$;
comment on function m23.key_attnums(oid) is 'The columns of a table''s primary key, in its order; what the index includes besides is no part of it.';

-- Asked for dozens of times in a restore: planned once, and not for each table.
create function m23.columns_of(p_table oid, p_of_key boolean default false) returns setof m23.column_shape
language plpgsql stable rows 20 set search_path = '' set plan_cache_mode = force_generic_plan as $$
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
comment on function m23.columns_of(oid, boolean) is 'The live columns of a table, or those of its primary key, in order.';

-- A value's text as PostgreSQL would print it. A cast to text is the same for most
-- types, and faster; it would cut the blanks of char(n).
create function m23.text_of(p_column m23.column_shape, p_alias text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_column.type_name = 'boolean' then format('case when %1$s.%2$I then ''t'' when not %1$s.%2$I then ''f'' end', p_alias, p_column.name)
    when p_column.native and p_column.type_name not in ('bpchar', 'character', '"char"', 'inet')
      then format('%s.%I::text', p_alias, p_column.name)
    -- IS NULL also holds for a composite value whose fields are all null, which is no null.
    else format('case when %1$s.%2$I is not distinct from null then null else concat(%1$s.%2$I) end', p_alias, p_column.name) end
$$;

-- The type by which a column's values are read where some can be missing: an entry of the log need not carry them all. A domain
-- that refuses nulls gives way to what it is made of.
create function m23.type_with_nulls(p_table oid, p_attnum int2) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (with recursive under (type, depth) as (
      select a.atttypid, 0 from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum
      union all
      select t.typbasetype, u.depth + 1 from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select format_type((array_agg(u.type order by case when of.refuses then -u.depth else u.depth end))[1], -1)
      from under u cross join (select bool_or(t.typnotnull) as refuses from under x join pg_type t on t.oid = x.type) of);
end $$;

-- Whether a constraint is kept at all: from PostgreSQL 18 on it may say that it is not.
create function m23.is_enforced(p_constraint pg_constraint) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return current_setting('server_version_num')::int < 180000 or (to_jsonb(p_constraint) ->> 'conenforced')::boolean;
end $$;

-- Whether a foreign key has PERIOD: several rows together may be what a row of it refers to.
create function m23.is_temporal(p_constraint pg_constraint) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return current_setting('server_version_num')::int >= 180000 and (to_jsonb(p_constraint) ->> 'conperiod')::boolean;
end $$;

-- The operator with which an index compares its column; null where there is none. Strategy 3 is equal, 5 is greater.
create function m23.comparison_operator(p_index oid, p_ord int, p_strategy int) returns oid
language plpgsql stable set search_path = '' as $$
begin
  return (select a.amopopr
      from pg_index i
      join pg_opclass c on c.oid = i.indclass[p_ord - 1]
      join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = p_strategy and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
     where i.indexrelid = p_index);
end $$;

-- How an index compares its column, by name: with an empty search path `=` would not find the
-- operator of a type such as citext.
create function m23.comparison(p_index oid, p_ord int, p_strategy int) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
           where o.oid = m23.comparison_operator(p_index, p_ord, p_strategy));
end $$;

create function m23.equality(p_index oid, p_ord int) returns text
language plpgsql stable set search_path = '' as $$ begin return m23.comparison(p_index, p_ord, 3); end $$;

create function m23.qualified_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

-- `schema.table`, never quoted.
create function m23.raw_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

-- The name as callers write it: `orders` in public, `schema.orders` elsewhere, never quoted.
create function m23.public_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

create function m23.tenant_column(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select attname::text from pg_attribute
           where attrelid = p_table.relid and attnum = p_table.tenant_attnum and not attisdropped);
end $$;

-- The log of one table ---------------------------------------------------------

create function m23.log_name(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23_log.log_' || p_table_id $$;

create function m23.part_name(p_table_id int, p_part int) returns text
language sql immutable set search_path = '' as $$ select format('m23_log.log_%s_%s', p_table_id, p_part) $$;

-- The part of a log that capture writes into.
create function m23.log_part(p_table_id int) returns text
language sql stable set search_path = '' as
$$ select m23.log_name(p_table_id) || '_' || max(part) from m23.log_parts where table_id = p_table_id $$;

-- Two that open one at once would both take the next number: the second waits, and takes the one after it.
create function m23.open_log_part(p_table_id int) returns void
language plpgsql set search_path = '' as $$
declare v_part int;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  v_part := coalesce((select max(part) from m23.log_parts where table_id = p_table_id), 0) + 1;
  update m23.log_parts set closed_at = clock_timestamp() where table_id = p_table_id and closed_at is null;
  insert into m23.log_parts (table_id, part) values (p_table_id, v_part);
  execute format('create table %1$s_%2$s () inherits (%1$s)', m23.log_name(p_table_id), v_part);
  execute format('create index on %s_%s (tenant_id, xid, change_id)', m23.log_name(p_table_id), v_part);
  perform m23.close_table(format('%s_%s', m23.log_name(p_table_id), v_part)::regclass);
  execute format('revoke all on %s_%s from public, anon, authenticated', m23.log_name(p_table_id), v_part);
end $$;

-- The type that a column has in the log.
create function m23.logged_type(p_column m23.column_shape) returns text
language sql immutable set search_path = '' as $$ select case when p_column.native then p_column.type_name else 'text' end $$;

-- The setting that says, to the end of the transaction, that a row's column of a group was changed. A trigger
-- for each row writes it, which fires before the one that logs the statement.
create function m23.group_flag(p_table_id int, p_bit int) returns text
language sql immutable set search_path = '' as $$ select format('m23.changed_%s_%s', p_table_id, p_bit) $$;

create function m23.has_changed_group(p_table_id int, p_bit int) returns text
language sql immutable set search_path = '' as
$$ select format('pg_catalog.current_setting(%L, true) operator(pg_catalog.=) ''yes''', m23.group_flag(p_table_id, p_bit)) $$;

-- The log's present columns for a table, and the expressions that fill them from a row `r`: with all groups of columns that an
-- image can leave out, none, or some, by what was changed (m23.changed_groups).
create function m23.log_fields(p_table m23.protected_tables, p_keys_only boolean, p_groups text default 'all', out names text, out expressions text)
language sql stable set search_path = '' as $$
  select string_agg(f.name, ', ' order by c.attnum),
         string_agg(case when p_groups = 'some' and g.bit is not null then format('case when changed.g%s then %s end', g.bit, e.value) else e.value end,
                    ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c
    join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
   cross join lateral (select case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end) e (value)
    left join m23.log_groups g on g.table_id = p_table.id and g.in_use and c.attnum = any (g.attnums)
   where not c.generated and (c.key_ord is not null or not p_keys_only) and (p_groups <> 'none' or g.bit is null)
$$;

-- The log's column for a key column, which is never retyped: that would begin another history.
create function m23.log_field(p_table m23.protected_tables, p_attnum int2) returns text
language sql stable set search_path = '' as
$$ select name from m23.log_columns where table_id = p_table.id and attnum = p_attnum and until_xid is null $$;

-- Makes the log table of a protected table, or brings its columns up to the table's.
create function m23.write_log_table(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_log    text := m23.log_name(p_table.id);
  v_new    boolean := to_regclass(v_log) is null;
  v_column record;
  v_name   text;
begin
  if v_new then
    execute format('create table %s (
        tenant_id uuid not null,
        xid       xid8 not null default pg_current_xact_id(),
        change_id pg_lsn not null default pg_current_wal_insert_lsn(),
        op        "char" not null,
        unchanged int,
        actor     uuid)', v_log);
    perform m23.close_table(v_log::regclass);
    execute format('revoke all on %s from public, anon, authenticated', v_log);
    perform m23.open_log_part(p_table.id);
  end if;
  update m23.log_columns f set column_name = c.name from m23.columns_of(p_table.relid) c where f.table_id = p_table.id and f.attnum = c.attnum;
  update m23.log_columns f set until_xid = pg_current_xact_id()
   where f.table_id = p_table.id and f.until_xid is null
     and not exists (select from m23.columns_of(p_table.relid) c where c.attnum = f.attnum and not c.generated and m23.logged_type(c) = f.type_name);
  for v_column in
    select c.attnum, c.name, c.type_name as column_type, m23.logged_type(c) as type_name, (select count(*) from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum) as versions
      from m23.columns_of(p_table.relid) c
     where not c.generated and not exists (select from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null)
  loop
    v_name := concat('c', v_column.attnum, '_' || nullif(v_column.versions, 0));
    execute format('alter table %s add column %s %s', v_log, v_name, v_column.type_name);
    insert into m23.log_columns (table_id, name, attnum, column_name, type_name, column_type, since, generated)
      values (p_table.id, v_name, v_column.attnum, v_column.name, v_column.type_name, v_column.column_type, case when v_new then '0/0' else pg_current_wal_insert_lsn() end,
              not v_new and v_column.versions = 0
                and v_column.attnum <= (select t.attributes from m23.protected_tables t where t.id = p_table.id));
  end loop;
  update m23.protected_tables t set attributes = c.relnatts from pg_class c where t.id = p_table.id and c.oid = p_table.relid;
end $$;

select m23.close_functions();
