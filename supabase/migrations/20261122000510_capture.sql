-- Capture: the functions that write the log of a table, generated for its present shape.

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

-- The functions of one table ----------------------------------------------------

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
  -- Fires before an update or delete, after the application's own such triggers. It has its writer's
  -- rights only, as definer rights would cost more than all that it does. Ordinary writers ask for their
  -- tenant's fence here, while they hold no row; an insert holds none that a restore could have planned,
  -- but for the parents that it refers to, and asks when it logs.
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
        if pg_current_xact_id_if_assigned() is not null then
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

select m23.close_functions();
