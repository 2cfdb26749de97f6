-- What a statement does to the rows of other tables that find their tenants through its own: where a row changes its
-- tenant, or the key by which children refer to it, they leave and arrive with no statement of their own. So does what
-- has waited for a parent.

-- The statements for all tables below one, for an `insert` or `update`: p_old and p_new are its rows before and after.
create function m23.subtree_statements(
  p_table_id int, p_event text, p_old text default 'old_rows', p_new text default 'new_rows'
) returns text[]
language plpgsql stable as $$
declare
  v_table m23.protected_tables := (select t from m23.protected_tables t where t.id = p_table_id);
  v_child m23.protected_tables;
  v_said  text[] := '{}';
begin
  for v_child in select * from m23.protected_tables where parent_id = p_table_id order by id loop
    continue when (m23.obstacle_of(v_child)).kind is not null;
    if p_event = 'update' then v_said := v_said || m23.note_lost_keys(v_table, v_child, p_old, p_new); end if;
    v_said := v_said || m23.moves_below(v_child, m23.parent_changes(v_table, v_child, p_event, p_old, p_new), '', 'r')
                     || m23.forget_absent(v_table, v_child, p_new);
    if p_event = 'update' then v_said := v_said || m23.note_moved(v_table, v_child, p_old, p_new); end if;
  end loop;
  return v_said;
end $$;

-- Keys that an update has taken away: the children stay whose they were.
create function m23.note_lost_keys(
  p_table m23.protected_tables, p_child m23.protected_tables, p_old text, p_new text
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into m23.absent_parents (table_id, parent_id, key, tenant_id)
      select {child_id}, {id}, {old_key}, ({tenant})::text from {old} r
       where array_position({old_key}, null) is null and {old_key} not in (select {new_key} from {new} n)$sql$,
    'child_id', p_child.id::text, 'id', p_table.id::text, 'tenant', m23.row_tenant(p_table, 'r'),
    'old_key', m23.path_key(p_table.relid, p_child.parent_attnums, 'r'),
    'new_key', m23.path_key(p_table.relid, p_child.parent_attnums, 'n'), 'old', p_old, 'new', p_new);
end $outer$;

-- Parents that are there are no longer absent.
create function m23.forget_absent(p_table m23.protected_tables, p_child m23.protected_tables, p_new text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$delete from m23.absent_parents a
       where a.table_id = {child_id} and a.key in (select {key} from {new} r)$sql$,
    'child_id', p_child.id::text, 'key', m23.path_key(p_table.relid, p_child.parent_attnums, 'r'), 'new', p_new);
end $outer$;

-- The parents that may have changed their tenant, as a relation: the columns that children refer to, by their names,
-- and m23_before, the tenant before as text. A key that was not there before is whose its absent parent's note says;
-- m23_is_new: this transaction has noted it for rows that came before their parent. m23_said: the tenant that the
-- statement itself gave them; what a trigger has made of it since was logged by itself. Where a foreign key is kept,
-- notes of other transactions say nothing: their rows have gone since, or have got another parent.
create function m23.parent_changes(
  p_table m23.protected_tables, p_child m23.protected_tables, p_event text, p_old text, p_new text
) returns text
language plpgsql stable as $outer$
declare
  v_holes text[] := array[
    'note', 'a.tenant_id as m23_before, (a.tenant_id is null and a.xid = pg_current_xact_id()) is true as m23_is_new',
    'last', m23.fill('select a.tenant_id, a.xid from m23.absent_parents a
                       where a.table_id = {child_id} and a.key = {key}{is_recent} order by a.noted_at desc limit 1',
                     'is_recent', case when m23.path_is_enforced(p_child)
                                       then ' and a.xid = pg_current_xact_id()' else '' end,
                     'child_id', p_child.id::text, 'key', m23.path_key(p_table.relid, p_child.parent_attnums, 'r')),
    'columns', m23.columns_text(p_table.relid, p_child.parent_attnums, 'r'),
    'said', m23.fill('(select ({tenant})::text from {new} n where {its_key} = {key} limit 1) as m23_said',
                     'tenant', m23.row_tenant(p_table, 'n'), 'new', p_new,
                     'its_key', m23.path_key(p_table.relid, p_child.parent_attnums, 'n'),
                     'key', m23.path_key(p_table.relid, p_child.parent_attnums, 'r')),
    'tenant', m23.row_tenant(p_table, 'r'), 'old', p_old, 'new', p_new];
begin
  return case p_event when 'update' then m23.fill($sql$
      select r.*, {said} from (
        select {columns}, ({tenant})::text as m23_before, false as m23_is_new from {old} r
        except select {columns}, ({tenant})::text, false from {new} r
        union all
        select r.*, {note} from (select {columns} from {new} r except select {columns} from {old} r) r
          cross join lateral ({last}) a) r$sql$, variadic v_holes)
    else m23.fill($sql$
      select distinct {columns}, {note}, ({tenant})::text as m23_said from {new} r
        cross join lateral ({last}) a$sql$, variadic v_holes) end;
end $outer$;

-- The statements that log what leaves and arrives in a table and those below it. p_changes: m23.parent_changes; p_joins
-- leads from them (`k`) to the table that is the parent of p_table, p_above is its alias; p_late: by the upkeep, for
-- rows of which nobody has logged it (m23.is_unmoved).
create function m23.moves_below(
  p_table m23.protected_tables, p_changes text, p_joins text, p_above text, p_late boolean default false
) returns text[]
language plpgsql stable as $$
declare
  v_parent text := case when p_joins = '' then 'k' else p_above end;
  v_alias  text := 'm23_c' || p_table.id;
  v_child  m23.protected_tables;
  v_said   text[];
begin
  v_said := m23.logged_moves(p_table, p_changes, p_joins || format(
    ' join %s r on %s', m23.qualified_name(p_table.relid), m23.is_child_of(p_table, 'r', v_parent)), p_late);
  for v_child in select * from m23.protected_tables where parent_id = p_table.id order by id loop
    continue when (m23.obstacle_of(v_child)).kind is not null;
    v_said := v_said || m23.moves_below(v_child, p_changes,
      p_joins || format(' join %s %s on %s', m23.qualified_name(p_table.relid), v_alias,
                        m23.is_child_of(p_table, v_alias, v_parent)), v_alias, p_late);
  end loop;
  return v_said;
end $$;

-- The statements that log the moves of one table: its image and that it left, under the tenant of before, and that it
-- arrived. What this transaction has logged of such a row since it was the new tenant's last belongs to the tenant of
-- before: a statement that changes parents and children together logs them in no order. A row that another session is
-- deleting is waited for: it is gone then.
create function m23.logged_moves(
  p_table m23.protected_tables, p_changes text, p_joins text, p_late boolean default false
) returns text[]
language plpgsql stable as $outer$
declare
  v_all  record := m23.log_fields(p_table, false);
  v_key  record := m23.log_fields(p_table, true);
  v_rows text := m23.fill($sql$(select r.*, k.m23_before::{type} as m23_before, k.m23_is_new{since},
                                       {after} as m23_after
        from ({changes}) k{joins} offset 0 for key share of r) r$sql$,
    'type', p_table.tenant_type, 'since', case when p_late then ', k.m23_since' else '' end,
    'after', case when p_late then m23.row_tenant(p_table, 'r')
                  else format('coalesce(k.m23_said::%s, %s)', p_table.tenant_type, m23.row_tenant(p_table, 'r')) end,
    'changes', p_changes, 'joins', p_joins);
  v_log  text := m23.log_part(p_table.id);
begin
  return case when p_late then '{}' else array[m23.fill($sql$update {log} l set tenant_id = r.m23_before from {rows}
       where r.m23_before <> r.m23_after and l.tenant_id = r.m23_after and l.xid = pg_current_xact_id()
         and ({names}) = ({expressions})
         and not exists (select from {log} d
                          where d.tenant_id = l.tenant_id and d.xid = l.xid and d.change_id >= l.change_id
                            and d.op in ('D', 'o', 'l') and ({names_of_d}) = ({expressions}))$sql$,
      'log', v_log, 'rows', v_rows, 'names', m23.prefixed(v_key.names, 'l'),
      'names_of_d', m23.prefixed(v_key.names, 'd'), 'expressions', v_key.expressions)] end
    || (select array_agg(m23.fill($sql$insert into {log} (tenant_id, op, actor, source, request, {names})
      select {tenant}, {op}, {actor},
             {source}, {expressions} from {rows}
       where r.m23_before is distinct from r.m23_after and {tenant} is not null{is_unmoved} and {shares_fence}$sql$,
          'is_unmoved', case when p_late then ' and ' || m23.is_unmoved(p_table) else '' end,
          'log', v_log, 'names', case s.n when 1 then v_all.names else v_key.names end, 'tenant', s.tenant,
          'op', s.op, 'actor', m23.logged_actor(), 'source', m23.logged_source(p_table.id),
          'expressions', case s.n when 1 then v_all.expressions else v_key.expressions end, 'rows', v_rows,
          'shares_fence', m23.shares_fence(s.tenant, p_table.tenant_type, v_log)) order by s.n)
        from (values (1, '''U''', 'r.m23_before'), (2, '''l''', 'r.m23_before'),
                     (3, '(case when r.m23_is_new then ''I'' else ''a'' end)::"char"', 'r.m23_after'))
               s (n, op, tenant));
end $outer$;

-- Names of a list, each with an alias before it.
create function m23.prefixed(p_names text, p_alias text) returns text
language sql immutable as $$ select p_alias || '.' || replace(p_names, ', ', ', ' || p_alias || '.') $$;
