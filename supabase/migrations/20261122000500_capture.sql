-- Capture: what every row of a protected table was before each change, in one typed
-- log table per protected table, written by statement-level triggers.
--
-- The log of a key answers two questions about a position:
--   was the key there?   there now, minus the arrivals since, plus the departures
--                        since. Only sums are used, so the order in which triggers of
--                        one statement fire does not matter.
--   what was its row?    the first old image since, in order of change_id.
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

create sequence m23.change_id;

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
  triggers      text[]                      -- marks of its triggers, as they were written last
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
  since     bigint not null,  -- the first change id that has it; 0: all
  since_xid xid8 not null default pg_current_xact_id(),
  until_xid xid8,             -- retyped or dropped by this transaction
  primary key (table_id, name)
);
select m23.close_table('m23.log_columns');
comment on table m23.log_columns is 'Which column of a log holds which column of its table, from which change on.';

create table m23.log_parts (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  primary key (table_id, part)
);
select m23.close_table('m23.log_parts');
comment on table m23.log_parts is
  'The parts of each log: capture writes into the newest, straight, and old ones are dropped whole.';

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

create function m23.columns_of(p_table oid) returns setof m23.column_shape
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query
  select a.attnum, a.attname::text, format_type(a.atttypid, -1),
         t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm'),
         a.atttypid = any (array['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'uuid', 'date', 'time',
                                 'timetz', 'timestamp', 'timestamptz', 'interval', 'oid']::regtype[]::oid[]),
         array_position(i.indkey::int2[], a.attnum) + 1,
         a.attgenerated <> '', a.attidentity, a.attnotnull
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
   where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped
   order by a.attnum;
end $$;
comment on function m23.columns_of(oid) is 'The live columns of a table, in order.';

-- A value's text as PostgreSQL would print it. A cast to text is the same for most
-- types, and faster; it would cut the blanks of char(n).
create function m23.text_of(p_column m23.column_shape, p_alias text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_column.native and p_column.type_name not in ('bpchar', 'character', '"char"', 'boolean', 'inet')
      then format('%s.%I::text', p_alias, p_column.name)
    -- IS NULL also holds for a composite value whose fields are all null, which is no null.
    else format('case when %1$s.%2$I is not distinct from null then null else concat(%1$s.%2$I) end', p_alias, p_column.name) end
$$;

-- How an index compares its column, by name: with an empty search path `=` would not find the
-- operator of a type such as citext. Strategy 3 is equal, 5 is greater.
create function m23.comparison(p_index oid, p_ord int, p_strategy int) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('operator(%I.%s)', n.nspname, o.oprname)
      from pg_index i
      join pg_opclass c on c.oid = i.indclass[p_ord - 1]
      join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = p_strategy and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
      join pg_operator o on o.oid = a.amopopr join pg_namespace n on n.oid = o.oprnamespace
     where i.indexrelid = p_index);
end $$;

create function m23.equality(p_index oid, p_ord int) returns text
language plpgsql stable set search_path = '' as $$ begin return m23.comparison(p_index, p_ord, 3); end $$;

create function m23.qualified_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
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
  return (select attname::text from pg_attribute where attrelid = p_table.relid and attnum = p_table.tenant_attnum);
end $$;

-- Statements in statements ------------------------------------------------------
-- A statement that another one fires logs its images first, though they are the younger
-- ones. The setting m23.open_<table> says which statements are open: `,U` or `,D` for each
-- that has begun, with the change id from which on others have logged since, once they have.
-- `?` stands for the transaction's first: it alone begins when nothing can have been logged,
-- and notes nothing, so that a statement that is a transaction of its own pays for nothing.

-- Ends a statement that logs from p_first on: gives what is still open, and the change id
-- from which on others have logged in its time, or null.
create function m23.end_statement(p_open text, p_op text, p_first bigint, out still_open text, out since bigint)
language plpgsql immutable set search_path = '' as $$
declare v_parts text[] := regexp_match(p_open, '^(.*),' || p_op || '(\d*)(.*)$');
begin
  since := nullif(coalesce(v_parts[2], substring(p_open from '^\?(\d*)')), '')::bigint;
  still_open := regexp_replace(coalesce(v_parts[1] || v_parts[3], p_open), '([?UD])(?=,|$)', '\1' || p_first, 'g');
end $$;

-- Who writes; null where that is nobody, or somebody whose id is no uuid.
create function m23.actor() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  return auth.uid();
exception when invalid_text_representation then return null;
end $$;

-- The capture of one table -----------------------------------------------------

create function m23.log_name(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23_log.log_' || p_table_id $$;

-- The part of a log that capture writes into.
create function m23.log_part(p_table_id int) returns text
language sql stable set search_path = '' as
$$ select m23.log_name(p_table_id) || '_' || max(part) from m23.log_parts where table_id = p_table_id $$;

create function m23.open_log_part(p_table_id int) returns void
language plpgsql set search_path = '' as $$
declare v_part int := coalesce((select max(part) from m23.log_parts where table_id = p_table_id), 0) + 1;
begin
  update m23.log_parts set closed_at = clock_timestamp() where table_id = p_table_id and closed_at is null;
  insert into m23.log_parts (table_id, part) values (p_table_id, v_part);
  execute format('create table %1$s_%2$s (primary key (tenant_id, xid, change_id)) inherits (%1$s)', m23.log_name(p_table_id), v_part);
  perform m23.close_table(format('%s_%s', m23.log_name(p_table_id), v_part)::regclass);
  execute format('revoke all on %s_%s from public, anon, authenticated', m23.log_name(p_table_id), v_part);
end $$;

-- The type that a column has in the log.
create function m23.logged_type(p_column m23.column_shape) returns text
language sql immutable set search_path = '' as $$ select case when p_column.native then p_column.type_name else 'text' end $$;

-- The log's present columns for a table, and the expressions that fill them from a row `r`.
create function m23.log_fields(p_table m23.protected_tables, p_keys_only boolean, out names text, out expressions text)
language sql stable set search_path = '' as $$
  select string_agg(f.name, ', ' order by c.attnum),
         string_agg(case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end, ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
   where not c.generated and (c.key_ord is not null or not p_keys_only)
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
        change_id bigint not null default nextval(''m23.change_id''),
        op        "char" not null,
        actor     uuid,
        primary key (tenant_id, xid, change_id))', v_log);
    perform m23.close_table(v_log::regclass);
    execute format('revoke all on %s from public, anon, authenticated', v_log);
    perform m23.open_log_part(p_table.id);
  end if;
  update m23.log_columns f set column_name = c.name from m23.columns_of(p_table.relid) c where f.table_id = p_table.id and f.attnum = c.attnum;
  update m23.log_columns f set until_xid = pg_current_xact_id()
   where f.table_id = p_table.id and f.until_xid is null
     and not exists (select from m23.columns_of(p_table.relid) c where c.attnum = f.attnum and not c.generated and m23.logged_type(c) = f.type_name);
  for v_column in
    select c.attnum, c.name, m23.logged_type(c) as type_name, (select count(*) from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum) as versions
      from m23.columns_of(p_table.relid) c
     where not c.generated and not exists (select from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null)
  loop
    v_name := concat('c', v_column.attnum, '_' || nullif(v_column.versions, 0));
    execute format('alter table %s add column %s %s', v_log, v_name, v_column.type_name);
    insert into m23.log_columns (table_id, name, attnum, column_name, type_name, since)
      values (p_table.id, v_name, v_column.attnum, v_column.name, v_column.type_name, case when v_new then 0 else nextval('m23.change_id') end);
  end loop;
end $$;

-- What a capture depends on in its table.
create function m23.layout_of(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select md5(string_agg(concat_ws(' ', c.attnum, quote_ident(c.name), c.type_name, c.native, c.generated, c.key_ord), ',' order by c.attnum))
      from m23.columns_of(p_table) c);
end $$;

-- Called immutable, and for generated code alone: with a constant it is asked when a plan is
-- made, and a plan that names a table is made anew once the table is altered. So a statement
-- that is not the first after an ALTER TABLE pays for no look at the catalogue.
create function m23.has_layout(p_table regclass, p_layout text) returns boolean
language plpgsql immutable set search_path = '' as
$$ begin return coalesce(m23.layout_of(p_table) = p_layout, false); end $$;

-- The statements that log what a transition table holds, and p_last after that where v_limit is 0.
-- Row by row the tenants' fences are shared, up to a change id that a few rows reach only now and
-- then: where it is reached, the tenants are looked up as a set, and it is time to look at the clock.
create function m23.log_statements(p_log text, p_tenant text, p_op "char", p_rows text, p_names text, p_expressions text, p_last text default '') returns text
language sql immutable set search_path = '' as $outer$
  select format($plpgsql$
      insert into %1$s (tenant_id, op, actor, %5$s)
        select r.%2$s, %3$L, v_actor, %6$s from %4$s r
         where case when currval('m23.change_id') < v_limit then pg_advisory_xact_lock_shared(uuid_hash_extended(r.%2$s, 0)) is not null
                    else r.%2$s is not null end;
      if currval('m23.change_id') >= v_limit then
        perform m23.share_fence(array(select distinct r.%2$s from %4$s r where r.%2$s is not null));
        perform m23.tick();
        %7$s
      end if;$plpgsql$, p_log, p_tenant, p_op, p_rows, p_names, p_expressions, p_last)
$outer$;

-- A row that an update moves to another partition fires no AFTER UPDATE row trigger: there the
-- sets of keys before and after are compared.
create function m23.move_statements(p_table m23.protected_tables, p_actor text) returns text[]
language plpgsql stable set search_path = '' as $outer$
declare v_key record;
begin
  select * into v_key from m23.log_fields(p_table, true);
  return (select array_agg(format($sql$
      insert into %1$s (tenant_id, op, actor, %2$s)
        select r.m23_tenant, (case when exists (select from %8$s n where %6$s) then %9$L else %10$L end)::"char", %11$s, %3$s
          from (select r.%4$s as m23_tenant, %5$s from %7$s r except all select r.%4$s, %5$s from %8$s r) r where r.m23_tenant is not null$sql$,
      m23.log_part(p_table.id), v_key.names, v_key.expressions, quote_ident(m23.tenant_column(p_table)), m23.key_list(p_table.relid, 'r'),
      m23.key_match(p_table.relid, 'n', 'r'), s.from_rows, s.to_rows, s.moved, s.changed, p_actor) order by s.n)
    from (values (1, 'old_rows', 'new_rows', 'l', 'o'), (2, 'new_rows', 'old_rows', 'a', 'n')) s (n, from_rows, to_rows, moved, changed));
end $outer$;

create function m23.capture_functions(p_table_id int) returns text
language sql immutable set search_path = '' as $$
  select string_agg(format('m23_log.%s_%s()', f.name, p_table_id), ', ')
    from unnest('{before, insert, update, delete, key, move, truncate}'::text[]) f (name)
$$;

-- Was the capture written for a server that records commit times where this one does not, or
-- the other way round?
create function m23.ticks_otherwise(p_table m23.protected_tables) returns boolean
language sql stable set search_path = '' as $$
  select (strpos(p.prosrc, 'm23.ticked') = 0) <> m23.commit_times_are_native()
    from pg_proc p where p.oid = to_regprocedure(format('m23_log.insert_%s()', p_table.id))
$$;

create function m23.write_capture_functions(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $outer$
declare
  v_log    text := m23.log_part(p_table.id);
  v_tenant text := quote_ident(m23.tenant_column(p_table));
  v_all    record;
  v_key    record;
  v_change record;
  v_moves  text[] := m23.move_statements(p_table, 'v_actor');
  -- One plan for a row and for many: else the cost of many would have each row planned anew.
  -- Values kept as text must not depend on the writer's settings.
  v_head   text := 'language plpgsql security definer set search_path = '''' set row_security = off set plan_cache_mode = force_generic_plan ' ||
    case when exists (select from m23.columns_of(p_table.relid) c where not c.native)
      then 'set datestyle = ''ISO, YMD'' set intervalstyle = ''postgres'' set timezone = ''UTC''
            set extra_float_digits = 1 set bytea_output = ''hex'' set lc_monetary = ''C'''
      else '' end;
  -- What every statement passes is written out, and each call, query and expression in it is a
  -- noticeable part of what capture costs a single row: so v_null is returned, and not NULL. Where
  -- commit times are not native, the moments to come back to are the ticks, so the clock is looked
  -- at every time.
  v_tick   text := case when m23.commit_times_are_native() then '' else
     $tick$if current_setting('m23.ticked', true) is distinct from floor(date_part('epoch', clock_timestamp()))::bigint::text then perform m23.tick(); end if;$tick$ end;
  v_is_old text := format('not m23.has_layout(%L, %L)', p_table.relid::int8, m23.layout_of(p_table.relid));
begin
  select * into v_all from m23.log_fields(p_table, false);
  select * into v_key from m23.log_fields(p_table, true);
  -- Fires before a statement, after the application's own such triggers. It has its writer's rights
  -- only, as definer rights would cost more than all that it does. Ordinary writers ask for their
  -- tenant's fence here, while they hold no row.
  execute format($ddl$
    create or replace function m23_log.before_%1$s() returns trigger language plpgsql set search_path = '' as $body$
    declare
      v_tenant uuid;
      v_open   text;
      v_null   uuid;
    begin
      if current_setting('request.jwt.claims', true) is not null or pg_current_xact_id_if_assigned() is not null then
        if current_setting('request.jwt.claims', true) <> '' and coalesce(current_setting('m23.fenced', true), '') <> 'yes' then
          begin
            v_tenant := m23.caller_tenant();
          exception when others then null;  -- they ask when they log
          end;
          perform pg_advisory_xact_lock_shared(uuid_hash_extended(v_tenant, 0));
          perform set_config('m23.fenced', 'yes', true);
        end if;
        if tg_op <> 'INSERT' and pg_current_xact_id_if_assigned() is not null then
          v_open := coalesce(nullif(current_setting('m23.open_%1$s', true), ''), '?');
          v_open := set_config('m23.open_%1$s', concat(v_open, ',', left(tg_op, 1)), true);
        end if;
      end if;
      return v_null;
    end $body$ $ddl$, p_table.id);

  execute format($ddl$
    create or replace function m23_log.insert_%1$s() returns trigger %2$s as $body$
    declare
      v_limit   bigint := nextval('m23.change_id') | 255;
      v_actor   uuid;
      v_instead text[];
      v_tenants uuid[];
      v_null    uuid;
    begin
      %3$s
      if current_setting('request.jwt.claims', true) is not null or %5$s then
        if current_setting('request.jwt.claims', true) <> '' then v_actor := m23.actor(); end if;
        if %5$s then
          v_instead := m23.instead('%1$s', tg_relid, 'insert');
          if v_instead is null then return null; end if;
          execute v_instead[1] into v_tenants;
          perform m23.share_fence(v_tenants);
          execute v_instead[2] using v_actor;
          return null;
        end if;
      end if;
      %4$s
      return v_null;
    end $body$ $ddl$, p_table.id, v_head, v_tick, m23.log_statements(v_log, v_tenant, 'I', 'new_rows', v_key.names, v_key.expressions), v_is_old);

  for v_change in select * from (values ('update', 'U'), ('delete', 'D')) c (event, op) loop
    execute format($ddl$
      create or replace function m23_log.%6$s_%1$s() returns trigger %2$s as $body$
      declare
        v_limit   bigint := nextval('m23.change_id') | 255;
        v_actor   uuid;
        v_open    text;
        v_first   bigint;
        v_since   bigint;
        v_instead text[];
        v_tenants uuid[];
        v_null    uuid;
      begin
        %3$s
        if current_setting('request.jwt.claims', true) is not null or current_setting('m23.open_%1$s', true) <> '' or %8$s then
          if current_setting('request.jwt.claims', true) <> '' then v_actor := m23.actor(); end if;
          v_open := current_setting('m23.open_%1$s', true);
          if v_open <> '' then
            v_first := nextval('m23.change_id');
            select * into v_open, v_since from m23.end_statement(v_open, %7$L, v_first);
            v_open := set_config('m23.open_%1$s', v_open, true);
            if v_since is not null then v_limit := 0; end if;
          end if;
          if %8$s then
            v_instead := m23.instead('%1$s', tg_relid, '%6$s');
            if v_instead is null then return null; end if;
            execute v_instead[1] into v_tenants;
            perform m23.share_fence(v_tenants);
            execute v_instead[2] using v_actor;
            if v_since is not null then perform m23.renumber('%5$s', v_tenants, v_since, v_first); end if;
            return null;
          end if;
        end if;
        %4$s
        return v_null;
      end $body$ $ddl$, p_table.id, v_head, v_tick,
      m23.log_statements(v_log, v_tenant, v_change.op::"char", 'old_rows', v_all.names, v_all.expressions,
        format('if v_since is not null then perform m23.renumber(%L, array(select distinct r.%s from old_rows r where r.%2$s is not null), v_since, v_first); end if;', v_log, v_tenant)),
      v_log, v_change.event, v_change.op, v_is_old);
  end loop;

  -- A row trigger, because only it knows which old key became which new one.
  execute format($ddl$
    create or replace function m23_log.key_%1$s() returns trigger %2$s as $body$
    declare
      v_actor   uuid;
      v_moved   boolean;
      v_tenant  uuid;
      v_instead text[];
      r         record;
    begin
      if %7$s then
        v_actor := m23.actor();
        v_instead := m23.instead('%1$s', tg_relid, 'key');
        if v_instead is null then return null; end if;
        execute v_instead[1] into v_moved, v_tenant using old, new;
        if v_tenant is not null then perform m23.share_fence(array[v_tenant]); end if;
        execute v_instead[2] using old, v_actor, (case when v_moved then 'l' else 'o' end)::"char";
        execute v_instead[2] using new, v_actor, (case when v_moved then 'a' else 'n' end)::"char";
        return null;
      end if;
      if not (%8$s) then return null; end if;
      v_actor := m23.actor();
      v_moved := old.%3$s is distinct from new.%3$s;
      if new.%3$s is not null then perform m23.share_fence(array[new.%3$s]); end if;
      r := old;
      insert into %4$s (tenant_id, op, actor, %5$s)
        select r.%3$s, (case when v_moved then 'l' else 'o' end)::"char", v_actor, %6$s where r.%3$s is not null;
      r := new;
      insert into %4$s (tenant_id, op, actor, %5$s)
        select r.%3$s, (case when v_moved then 'a' else 'n' end)::"char", v_actor, %6$s where r.%3$s is not null;
      return null;
    end $body$ $ddl$, p_table.id, v_head, v_tenant, v_log, v_key.names, v_key.expressions, v_is_old, m23.moves_row(p_table));

  execute format($ddl$
    create or replace function m23_log.move_%1$s() returns trigger %2$s as $body$
    declare
      v_actor   uuid;
      v_instead text[];
      v_tenants uuid[];
    begin
      if current_setting('request.jwt.claims', true) <> '' then v_actor := m23.actor(); end if;
      if %6$s then
        v_instead := m23.instead('%1$s', tg_relid, 'move');
        if v_instead is null then return null; end if;
        execute v_instead[1] into v_tenants;
        perform m23.share_fence(v_tenants);
        execute v_instead[2] using v_actor;
        execute v_instead[3] using v_actor;
        return null;
      end if;
      perform m23.share_fence(array(select distinct r.%3$s from new_rows r where r.%3$s is not null));
      %4$s;
      %5$s;
      return null;
    end $body$ $ddl$, p_table.id, v_head, v_tenant, v_moves[1], v_moves[2], v_is_old);

  -- TRUNCATE fires no row capture: the rows are logged before they go.
  execute format($ddl$
    create or replace function m23_log.truncate_%1$s() returns trigger %2$s as $body$
    begin
      perform m23.refuse_stale_snapshot(tg_relid);
      if %3$s and m23.follow_layout('%1$s', tg_relid) is null then return null; end if;
      perform m23.log_rows(tg_relid, '%1$s', 'D');
      return null;
    end $body$ $ddl$, p_table.id, v_head, v_is_old);

  execute format('revoke execute on function %s from public', m23.capture_functions(p_table.id));
end $outer$;

-- An ALTER TABLE that no event trigger has followed: brings log and capture up to the present
-- layout, from within a trigger, where triggers cannot be made anew. Null where nothing can be
-- logged: without a key or a tenant column, or in a copy of the database.
create function m23.follow_layout(p_table_id int, p_relid oid) returns m23.protected_tables
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  select * into v_table from m23.protected_tables where id = p_table_id and relid = coalesce(pg_partition_root(p_relid), p_relid);
  if v_table.id is null or m23.tenant_column(v_table) is null or m23.key_attnums(v_table.relid) is null then
    return null;
  end if;
  if not exists (select from pg_proc where oid = to_regprocedure(format('m23_log.insert_%s()', p_table_id)) and strpos(prosrc, m23.layout_of(v_table.relid)) > 0) then
    perform m23.write_log_table(v_table);
    perform m23.write_capture_functions(v_table);
  end if;
  return v_table;
end $$;

-- What a trigger that is out of date executes instead of what it knows; null where nothing can
-- be logged. First a query for the tenants, with $1 the actor then: inserts into the log. For
-- `key`, whose rows are $1 and $2: whether the tenant is another, and the new one; then an
-- insert of $1 with the actor $2 and the op $3.
create function m23.instead(p_table_id int, p_relid oid, p_what text) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
  v_log    text;
  v_tenant text;
  v_fields record;
begin
  if v_table.id is null then return null; end if;
  v_log := m23.log_part(p_table_id);
  v_tenant := quote_ident(m23.tenant_column(v_table));
  select * into v_fields from m23.log_fields(v_table, p_what not in ('update', 'delete'));
  return case p_what
    when 'key' then array[
      format('select ($1).%1$s is distinct from ($2).%1$s, ($2).%1$s', v_tenant),
      format('insert into %1$s (tenant_id, op, actor, %2$s) select r.%3$s, $3, $2, %4$s from (select ($1).*) r where r.%3$s is not null',
        v_log, v_fields.names, v_tenant, v_fields.expressions)]
    when 'move' then format('select array(select distinct r.%1$s from new_rows r where r.%1$s is not null)', v_tenant) || m23.move_statements(v_table, '$1')
    else array[
      format('select array(select distinct r.%1$s from %2$s r where r.%1$s is not null)', v_tenant, case p_what when 'insert' then 'new_rows' else 'old_rows' end),
      format('insert into %1$s (tenant_id, op, actor, %2$s) select r.%3$s, %4$L, $1, %5$s from %6$s r where r.%3$s is not null',
        v_log, v_fields.names, v_tenant, upper(left(p_what, 1)), v_fields.expressions, case p_what when 'insert' then 'new_rows' else 'old_rows' end)] end;
end $$;

-- Logs every row of a relation as deleted (with its image) or inserted (its key): for rows
-- that come and go by no statement that fires row capture.
create function m23.log_rows(p_relation oid, p_table_id int, p_op "char") returns void
language plpgsql set search_path = '' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
declare
  v_table   m23.protected_tables;
  v_fields  record;
  v_tenants uuid[];
begin
  select * into v_table from m23.protected_tables where id = p_table_id;
  select * into v_fields from m23.log_fields(v_table, p_op = 'I');
  execute format('select array(select distinct r.%1$I from %2$s r where r.%1$I is not null)', m23.tenant_column(v_table), m23.qualified_name(p_relation)) into v_tenants;
  perform m23.share_fence(v_tenants);
  execute format('insert into %1$s (tenant_id, op, actor, %2$s) select r.%3$I, %4$L, m23.actor(), %5$s from %6$s r where r.%3$I is not null',
    m23.log_part(v_table.id), v_fields.names, m23.tenant_column(v_table), p_op, v_fields.expressions, m23.qualified_name(p_relation));
end $$;

-- Gives what this transaction logged between two change ids new numbers, in its order.
create function m23.renumber(p_log regclass, p_tenants uuid[], p_after bigint, p_before bigint) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('update %1$s l set change_id = moved.next_id
    from (select k.tenant_id, k.change_id, nextval(''m23.change_id'') as next_id
            from (select i.tenant_id, i.change_id from %1$s i
                   where i.tenant_id = any ($1) and i.xid = pg_current_xact_id() and i.change_id > $2 and i.change_id < $3
                   order by i.change_id) k) moved
   where l.tenant_id = moved.tenant_id and l.xid = pg_current_xact_id() and l.change_id = moved.change_id', p_log)
    using p_tenants, p_after, p_before;
end $$;

-- The relations that are captured for a table: itself, or with its partitions, which can be
-- written to directly. `leaf`: it has rows of its own.
create function m23.captured(p_relid oid) returns table (relid oid, leaf boolean, partitioned boolean)
language plpgsql stable rows 1 set search_path = '' as $$
begin
  return query
  select c.oid, c.relkind = 'r', r.relkind = 'p'
    from pg_class r, pg_class c
   where r.oid = p_relid and (c.oid = p_relid or r.relkind = 'p' and c.oid in (select t.relid from pg_partition_tree(p_relid) t)) order by c.oid = p_relid desc, c.oid;
end $$;

-- The condition that an update gives a row, `old` and `new`, another key or tenant.
create function m23.moves_row(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select string_agg(case when c.key_ord is null then format('old.%1$I is distinct from new.%1$I', c.name)
                         else format('not old.%1$I %2$s new.%1$I', c.name, m23.equality(i.indexrelid, c.key_ord)) end, ' or ')
    from m23.columns_of(p_table.relid) c join pg_index i on i.indrelid = p_table.relid and i.indisprimary
   where c.key_ord is not null or c.attnum = p_table.tenant_attnum
$$;

-- Whether every update that moves rows names their key or tenant column. One in a trigger before
-- the row does not, and only an event trigger tells of such a trigger that comes later.
create function m23.moves_are_named(p_relid oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_event_trigger where evtname = 'm23_follow_ddl' and evtenabled = 'A')
     and not exists (select from pg_trigger where tgrelid = p_relid and not tgisinternal and tgtype & 19 = 19);  -- row, before, update
end $$;

-- The triggers of a captured relation: %1 is the table's id, %2 the relation, and %3 and %4 limit
-- the trigger for rows that move.
create function m23.capture_triggers(p_leaf boolean, p_partitioned boolean) returns table (name text, definition text)
language sql immutable rows 6 set search_path = '' as $$
  select t.name, t.definition from (values
    ('zzz_m23_before',       'before insert or update or delete on %2$s for each statement execute function m23_log.before_%1$s()', true),
    ('aaa_m23_log_insert',   'after insert on %2$s referencing new table as new_rows for each statement execute function m23_log.insert_%1$s()', true),
    ('aaa_m23_log_update',   'after update on %2$s referencing old table as old_rows for each statement execute function m23_log.update_%1$s()', true),
    ('aaa_m23_log_delete',   'after delete on %2$s referencing old table as old_rows for each statement execute function m23_log.delete_%1$s()', true),
    ('aaa_m23_log_key',      'after update %3$s on %2$s for each row %4$s execute function m23_log.key_%1$s()', not p_partitioned),
    ('aaa_m23_log_move',     'after update on %2$s referencing old table as old_rows new table as new_rows for each statement execute function m23_log.move_%1$s()', p_partitioned),
    ('zzz_m23_log_truncate', 'before truncate on %2$s for each statement execute function m23_log.truncate_%1$s()', p_leaf)
  ) t (name, definition, applies) where t.applies
$$;

-- ENABLE ALWAYS: `session_replication_role = replica` silences other triggers, in a
-- restore too, whose own writes are captured like any others. The trigger for rows that move has
-- a condition only where it would be called for every update: each statement copies the
-- definitions of all triggers, and a condition is long.
create function m23.write_triggers(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_named   boolean := m23.moves_are_named(p_table.relid);
  v_of      text := (select 'of ' || string_agg(quote_ident(attname), ', ') from pg_attribute
                      where v_named and attrelid = p_table.relid and attnum = any (p_table.key_attnums || p_table.tenant_attnum));
  v_when    text := case when not v_named then format('when (%s)', m23.moves_row(p_table)) end;
  v_trigger record;
begin
  perform m23.drop_triggers(c.relid) from m23.captured(p_table.relid) c;
  for v_trigger in select m23.qualified_name(c.relid) as relation, t.* from m23.captured(p_table.relid) c, m23.capture_triggers(c.leaf, c.partitioned) t loop
    execute format('create trigger %I %s', v_trigger.name, format(v_trigger.definition, p_table.id, v_trigger.relation, v_of, v_when));
    execute format('alter table %s enable always trigger %I', v_trigger.relation, v_trigger.name);
  end loop;
  update m23.protected_tables set triggers = m23.trigger_marks(relid) where id = p_table.id;
end $$;

create function m23.drop_triggers(p_relation oid) returns void
language plpgsql set search_path = '' as $$
declare v_trigger name;
begin
  for v_trigger in select tgname from pg_trigger where tgrelid = p_relation and tgname ~ '^(aaa|zzz)_m23_' loop
    execute format('drop trigger %I on %s', v_trigger, m23.qualified_name(p_relation));
  end loop;
end $$;

-- Partitions that were attached, with the rows that they brought, and detached, with those
-- that they took. One that was dropped has taken its rows unseen: another history begins.
create table m23.partitions (
  relid    oid primary key,
  table_id int not null references m23.protected_tables (id) on delete cascade
);
select m23.close_table('m23.partitions');
create index partitions_table on m23.partitions (table_id);

create function m23.follow_partitions(p_table m23.protected_tables, p_new boolean) returns m23.protected_tables
language plpgsql set search_path = '' as $$
declare v_relation oid;
begin
  for v_relation in select p.relid from m23.partitions p where p.table_id = p_table.id and p.relid not in (select c.relid from m23.captured(p_table.relid) c) loop
    if exists (select from pg_class where oid = v_relation) then
      perform m23.log_rows(v_relation, p_table.id, 'D');
      perform m23.drop_triggers(v_relation);
    else
      p_table := m23.begin_history(p_table, 'a partition was dropped with its rows');
      perform m23.write_log_table(p_table);
    end if;
    delete from m23.partitions where relid = v_relation;
  end loop;
  for v_relation in select c.relid from m23.captured(p_table.relid) c where c.leaf and c.partitioned and c.relid not in (select p.relid from m23.partitions p) loop
    if not p_new then
      perform m23.log_rows(v_relation, p_table.id, 'I');
    end if;
    insert into m23.partitions (relid, table_id) values (v_relation, p_table.id);
  end loop;
  return p_table;
end $$;

-- Another history: the log of the former one cannot be read together with what is logged from
-- now on. Moments before it can no longer be gone back to, for the reason given.
create function m23.begin_history(p_table m23.protected_tables, p_reason text) returns m23.protected_tables
language plpgsql set search_path = '' as $$
begin
  if p_table.xid <> pg_current_xact_id() then
    insert into m23.gaps (table_id, since, until, reason) values (p_table.id, m23.history_since(p_table), clock_timestamp(), p_reason);
  end if;
  update m23.protected_tables t set key_attnums = m23.key_attnums(t.relid), protected_at = clock_timestamp(), xid = pg_current_xact_id(), incarnation = m23.incarnation(),
         pruned_below = '0', pruned_at = null
   where t.id = p_table.id returning * into p_table;
  execute format('drop table if exists %s cascade', m23.log_name(p_table.id));
  delete from m23.log_columns where table_id = p_table.id;
  delete from m23.log_parts where table_id = p_table.id;
  return p_table;
end $$;

create function m23.key_attnums(p_relid oid) returns int2[]
language sql stable set search_path = '' as $$ select indkey::int2[] from pg_index where indrelid = p_relid and indisprimary $$;

create function m23.key_is_another(p_table m23.protected_tables) returns boolean
language sql stable set search_path = '' as $$
  select m23.key_attnums(p_table.relid) is distinct from p_table.key_attnums
      or exists (select from m23.columns_of(p_table.relid) c join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                  where c.key_ord is not null and m23.logged_type(c) <> f.type_name)
$$;

create function m23.write_capture(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_new boolean;
begin
  if m23.key_attnums(p_table.relid) is null then
    raise exception '% is protected and needs its primary key', p_table.relid::regclass
      using errcode = 'object_not_in_prerequisite_state', hint = 'Replace the key in one ALTER TABLE, or call m23.unprotect_table first.';
  end if;
  perform set_config('m23.writing_capture', 'yes', true);
  update m23.protected_tables set name = m23.public_name(relid) where id = p_table.id;
  if m23.key_is_another(p_table) then
    p_table := m23.begin_history(p_table, 'the primary key was another');  -- by which rows of the log are told apart
  end if;
  v_new := to_regclass(m23.log_name(p_table.id)) is null;
  perform m23.write_log_table(p_table);
  p_table := m23.follow_partitions(p_table, v_new);
  perform m23.write_capture_functions(p_table);
  perform m23.write_triggers(p_table);
  perform set_config('m23.writing_capture', '', true);
end $$;

-- The capture triggers that a protected table should have, and does not, or not always enabled.
create function m23.missing_triggers(p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(distinct t.name) from m23.captured(p_table.relid) c, m23.capture_triggers(c.leaf, c.partitioned) t
   where not exists (select from pg_trigger g where g.tgrelid = c.relid and g.tgname = t.name and g.tgenabled = 'A'
                       and (g.tgattr = '' or m23.moves_are_named(c.relid))));
end $$;

-- Protect and unprotect ----------------------------------------------------------

create function m23.protect_table(p_table regclass, p_tenant_column name default 'tenant_id') returns void
language plpgsql set search_path = '' as $$
declare
  v_class   pg_class;
  v_schema  text;
  v_tenant  pg_attribute;
  v_already m23.protected_tables;
  v_row     m23.protected_tables;
begin
  select * into v_class from pg_class where oid = p_table;
  v_schema := v_class.relnamespace::regnamespace::text;
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of' when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view' when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if exists (select from pg_partition_tree(p_table) t join pg_class c on c.oid = t.relid where c.relkind = 'f') then
    raise exception '% cannot be protected: it has a foreign table among its partitions', p_table using errcode = 'wrong_object_type';
  end if;
  if v_schema in ('pg_catalog', 'information_schema', 'auth', 'm23', 'm23_log', 'm23_staging') then
    raise exception '% cannot be protected: the schema % belongs to the system', p_table, v_schema using errcode = 'insufficient_privilege';
  end if;
  select * into v_tenant from pg_attribute where attrelid = p_table and attname = p_tenant_column and attnum > 0 and not attisdropped;
  if v_tenant.attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_tenant_column
      using errcode = 'undefined_column', hint = 'Name the tenant column: select m23.protect_table(''schema.table'', ''column'').';
  end if;
  if v_tenant.atttypid <> 'uuid'::regtype or v_tenant.attgenerated <> '' then
    raise exception 'the tenant column "%" of % must be an ordinary column of type uuid, and is %', p_tenant_column, p_table,
      format_type(v_tenant.atttypid, v_tenant.atttypmod) using errcode = 'datatype_mismatch';
  end if;
  if not exists (select from pg_index where indrelid = p_table and indisprimary) then
    raise exception '% has no primary key, so its rows cannot be told apart', p_table
      using errcode = 'invalid_table_definition', hint = 'Add one: alter table … add primary key (…).';
  end if;
  if exists (select from m23.columns_of(p_table) c where c.key_ord is not null and c.generated) then
    raise exception 'the primary key of % has a generated column, which cannot be written back', p_table using errcode = 'invalid_table_definition';
  end if;

  if exists (select from m23.columns_of(p_table) c where c.name like 'm23\_%') then
    raise exception '% has a column whose name begins with "m23_", which M23 keeps for itself', p_table using errcode = 'reserved_name';
  end if;

  select * into v_already from m23.protected_tables where relid = p_table;
  if v_already.id is not null and v_already.tenant_attnum <> v_tenant.attnum then
    raise exception '% is protected already, with another tenant column', p_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;

  -- Writers in flight end first: whatever is written from here on is captured.
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
  insert into m23.protected_tables as t (relid, tenant_attnum, key_attnums, name, incarnation)
    values (p_table, v_tenant.attnum, m23.key_attnums(p_table), m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update set relid = excluded.relid
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null and m23.capture_fault(v_row) is not null then
    v_row := m23.begin_history(v_row, case when m23.key_is_another(v_row) then 'the primary key was another' else 'capture was switched off' end);
  end if;
  perform m23.write_capture(v_row);
  perform m23.note_tick();
end $$;
comment on function m23.protect_table(regclass, name) is
  'Puts a table under protection: from the end of this transaction on, every change of it can be undone. '
  'It needs a primary key and a tenant column of type uuid. Called again, it renews the capture.';

create function m23.unprotect_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare v_row m23.protected_tables;
begin
  delete from m23.protected_tables where relid = p_table returning * into v_row;
  if v_row.id is null then
    raise exception '% is not protected', p_table using errcode = 'undefined_object';
  end if;
  perform m23.drop_triggers(c.relid) from m23.captured(p_table) c;
  execute format('drop function %s', m23.capture_functions(v_row.id));
  execute format('drop table %s cascade', m23.log_name(v_row.id));
end $$;
comment on function m23.unprotect_table(regclass) is
  'Takes a table out of protection and drops its history. Backups of it stay as they are.';

-- Schema changes -----------------------------------------------------------------

-- Follows ALTER TABLE and CREATE TRIGGER on a protected table, and the coming and going of its
-- partitions, so that the application's next write is captured in the new shape. Where no event trigger may
-- be made, and after what escapes it (a superuser's on a hosted project), that write follows
-- it, but for another primary key and a new partition: m23.protect_table has to be called
-- again then. m23.doctor() says which is in force.
create function m23.follow_ddl() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;  -- its own ALTER TABLE
  for v_row in
    select t.* from m23.protected_tables t
     where t.relid in (select coalesce(pg_partition_root(c.objid), c.objid) from pg_event_trigger_ddl_commands() c where c.classid = 'pg_class'::regclass
                       union all
                       select g.tgrelid from pg_event_trigger_ddl_commands() c join pg_trigger g on g.oid = c.objid where c.classid = 'pg_trigger'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    -- What this command has done to the triggers is put right before anybody can write.
    if m23.was_off(v_row, true) then
      v_row := m23.begin_history(v_row, 'capture was switched off');
    end if;
    perform m23.write_capture(v_row);
  end loop;
end $$;

create function m23.follow_drop() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  for v_row in
    select distinct t.* from m23.protected_tables t join m23.partitions p on p.table_id = t.id
     where p.relid in (select objid from pg_event_trigger_dropped_objects() where classid = 'pg_class'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    perform m23.write_capture(v_row);
  end loop;
end $$;

do $$
begin
  create event trigger m23_follow_ddl on ddl_command_end when tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE TRIGGER') execute function m23.follow_ddl();
  create event trigger m23_follow_drop on sql_drop when tag in ('DROP TABLE') execute function m23.follow_drop();
  alter event trigger m23_follow_ddl enable always;  -- with session_replication_role = replica, too
  alter event trigger m23_follow_drop enable always;
exception when insufficient_privilege then
  raise notice 'no right to make an event trigger: call m23.protect_table again after another primary key or a new partition';
end $$;

select m23.close_functions();
