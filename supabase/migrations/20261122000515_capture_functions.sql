-- The functions of one table's capture: written from templates for its present layout. Its rows are noted by
--   m23_log.insert_<id>, update_<id>, delete_<id>   after each statement, from its transition tables
--   m23_log.row_<id>                                after each updated row: has its key, its tenant or a group changed?
--   m23_log.truncate_<id>                           before TRUNCATE, which fires no others
--   m23_log.replicated_<id>                         after each row that comes by no statement, where there is a subscription
--   m23_log.layout_<id>                             whether all this is still the table's layout

-- What makes sure that values kept as text do not depend on the writer's settings.
create function m23.text_settings(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select case when exists (select from m23.columns_of(p_table.relid) c where not c.native)
    then (select string_agg(format('set %s = %L', s.name, s.value), ' ') from m23.text_settings() s where s.prints)
    else '' end
$$;

-- Looks at the clock at every statement where commit times are not native: the moments to come back to are the ticks then.
create function m23.tick_statement() returns text
language sql stable set search_path = '' as $outer$
  select case when m23.commit_times_are_native() then '' else
    $$if current_setting('m23.ticked', true) is distinct from floor(date_part('epoch', clock_timestamp()))::bigint::text then perform m23.tick(); end if;$$ end
$outer$;

-- Whether the table has the layout that a function of its capture knows: else no query of it can be trusted to fit. It
-- names that layout: another session may have written all functions anew since this one was called.
create function m23.layout_check(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select format('m23_log.layout_%s(%L, %L)', p_table.id, p_table.relid, m23.layout_of(p_table.relid))
$$;

-- The first lines of each function: what nearly all statements come to, in one condition and one query, which takes no variable
-- and has its plan for good. Now and then it is time to look at the clock.
create function m23.insert_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_first     pg_lsn;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {in_order} then
    {log};
    return v_null;
  end if;
  perform m23.tick();
  if not {is_known} then
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, 'insert') loop execute v_stale; end loop;
    return v_null;
  end if;
  v_first := pg_current_wal_insert_lsn();
  {log};
  {order}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'id', p_table.id::text, 'is_known', m23.layout_check(p_table), 'log', m23.log_statement(p_table, 'insert'),
    'in_order', case when m23.insert_order_matters(p_table.relid) then format('concat(current_setting(%L, true)) = ''''', m23.open_setting(p_table.id)) else 'true' end,
    'order', case when m23.insert_order_matters(p_table.relid) then m23.insert_order(p_table) else '' end);
end $outer$;

-- A trigger of the application's for inserted rows writes before the function after the statement: what it logs comes after the
-- arrivals, which are as old as the statement. That matters only where foreign keys' actions have to be put in order.
create function m23.insert_order(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$v_open := current_setting('{open}', true);
  if v_open <> '' then
    v_statement := m23.open_statement(v_open, 'I');
    if v_open not like ',%' and split_part(v_open, ',', 1)::pg_lsn > coalesce(split_part(v_statement, '@', 2), '0/0')::pg_lsn then
      update {log} l set change_id = coalesce(split_part(v_statement, '@', 2)::pg_lsn,
               (select min(o.change_id) - 1 from {log} o where o.tenant_id = l.tenant_id and o.xid = pg_current_xact_id()))
       where l.tenant_id in (select r.{tenant} from new_rows r) and l.xid = pg_current_xact_id() and l.op = 'I' and l.change_id >= v_first;
    end if;
    perform set_config('{open}', m23.without_statement(v_open, v_statement), true);
  end if;$body$,
    'open', m23.open_setting(p_table.id), 'log', m23.log_part(p_table.id), 'tenant', quote_ident(m23.tenant_column(p_table)));
end $outer$;

-- The function after an update or delete. A statement takes the long way where others of its transaction are open, or have logged,
-- and an update where it has changed a group of columns or a key.
create function m23.change_function(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_others    text;
  v_start     pg_lsn;
  v_first     pg_lsn;
  v_direct    boolean;
  v_known     boolean;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {is_alone} then
    {log_alone};
    return v_null;
  end if;
  v_known := {is_known};
  v_open := current_setting('{open}', true);
  if (v_open <> '') is not true or random() < 0.004 then perform m23.tick(); end if;
  v_first := pg_current_wal_insert_lsn();
  if v_known then
    {log};
  else
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, '{event}') loop execute v_stale; end loop;
  end if;
  if v_open <> '' then
    v_statement := split_part(v_open, ',', -1);
    if strpos(v_open, ',') > 0 and left(v_statement, 1) = '{op}' then
      v_others := left(v_open, - length(v_statement) - 1);
    else
      v_statement := m23.open_statement(v_open, '{op}');
      v_others := m23.without_statement(v_open, v_statement);
    end if;
    v_start := coalesce(split_part(v_statement, '@', 2), '0/0');
    if v_open not like ',%' and split_part(v_open, ',', 1)::pg_lsn > v_start then
      if v_known then
        v_direct := v_statement is null or substr(split_part(v_statement, '@', 1), 2)::int = pg_trigger_depth();
        {order};
      else
        perform m23.log_after('{log_name}', v_start, v_first);
      end if;
    end if;
    perform set_config('{open}', concat(pg_current_wal_insert_lsn(), substr(v_others, nullif(strpos(v_others, ','), 0))), true);
  end if;
  {moves}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'open', m23.open_setting(p_table.id), 'id', p_table.id::text, 'event', p_event, 'op', upper(left(p_event, 1)),
    'is_known', m23.layout_check(p_table), 'moves', case p_event when 'update' then m23.moves_branch(p_table) else '' end,
    'order', m23.order_statement(p_table, p_event), 'log_name', m23.log_part(p_table.id),
    'log', m23.log_statement(p_table, p_event, case p_event when 'update' then 'some' else 'all' end),
    'log_alone', m23.log_statement(p_table, p_event, case p_event when 'update' then 'none' else 'all' end),
    'is_alone', case when p_event = 'update' and (select relkind from pg_class where oid = p_table.relid) = 'p' then 'false'
                     else format('concat(current_setting(%L, true)%s) = ''''', m23.open_setting(p_table.id),
                                 case p_event when 'update' then format(', current_setting(%L, true)', m23.changed_flag(p_table.id)) else '' end) end);
end $outer$;

-- What an update does with keys that have moved. In a partitioned table it always looks for them: a row that goes to another
-- partition fires no trigger for updated rows.
create function m23.moves_branch(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$if v_known and {moved} then
    {statements};
  end if;$body$,
    'moved', case when (select relkind from pg_class where oid = p_table.relid) = 'p' then 'true'
                  else format('current_setting(%L, true) <> ''''', m23.moved_flag(p_table.id)) end,
    'statements', array_to_string(m23.move_statements(p_table), ';
    '));
end $outer$;

-- What others have logged between two change ids comes after what was logged since: for a table whose present shape is
-- not that of the statements that could tell.
create function m23.log_after(p_log regclass, p_start pg_lsn, p_first pg_lsn) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('update %1$s l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from (select o.ctid as place, row_number() over (order by o.change_id) as n from %1$s o where o.xid = pg_current_xact_id() and o.change_id >= $1 and o.change_id < $2) later
     where l.ctid = later.place', p_log) using p_start, p_first;
end $$;

-- Others have logged while a statement was open: what came after its own image of a key gets new change ids, in its order.
-- A row that a statement has changed itself was changed before all of that: nothing may change it again until the statement's
-- rows are written. One that a foreign key's action has changed on its behalf can have been changed by others before:
--   gone by then   The others say when the key was there. An arrival where it was there already comes after.
--   still there    What its row was then is the image of whoever changed it next.
create function m23.order_statement(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_images constant boolean := p_event = 'update' and m23.references_write(p_table.relid);
begin
  return m23.fill($sql$update {log} l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from unnest(array(select o.m23_place
          from (select o.*, min(o.m23_change_id) filter (where {follows}) over (partition by o.m23_tenant, {keys_of_o}) as m23_next
                  from (select e.*, bool_or(e.m23_change_id >= v_first and e.m23_op = '{op}') over (partition by e.m23_tenant, {keys_of_e}) as m23_own,
                               coalesce(sum(case when e.m23_op in ('I', 'n', 'a') then 1 when e.m23_op in ('D', 'o', 'l') then -1 else 0 end)
                                          over (partition by e.m23_tenant, {keys_of_e} order by e.m23_change_id rows between unbounded preceding and 1 preceding), 0) as m23_balance
                          from (select l.tenant_id as m23_tenant, l.change_id as m23_change_id, l.op as m23_op, l.ctid as m23_place, {keys}{images} from {log} l{many}
                                 where l.tenant_id in (select r.{tenant} from old_rows r) and l.xid = pg_current_xact_id() and l.change_id >= v_start) e) o{new_rows}
                 where o.m23_own and o.m23_change_id < v_first) o
         where o.m23_change_id >= o.m23_next group by o.m23_place, o.m23_change_id order by o.m23_change_id)) with ordinality later (place, n)
     where l.ctid = later.place$sql$,
    'log', m23.log_part(p_table.id), 'op', upper(left(p_event, 1)), 'tenant', quote_ident(m23.tenant_column(p_table)),
    'keys', (select string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord) from m23.columns_of(p_table.relid, p_of_key => true) c),
    'keys_of_o', m23.key_list(p_table.relid, 'o'), 'keys_of_e', m23.key_list(p_table.relid, 'e'),
    'images', case when v_images then (select ', l.unchanged as m23_unchanged' || string_agg(format(', l.%1$s as m23_%1$s', f.name), '' order by f.name)
                                         from m23.log_columns f where f.table_id = p_table.id and f.until_xid is null) else '' end,
    'many', case when v_images then ' cross join m23.called_many()' else '' end,
    'new_rows', case when v_images then m23.new_rows_of_key(p_table) else '' end,
    'follows', case when p_event = 'delete' then '(v_direct and not ' || m23.references_itself(p_table.relid) || $condition$ or o.m23_op in ('I', 'n', 'a') and o.m23_balance >= 0)$condition$
                    when v_images then m23.follows_update(p_table)
                    else 'true' end);
end $outer$;

-- What an update that others can have preceded has made of the keys of the entries `o`. Of how many rows there are nothing is known when the
-- query is planned, and pairs found one by one would take the square of them: both sides are called many.
create function m23.new_rows_of_key(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$
                  left join (select r.*, true as m23_there from new_rows r cross join m23.called_many() offset 0) r on r.{tenant} = o.m23_tenant and {same_key}$sql$,
    'tenant', quote_ident(m23.tenant_column(p_table)), 'same_key', m23.key_match(p_table.relid, 'r', 'o'));
end $outer$;

-- One row, which the planner takes for a hundred.
create function m23.called_many() returns setof boolean
language plpgsql immutable rows 100 set search_path = '' as $$ begin return next true; end $$;

-- The condition that an entry `o` of others is the first that comes after this statement's update of its key, for a table
-- whose foreign keys can update it; `r` is a row that the statement has made of this key.
create function m23.follows_update(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$case when r.m23_there then o.m23_op in ('U', 'D') and {is_image} else o.m23_op in ('I', 'n', 'a') and o.m23_balance >= 0 end$sql$,
    'is_image', (select string_agg(format('(%srow(o.m23_%s)::record operator(pg_catalog.*=) row(%s)::record)',
                    case when b.bits <> 0 then format('coalesce(o.m23_unchanged, 0) & %s <> 0 or ', b.bits) else '' end,
                    f.name, case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end), ' and ' order by c.attnum)
       from m23.columns_of(p_table.relid) c join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null,
            lateral (select m23.column_bits(p_table, c.attnum)) b (bits)
      where not c.generated));
end $outer$;

-- The settings by which the function after a row tells the one after the statement what it has seen: a group or a key that was
-- changed, and a key (both: a row has changed its key and its tenant).
create function m23.changed_flag(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.changed_' || p_table_id $$;

create function m23.moved_flag(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.moved_' || p_table_id $$;

-- The function after an updated row: it has no column in its definition, which would keep the application from altering it. It has
-- its writer's rights and no path of its own, as m23_log.before(). The first row of a statement is looked at with care: where
-- nobody has followed an ALTER TABLE, a column may have gone.
create function m23.row_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_set  constant text := 'perform pg_catalog.set_config(%L, ''yes'', true);';
  v_keys text[] := array(select c.name from m23.columns_of(p_table.relid) c where c.key_ord is not null or c.attnum = p_table.tenant_attnum);
  v_wide text[] := array(select c.name from m23.log_groups g join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums) where g.table_id = p_table.id and g.in_use and g.wide);
  v_rest text[] := array(select c.name from m23.log_groups g join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums) where g.table_id = p_table.id and g.in_use and not g.wide);
  v_all  text;
  v_each text;
begin
  select concat_ws(' ', string_agg(format(v_set, m23.group_flag(p_table.id, g.bit)), ' ' order by g.bit), format(v_set, m23.changed_flag(p_table.id)),
                   format('perform pg_catalog.set_config(%1$L, case when pg_catalog.current_setting(%1$L, true) operator(pg_catalog.=) ''both'' or (%2$s) and (%3$s) then ''both'' else ''yes'' end, true);',
                          m23.moved_flag(p_table.id), m23.columns_differ(array[m23.tenant_column(p_table)]), coalesce(nullif(m23.columns_differ(array_remove(v_keys, m23.tenant_column(p_table))), ''), 'false'))),
         concat_ws(' ', string_agg(format('if (case when %s then false else %s end) then %s %s end if;', m23.has_changed_group(p_table.id, g.bit),
                                          m23.columns_differ(d.names, v_wide), format(v_set, m23.group_flag(p_table.id, g.bit)), format(v_set, m23.changed_flag(p_table.id))),
                                   ' ' order by g.bit))
    into v_all, v_each
    from m23.log_groups g, lateral (select array_agg(c.name order by c.attnum) from m23.groupable_columns(p_table) c where c.attnum = any (g.attnums)) d (names)
   where g.table_id = p_table.id and g.in_use;
  return m23.fill($body$
declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('{seen}', true) operator(pg_catalog.=) 'yes' then
    {look}
  else
    begin
    {look}
      perform pg_catalog.set_config('{seen}', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('{changed}', 'yes', true);
    end;
  end if;
  return v_null;
end $body$,
    'seen', 'm23.seen_' || p_table.id, 'changed', m23.changed_flag(p_table.id),
    'look', m23.fill($body$if ({differ}) then
      if ({key_differs}) then
        {all_changed}
      else
        {each_changed}
      end if;
    end if;$body$, 'differ', m23.columns_differ(v_keys || v_rest || v_wide, v_wide), 'key_differs', m23.columns_differ(v_keys), 'all_changed', v_all,
      'each_changed', coalesce(nullif(v_each, ''), 'null;')));
end $outer$;

-- TRUNCATE fires no row capture: the rows are logged before they go.
create function m23.truncate_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
declare v_table m23.protected_tables;
begin
  perform m23.refuse_stale_snapshot(tg_relid);
  if not {is_known} then
    v_table := m23.follow_layout({id}, tg_relid);
    if v_table.id is null then return null; end if;
  end if;
  perform m23.log_rows(tg_relid, {id}, 'D');
  return null;
end $body$, 'id', p_table.id::text, 'is_known', m23.layout_check(p_table));
end $outer$;

create function m23.capture_functions(p_table_id int) returns text
language sql immutable set search_path = '' as $$
  select string_agg(format('m23_log.%s_%s(%s)', f.name, p_table_id, f.arguments), ', ')
    from (values ('insert', ''), ('update', ''), ('delete', ''), ('row', ''), ('truncate', ''), ('replicated', ''), ('layout', 'regclass, text')) f (name, arguments)
$$;

create function m23.write_capture_functions(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $outer$
declare
  -- Those after a statement insert into tables of their own owner, whom row-level security passes over. A setting more would cost
  -- a tenth of what a single row's capture does.
  v_head     constant text := 'security definer set search_path = '''' ';
  v_function record;
begin
  execute m23.layout_function(p_table);
  for v_function in
    select * from (values
      ('insert', v_head || m23.text_settings(p_table), m23.insert_function(p_table)),
      ('update', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'update')),
      ('delete', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'delete')),
      ('row', '', m23.row_function(p_table)),
      ('replicated', v_head || 'set row_security = off ' || m23.text_settings(p_table), m23.replicated_function(p_table)),
      ('truncate', v_head || 'set row_security = off', m23.truncate_function(p_table))) f (name, attributes, body)
  loop
    execute m23.fill('create or replace function m23_log.{name}_{id}() returns trigger language plpgsql {attributes} as {body}',
      'name', v_function.name, 'id', p_table.id::text, 'attributes', v_function.attributes, 'body', quote_literal(v_function.body));
  end loop;
  execute format('revoke execute on function %s from public', m23.capture_functions(p_table.id));
end $outer$;

select m23.close_functions();
