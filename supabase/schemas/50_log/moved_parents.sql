-- Parents that have changed their tenant. A session that writes a child meanwhile still sees the parent as it was, and
-- logs its row for the tenant of before: capture waits for nobody. When both have ended, the upkeep puts it right.

create table m23.moved_parents (
  table_id  int not null,     -- the children's
  parent_id int not null,     -- the table that they refer to
  key       text[] not null,  -- what they refer with (m23.path_key)
  tenant_id text,             -- of before; null: nobody's
  xid       xid8 not null default pg_current_xact_id()
);
select m23.close_table('m23.moved_parents');
create index moved_parents_table on m23.moved_parents (table_id);
comment on table m23.moved_parents is
  'Parents that have changed their tenant, until nobody is at work any more who can have seen them as they were.';

-- The statement that notes them.
create function m23.note_moved(
  p_table m23.protected_tables, p_child m23.protected_tables, p_old text, p_new text
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into m23.moved_parents (table_id, parent_id, key, tenant_id)
      select {child_id}, {id}, x.key, x.tenant
        from (select {key} as key, ({tenant})::text as tenant from {old} r
              except select {key}, ({tenant})::text from {new} r) x
       where x.key in (select {key} from {new} r) and array_position(x.key, null) is null$sql$,
    'child_id', p_child.id::text, 'id', p_table.id::text, 'tenant', m23.row_tenant(p_table, 'r'),
    'key', m23.path_key(p_table.relid, p_child.parent_attnums, 'r'), 'old', p_old, 'new', p_new);
end $outer$;

-- Logs what was written under a parent while it moved; gives how many parents were looked at.
create function m23.settle_moved_parents() returns bigint
language plpgsql volatile as $$
declare
  v_child   m23.protected_tables;
  v_horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
  v_said    text;
  v_settled bigint := (select count(*) from m23.moved_parents where xid < v_horizon);
begin
  if v_settled = 0 then return 0; end if;
  for v_child in
    select t.* from m23.protected_tables t join pg_class c on c.oid = t.relid
     where t.suspended is null and t.id in (select m.table_id from m23.moved_parents m where m.xid < v_horizon)
     order by t.id
  loop
    continue when (m23.obstacle_of(v_child)).kind is not null;
    foreach v_said in array m23.late_moves(v_child, m23.moves_to_settle(v_child, v_horizon),
                                           m23.notes_of_moves(v_child, v_horizon)) loop
      execute v_said;
    end loop;
  end loop;
  delete from m23.moved_parents where xid < v_horizon;
  return v_settled;
end $$;

-- Those parents of a table, as m23.parent_changes has them, each with the transaction that moved it.
create function m23.moves_to_settle(p_table m23.protected_tables, p_horizon xid8) returns text
language plpgsql stable as $outer$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  return m23.fill($sql$select distinct {columns}, m.tenant_id as m23_before, false as m23_is_new, m.xid as m23_since
      from m23.moved_parents m
      join {parent} r on {key} = m.key where m.table_id = {id} and m.xid < {horizon}$sql$,
    'columns', m23.columns_text(v_parent.relid, p_table.parent_attnums, 'r'),
    'parent', m23.qualified_name(v_parent.relid),
    'key', m23.path_key(v_parent.relid, p_table.parent_attnums, 'r'), 'id', p_table.id::text,
    'horizon', quote_literal(p_horizon));
end $outer$;

-- The same by their keys, for rows that may be gone.
create function m23.notes_of_moves(p_table m23.protected_tables, p_horizon xid8) returns text
language plpgsql stable as $outer$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  return m23.fill($sql$select distinct {columns}, m23_a.tenant_id as m23_before, m23_a.xid as m23_since,
             ({tenant})::text as m23_after
        from m23.moved_parents m23_a join {parent} m23_p on {key} = m23_a.key
       where m23_a.table_id = {id} and m23_a.xid < {horizon}$sql$,
    'columns', m23.absent_key(p_table), 'tenant', m23.row_tenant(v_parent, 'm23_p'),
    'parent', m23.qualified_name(v_parent.relid),
    'key', m23.path_key(v_parent.relid, p_table.parent_attnums, 'm23_p'), 'id', p_table.id::text,
    'horizon', quote_literal(p_horizon));
end $outer$;
