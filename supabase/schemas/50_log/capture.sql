-- Capture: what the generated functions of every table have in common.

-- Who writes; null where that is nobody, or somebody whose id is no uuid.
create function m23.actor() returns uuid
language plpgsql stable as $$
begin
  return auth.uid();
exception when invalid_text_representation then return null;
end $$;

-- The column of who writes, in generated code: a look at one setting where nobody is signed in.
create function m23.logged_actor() returns text
language sql immutable as $expression$
  select $$case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end$$
$expression$;

-- Statements in statements ------------------------------------------------------
-- A statement that another one fires logs its images first. The setting m23.open_<table> says which
-- statements of the transaction are open: `<last>,U<depth>@<start>,D<depth>@<start>`, where <last> is the change id at
-- which somebody has logged last. A statement that begins before its transaction has a number cannot
-- come after another, and is not noted: its start is 0/0. So a statement that is a transaction of its own
-- pays for next to nothing. What a foreign key's action does begins in a trigger, a level deeper than it ends.

-- The setting that holds the open statements of a table.
create function m23.open_setting(p_table_id int) returns text
language sql immutable as $$ select 'm23.open_' || p_table_id $$;

-- The last open statement of a kind in that setting, `U1@0/16B3748`; null where none is noted. Updates and deletes
-- that foreign keys make end in the order in which they were fired, not that of their beginning.
create function m23.open_statement(p_open text, p_op text) returns text
language sql immutable as
$$ select substring(p_open from '.*,(' || p_op || '[^,]*)') $$;

-- The setting without that statement.
create function m23.without_statement(p_open text, p_statement text) returns text
language sql immutable as $$
  select case when p_statement is null then p_open
              else substring(p_open from '^(.*),' || p_statement || '(?:,|$)')
                   || coalesce(substring(p_open from '.*,' || p_statement || '(,.*)$'), '') end
$$;

-- The layout of a table ----------------------------------------------------------

-- What a capture depends on in its table.
-- runs under: text settings
create function m23.layout_of(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select md5(concat_ws(',', m23.qualified_name(p_table), m23.references_write(p_table),
                     m23.references_itself(p_table), m23.insert_order_matters(p_table), m23.path_layout(p_table),
                     array_to_string(m23.key_operators(p_table), ' '),
                     string_agg(concat_ws(' ', c.attnum, quote_ident(c.name), c.type_name, c.native, c.generated,
                                          c.key_ord), ',' order by c.attnum)))
      from m23.columns_of(p_table) c);
end $$;

-- What a capture depends on besides, where a path leads to a row's tenant: the path, and each step of it. Other columns
-- of a parent come and go without a trace in its children.
create function m23.path_layout(p_table oid) returns text
language plpgsql stable as $$
declare
  v_table  m23.protected_tables := (select t from m23.protected_tables t where t.relid = p_table);
  v_parent m23.protected_tables;
begin
  if v_table.parent_id is null then return null; end if;
  v_parent := m23.parent_of(v_table);
  return concat_ws(' ', v_table.parent_id, v_table.via_attnums, v_table.parent_attnums, m23.path_is_kept(v_table),
    m23.path_step(v_parent.relid, m23.step_attnums(v_table, v_parent)), m23.path_layout(v_parent.relid));
end $$;

-- The columns of a parent that a path goes by.
create function m23.step_attnums(p_table m23.protected_tables, p_parent m23.protected_tables) returns int2[]
language plpgsql immutable as $$
begin return array_remove(p_table.parent_attnums || p_parent.via_attnums || p_parent.tenant_attnum, null); end $$;

-- A step of a path: what a table and some of its columns are called, and the types of these.
create function m23.path_step(p_table oid, p_attnums int2[]) returns text
language plpgsql stable as $$
begin
  return md5(concat_ws(' ', m23.qualified_name(p_table), (
    select string_agg(concat_ws(' ', c.attnum, quote_ident(c.name), c.type_name, c.native), ',' order by c.attnum)
      from m23.columns_of(p_table) c where c.attnum = any (p_attnums))));
end $$;

-- Whether it is still that step. It is called immutable, and for generated code alone, as a layout function is.
create function m23.has_path_step(p_table regclass, p_attnums int2[], p_step text) returns boolean
language plpgsql immutable as
$$ begin return coalesce(m23.path_step(p_table, p_attnums) = p_step, false); end $$;

-- The operators by which a table's key is compared, where they are an extension's: it can be moved to another schema.
create function m23.key_operators(p_table oid) returns text[]
language plpgsql stable as $$
begin
  return array(select o.oid::regoperator::text
      from pg_index i cross join generate_series(1, i.indnkeyatts) n
      join pg_operator o on o.oid = m23.comparison_operator(i.indexrelid, n, 3)
     where i.indexrelid = (select m23.key_index(p_table)) and o.oprnamespace <> 'pg_catalog'::regnamespace order by n);
end $$;

-- Whether a foreign key of a table updates its rows when a row that it refers to changes or goes.
create function m23.references_write(p_table oid) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_constraint k
                  where k.conrelid = p_table and k.contype = 'f'
                    and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('n', 'd')));
end $$;

-- Whether rows of a table can be deleted by a foreign key's action in the statement that deletes others of it. What
-- takes them is looked for upwards, where an index finds it.
create function m23.references_itself(p_table oid) returns boolean
language plpgsql stable as $$
begin
  return exists (with recursive takers (relid) as (
      select k.confrelid from pg_constraint k where k.conrelid = p_table and k.contype = 'f' and k.confdeltype = 'c'
      union
      select up.relid from takers t
       cross join lateral (select k.confrelid from pg_constraint k
                            where k.conrelid = t.relid and k.contype = 'f' and k.confdeltype = 'c' offset 0) up (relid))
    select from takers t where t.relid = p_table);
end $$;

-- Whether the time of an arrival has to be told exactly: rows can be changed by foreign keys' actions, and by what
-- triggers of the application do when rows arrive.
create function m23.insert_order_matters(p_table oid) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_trigger g
                  where g.tgrelid = p_table and not g.tgisinternal and g.tgtype & 4 <> 0
                    and g.tgname !~ '^(aaa|zzz)_m23_')
     and exists (select from pg_constraint k
                  where k.conrelid = p_table and k.contype = 'f'
                    and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd')));
end $$;

-- Whether a table has the layout that a capture was written for, by its catalogue. It is not called immutable: the
-- answer would stay in the plan of the function that asks, for as long as the session lives.
create function m23.has_layout(p_table regclass, p_layout text) returns boolean
language plpgsql stable as
$$ begin return coalesce(m23.layout_of(p_table) = p_layout, false); end $$;

-- Whether the functions of a table's capture were written for another layout, or a server that records commit times
-- where this one does not, or the other way round.
create function m23.capture_is_stale(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  return coalesce((select (strpos(i.prosrc, 'm23.ticked') = 0) <> m23.commit_times_are_native()
                          or strpos(l.prosrc, m23.layout_of(p_table.relid)) = 0
                     from pg_proc i, pg_proc l
                    where i.oid = to_regprocedure(format('m23_log.insert_%s()', p_table.id))
                      and l.oid = to_regprocedure(format('m23_log.layout_%s(regclass, text)', p_table.id))), true);
end $$;

-- What a trigger that is out of date executes instead of what it knows; null where nothing can be logged. Transition
-- tables are visible to it.
create function m23.stale_capture_statements(p_table_id int, p_relid oid, p_event text) returns text[]
language plpgsql as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  if v_table.id is null then return '{}'; end if;
  return m23.log_statement(v_table, p_event) || case when p_event = 'update' then m23.move_statements(v_table) end
    || m23.path_statements(v_table, p_event);
end $$;

-- Logs every row of a relation as deleted (with its image) or inserted (its key): for rows
-- that come and go by no statement that fires row capture.
-- runs under: text settings
create function m23.log_rows(p_relation oid, p_table_id int, p_op "char") returns void
language plpgsql as $$
declare
  v_table  m23.protected_tables;
  v_fields record;
begin
  select * into v_table from m23.protected_tables where id = p_table_id;
  select * into v_fields from m23.log_fields(v_table, p_op = 'I');
  execute m23.fill('insert into {log} (tenant_id, op, actor, source, request, {names})
                    select {tenant}, {op}, (select m23.actor()), {source}, {expressions} from {rows} r
                     where {tenant} is not null and {shares_fence}',
    'log', m23.log_part(v_table.id), 'names', v_fields.names, 'tenant', m23.captured_tenant(v_table),
    'op', quote_literal(p_op::text), 'source', m23.logged_source(v_table.id), 'expressions', v_fields.expressions,
    'rows', m23.captured_rows(v_table, m23.qualified_name(p_relation)),
    'shares_fence', m23.shares_fence(m23.captured_tenant(v_table), v_table.tenant_type, m23.log_part(v_table.id)));
  if p_op = 'I' and v_table.parent_id is not null then
    execute m23.note_missing(v_table, m23.qualified_name(p_relation));
  elsif p_op = 'D' and m23.is_parent(v_table) then
    execute m23.note_leaving(v_table, 'r', m23.qualified_name(p_relation));
  end if;
end $$;
