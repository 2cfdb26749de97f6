-- Capture: what the generated functions of every table have in common.

-- Who writes; null where that is nobody, or somebody whose id is no uuid.
create function m23.actor() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  return auth.uid();
exception when invalid_text_representation then return null;
end $$;

-- The column of who writes, in generated code: a look at one setting where nobody is signed in.
create function m23.logged_actor() returns text
language sql immutable set search_path = '' as
$$ select $expression$case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end$expression$ $$;

-- Statements in statements ------------------------------------------------------
-- A statement that another one fires logs its images first. The setting m23.open_<table> says which
-- statements of the transaction are open: `<last>,U<depth>@<start>,D<depth>@<start>`, where <last> is the change id at
-- which somebody has logged last. A statement that begins before its transaction has a number cannot
-- come after another, and is not noted: its start is 0/0. So a statement that is a transaction of its own
-- pays for next to nothing. What a foreign key's action does begins in a trigger, a level deeper than it ends.

create function m23.open_setting(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.open_' || p_table_id $$;

-- The last open statement of a kind in that setting, `U1@0/16B3748`; null where none is noted. Updates and deletes
-- that foreign keys make end in the order in which they were fired, not that of their beginning.
create function m23.open_statement(p_open text, p_op text) returns text
language sql immutable set search_path = '' as
$$ select substring(p_open from '.*,(' || p_op || '[^,]*)') $$;

-- The setting without that statement.
create function m23.without_statement(p_open text, p_statement text) returns text
language sql immutable set search_path = '' as $$
  select case when p_statement is null then p_open
              else substring(p_open from '^(.*),' || p_statement || '(?:,|$)') || coalesce(substring(p_open from '.*,' || p_statement || '(,.*)$'), '') end
$$;

-- Fires before an update or delete, after the application's own such triggers. It has its writer's
-- rights only, and no path of its own: both would cost more than all that it does, and every name in it is qualified.
-- Ordinary writers ask for their tenant's fence here, while they hold no row; an insert holds none that a
-- restore could have planned, but for the parents that it refers to, and asks when it logs.
create function m23_log.before() returns trigger language plpgsql as $$
declare
  v_tenant pg_catalog.uuid;
  v_open   pg_catalog.text;
  v_null   pg_catalog.uuid;
begin
  if pg_catalog.current_setting('request.jwt.claims', true) is not null or pg_catalog.pg_current_xact_id_if_assigned() is not null then
    if pg_catalog.current_setting('request.jwt.claims', true) operator(pg_catalog.<>) ''
       and pg_catalog.concat(pg_catalog.current_setting('m23.fenced', true)) operator(pg_catalog.<>) 'yes' then
      begin
        v_tenant := m23.caller_tenant();
      exception when others then null;  -- they ask when they log
      end;
      perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.uuid_hash_extended(v_tenant, 0));
      perform pg_catalog.set_config('m23.fenced', 'yes', true);
    end if;
    if pg_catalog.pg_current_xact_id_if_assigned() is not null then
      v_open := pg_catalog.concat('m23.open_', tg_argv[0]);
      perform pg_catalog.set_config(v_open, pg_catalog.concat(pg_catalog.current_setting(v_open, true), ',', pg_catalog."left"(tg_op, 1),
                                                              pg_catalog.pg_trigger_depth(), '@', pg_catalog.pg_current_wal_insert_lsn()), true);
      perform pg_catalog.set_config(pg_catalog.concat('m23.seen_', tg_argv[0]), '', true);
    end if;
  end if;
  return v_null;
end $$;
revoke execute on function m23_log.before() from public, anon, authenticated, service_role;

-- The layout of a table ----------------------------------------------------------

-- What a capture depends on in its table.
create function m23.layout_of(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select md5(concat_ws(',', m23.qualified_name(p_table), m23.references_write(p_table), m23.references_itself(p_table), m23.insert_order_matters(p_table),
                     array_to_string(m23.key_operators(p_table), ' '),
                     string_agg(concat_ws(' ', c.attnum, quote_ident(c.name), c.type_name, c.native, c.generated, c.key_ord), ',' order by c.attnum)))
      from m23.columns_of(p_table) c);
end $$;

-- The operators by which a table's key is compared, where they are an extension's: it can be moved to another schema.
create function m23.key_operators(p_table oid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select o.oid::regoperator::text
      from pg_index i cross join generate_series(1, i.indnkeyatts) n
      join pg_operator o on o.oid = m23.comparison_operator(i.indexrelid, n, 3)
     where i.indrelid = p_table and i.indisprimary and o.oprnamespace <> 'pg_catalog'::regnamespace order by n);
end $$;

-- Whether a foreign key of a table updates its rows when a row that it refers to changes or goes.
create function m23.references_write(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_constraint k where k.conrelid = p_table and k.contype = 'f' and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('n', 'd')));
end $$;

-- Whether rows of a table can be deleted by a foreign key's action in the statement that deletes others of it.
create function m23.references_itself(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (with recursive taken (relid) as (
      select p_table
      union
      select k.conrelid from taken t join pg_constraint k on k.confrelid = t.relid and k.contype = 'f' and k.confdeltype = 'c')
    select from taken t join pg_constraint k on k.confrelid = t.relid and k.conrelid = p_table and k.contype = 'f' and k.confdeltype = 'c');
end $$;

-- Whether the time of an arrival has to be told exactly: rows can be changed by foreign keys' actions, and by what
-- triggers of the application do when rows arrive.
create function m23.insert_order_matters(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_trigger g where g.tgrelid = p_table and not g.tgisinternal and g.tgtype & 4 <> 0 and g.tgname !~ '^(aaa|zzz)_m23_')
     and exists (select from pg_constraint k where k.conrelid = p_table and k.contype = 'f' and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd')));
end $$;

-- Whether a table has the layout that a capture was written for, by its catalogue.
create function m23.has_layout(p_table regclass, p_layout text) returns boolean
language plpgsql immutable set search_path = '' as
$$ begin return coalesce(m23.layout_of(p_table) = p_layout, false); end $$;

-- The function of a table that tells whether it still has the layout that its capture knows. It is called immutable,
-- and for generated code alone: with a constant it is asked when a plan is made, and a plan that names a table is
-- made anew once the table is altered. So a statement that is not the first after an ALTER TABLE pays for no look
-- at the catalogue, and the first write of a session for none that takes a query: columns are told by the next free
-- number, names and types, and the key by its definition. A generated column that became an ordinary one shows in the
-- catalogue only, and a domain may refuse the nulls by which names are asked for.
create function m23.layout_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_body text := case when exists (select from m23.columns_of(p_table.relid) c join pg_attribute a on a.attrelid = p_table.relid and a.attnum = c.attnum
                                              join pg_type t on t.oid = a.atttypid where c.generated or t.typtype = 'd')
      then m23.fill($body$ begin return p_layout = {layout} and m23.has_layout({relid}, {layout}); end $body$,
                    'relid', p_table.relid::text, 'layout', quote_literal(m23.layout_of(p_table.relid)))
    else m23.fill($body$
declare r {table};
begin
  if p_layout <> {layout} or has_column_privilege({relid}::oid, {next}::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::{table}, '{}'))::text <> {names}
     or pg_get_constraintdef({key}) is distinct from {key_definition}{operators_gone} then
    return false;
  end if;
  return array[{types}]::oid[] = {type_ids}::oid[];
exception when others then return false;  -- it was renamed, say
end $body$,
      'layout', quote_literal(m23.layout_of(p_table.relid)),
      'table', m23.qualified_name(p_table.relid),
      'relid', p_table.relid::text,
      'next', (select (relnatts + 1)::text from pg_class where oid = p_table.relid),
      'names', quote_literal((select '{' || string_agg(to_json(c.name) || ':null', ',' order by c.attnum) || '}' from m23.columns_of(p_table.relid) c)),
      'operators_gone', coalesce((select string_agg(format(' or to_regoperator(%L) is null', o), '')
                                    from unnest(m23.key_operators(p_table.relid)) o), ''),
      'key', (select k.oid::text from pg_constraint k where k.conrelid = p_table.relid and k.contype = 'p'),
      'key_definition', quote_literal((select pg_get_constraintdef(k.oid) from pg_constraint k where k.conrelid = p_table.relid and k.contype = 'p')),
      'types', (select string_agg(format('pg_typeof(r.%I)', c.name), ', ' order by c.attnum) from m23.columns_of(p_table.relid) c),
      'type_ids', quote_literal((select array_agg(a.atttypid order by a.attnum) from pg_attribute a where a.attrelid = p_table.relid and a.attnum > 0 and not a.attisdropped))) end;
begin
  return m23.fill($ddl$create or replace function m23_log.layout_{id}(p_table regclass, p_layout text) returns boolean
    language plpgsql immutable set search_path = '' as {body}$ddl$, 'id', p_table.id::text, 'body', quote_literal(v_body));
end $outer$;

-- Whether the functions of a table's capture were written for another layout, or a server that records commit times
-- where this one does not, or the other way round.
create function m23.capture_is_stale(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return coalesce((select (strpos(i.prosrc, 'm23.ticked') = 0) <> m23.commit_times_are_native() or strpos(l.prosrc, m23.layout_of(p_table.relid)) = 0
                     from pg_proc i, pg_proc l
                    where i.oid = to_regprocedure(format('m23_log.insert_%s()', p_table.id)) and l.oid = to_regprocedure(format('m23_log.layout_%s(regclass, text)', p_table.id))), true);
end $$;

-- An ALTER TABLE that no event trigger has followed: brings log and capture up to the present
-- layout, from within a trigger, where triggers cannot be made anew. Null where nothing can be
-- logged: where there is an obstacle (m23.obstacles), or in a copy of the database.
create function m23.follow_layout(p_table_id int, p_relid oid) returns m23.protected_tables
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  select * into v_table from m23.protected_tables where id = p_table_id and relid = coalesce(pg_partition_root(p_relid), p_relid);
  if v_table.id is null or (m23.obstacle_of(v_table)).kind is not null then
    return null;
  end if;
  if m23.capture_is_stale(v_table) then
    perform m23.write_log_table(v_table);
    perform m23.write_log_groups(v_table);
    perform m23.write_capture_functions(v_table);
  end if;
  return v_table;
end $$;

-- What a trigger that is out of date executes instead of what it knows; null where nothing can be logged. Transition
-- tables are visible to it.
create function m23.stale_capture_statements(p_table_id int, p_relid oid, p_event text) returns text[]
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  if v_table.id is null then return '{}'; end if;
  return m23.log_statement(v_table, p_event) || case when p_event = 'update' then m23.move_statements(v_table) end;
end $$;

-- Statements that log --------------------------------------------------------------

-- The statement that logs what the transition table of an event holds: the keys that came, or the images that went. An update's
-- images carry all columns, none of those that are in a group, or (some) the groups that were changed.
create function m23.log_statement(
  p_table m23.protected_tables, p_event text, p_groups text default 'all', p_rows text default null
) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_bits   text := case p_groups when 'some' then m23.unchanged_bits(p_table)
                                 when 'none' then (select sum(1 << g.bit)::text from m23.log_groups g where g.table_id = p_table.id and g.in_use) end;
  v_fields record := m23.log_fields(p_table, p_event = 'insert', case when v_bits is null then 'all' else p_groups end);
  v_log    text := m23.log_part(p_table.id);
  v_tenant text := format('r.%I', m23.tenant_column(p_table));
begin
  return m23.fill($sql$insert into {log} (tenant_id, op, actor, {names}{unchanged})
    select {tenant}, '{op}', {actor}, {expressions}{bits} from {groups}{rows} r where {tenant} is not null and {shares_fence}$sql$,
    'groups', case when v_bits is not null and p_groups = 'some' then m23.changed_groups(p_table.id) || ', ' else '' end,
    'log', v_log, 'tenant', v_tenant, 'op', upper(left(p_event, 1)), 'actor', m23.logged_actor(),
    'unchanged', case when v_bits is null then '' else ', unchanged' end, 'bits', coalesce(', ' || v_bits, ''),
    'names', v_fields.names, 'expressions', v_fields.expressions,
    'rows', coalesce(p_rows, case p_event when 'insert' then 'new_rows' else 'old_rows' end), 'shares_fence', m23.shares_fence(v_tenant, v_log));
end $outer$;

-- Keys that an update takes away or makes: the sets of keys before and after are compared. How many rows there are is not known
-- when the query is planned, so it counts them and joins nothing. One that goes and comes under another tenant leaves and arrives;
-- where a statement changes tenants and keys together, so does what a tenant has more rows of after it, or fewer, and all that
-- comes where rows of other tenants were changed. Of a partitioned table the set after cannot be trusted: PostgreSQL puts the row
-- that a MERGE has inserted where one that it updates later should be. So no key is gone that is still there, and none has come
-- where none is gone.
create function m23.move_statements(
  p_table m23.protected_tables, p_old text default 'old_rows', p_new text default 'new_rows'
) returns text[]
language plpgsql stable set search_path = '' as $outer$
declare v_key record := m23.log_fields(p_table, true);
begin
  return (select array_agg(m23.fill($sql$insert into {log} (tenant_id, op, actor, {names})
    select r.m23_tenant, (case when r.m23_more > 0 or r.m23_of_key > r.m23_of_row or {both} and r.m23_of_all > r.m23_of_tenant
                               then '{moved}' else '{changed}' end)::"char", {actor}, {expressions}
      from (select r.*, row_number() over (partition by r.m23_tenant, {keys}, r.m23_n) as m23_nth,
                   sum(r.m23_n) over (partition by r.m23_tenant) as m23_more,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant, {keys}) as m23_of_row,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant) as m23_of_tenant,
                   count(*) filter (where r.m23_n < 0) over (partition by {keys}) as m23_of_key,
                   count(*) filter (where r.m23_n < 0) over () as m23_of_all
              from (select r.{tenant} as m23_tenant, {keys}, 1 as m23_n from {these} r
                    union all select r.{tenant}, {keys}, -1 from {those} r) r) r
     where r.m23_n > 0 and r.m23_nth > r.m23_of_row and {is_real} and {shares_fence}$sql$,
      'is_real', case when (select relkind from pg_class where oid = p_table.relid) <> 'p' then 'true'
                      else m23.fill(s.is_real, 'old_rows', p_old, 'new_rows', p_new, 'live', m23.qualified_name(p_table.relid), 'tenant', quote_ident(m23.tenant_column(p_table)),
                                    'same_key', m23.key_match(p_table.relid, 'n', 'r'), 'keys', m23.key_list(p_table.relid, 'r')) end,
      'log', m23.log_part(p_table.id), 'names', v_key.names, 'expressions', v_key.expressions, 'actor', m23.logged_actor(),
      'both', format('current_setting(%L, true) is not distinct from ''both''', m23.moved_flag(p_table.id)),
      'tenant', quote_ident(m23.tenant_column(p_table)), 'keys', m23.key_list(p_table.relid, 'r'), 'these', s.these, 'those', s.those, 'moved', s.moved, 'changed', s.changed,
      'shares_fence', m23.shares_fence('r.m23_tenant', m23.log_part(p_table.id))) order by s.n)
    from (values
      (1, p_old, p_new, 'l', 'o', 'not exists (select from {live} n where n.{tenant} = r.m23_tenant and {same_key})'),
      (2, p_new, p_old, 'a', 'n',
       'exists (select from (select r.{tenant} as m23_tenant, {keys} from {old_rows} r except select r.{tenant}, {keys} from {new_rows} r) r
                 where not exists (select from {live} n where n.{tenant} = r.m23_tenant and {same_key}))'))
      s (n, these, those, moved, changed, is_real));
end $outer$;

-- Logs every row of a relation as deleted (with its image) or inserted (its key): for rows
-- that come and go by no statement that fires row capture.
create function m23.log_rows(p_relation oid, p_table_id int, p_op "char") returns void
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables;
  v_fields record;
begin
  select * into v_table from m23.protected_tables where id = p_table_id;
  select * into v_fields from m23.log_fields(v_table, p_op = 'I');
  execute m23.fill('insert into {log} (tenant_id, op, actor, {names}) select r.{tenant}, {op}, (select m23.actor()), {expressions} from {rows} r
                     where r.{tenant} is not null and {shares_fence}',
    'log', m23.log_part(v_table.id), 'names', v_fields.names, 'tenant', quote_ident(m23.tenant_column(v_table)), 'op', quote_literal(p_op::text),
    'expressions', v_fields.expressions, 'rows', m23.qualified_name(p_relation),
    'shares_fence', m23.shares_fence(format('r.%I', m23.tenant_column(v_table)), m23.log_part(v_table.id)));
end $$;

select m23.pin_text('m23.log_rows(oid, int, "char")', 'm23.layout_of(oid)', 'm23.follow_layout(int, oid)');
select m23.close_functions();
