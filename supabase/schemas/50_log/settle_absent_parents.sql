-- Brings the absent parents up to what is there: those that have come without being seen, as where two sessions wrote
-- parent and child at once, and those that nobody refers to any more. Gives how many notes went.
create function m23.settle_absent_parents() returns bigint
language plpgsql volatile as $$
declare
  v_child  m23.protected_tables;
  v_parent m23.protected_tables;
  v_said   text;
  v_before bigint := (select count(*) from m23.absent_parents);
begin
  delete from m23.absent_parents a
   where not exists (select from m23.protected_tables t join pg_class c on c.oid = t.relid
                      where t.id = a.table_id and t.parent_id = a.parent_id);
  for v_child in
    select t.* from m23.protected_tables t
     where t.suspended is null and exists (select from m23.absent_parents a where a.table_id = t.id)
  loop
    continue when (m23.obstacle_of(v_child)).kind is not null;
    v_parent := m23.parent_of(v_child);
    foreach v_said in array m23.settling_statements(v_parent, v_child) loop execute v_said; end loop;
  end loop;
  return v_before - (select count(*) from m23.absent_parents);
end $$;

-- The statements that do so for one table: only notes of transactions that have ended are looked at. Where a foreign
-- key is kept at the end of each statement, nobody can have written a child without seeing its parent.
create function m23.settling_statements(p_parent m23.protected_tables, p_child m23.protected_tables) returns text[]
language plpgsql stable as $outer$
declare
  v_ended text := 'a.table_id = ' || p_child.id || ' and a.xid < pg_snapshot_xmin(pg_current_snapshot())';
  v_there text := m23.fill($sql$(select {alias}.* from (select distinct {keys} from m23.absent_parents m23_a
        where m23_a.table_id = {id} and m23_a.xid < pg_snapshot_xmin(pg_current_snapshot())) m23_k
        join {parent} {alias} on {is_parent})$sql$,
    'keys', m23.absent_key(p_child), 'id', p_child.id::text, 'parent', m23.qualified_name(p_parent.relid),
    'alias', 'm23_p', 'is_parent', m23.is_child_of(p_child, 'm23_k', 'm23_p'));
begin
  return case when m23.path_is_kept(p_child) then '{}'
              else m23.late_moves(p_child, m23.parents_seen_late(p_parent, p_child, v_there),
                                  m23.notes_seen_late(p_parent, p_child)) end
    || m23.forget_absent(p_parent, p_child, v_there)
    || m23.fill($sql$delete from m23.absent_parents m23_a using (select m23_a.key as m23_key, {keys}
             from (select distinct a.key from m23.absent_parents a where {ended}) m23_a) k
       where m23_a.table_id = {id} and m23_a.key = k.m23_key
         and not exists (select from {child} r where {is_same})$sql$,
      'keys', m23.absent_key(p_child), 'ended', v_ended, 'id', p_child.id::text,
      'child', m23.qualified_name(p_child.relid), 'is_same', m23.same_path_columns(p_child, 'r', 'k'));
end $outer$;

-- The parents that are there (p_there) and have a note, as m23.parent_changes has them, each with the note's
-- transaction.
create function m23.parents_seen_late(
  p_parent m23.protected_tables, p_child m23.protected_tables, p_there text
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$select distinct {columns}, a.tenant_id as m23_before, false as m23_is_new, a.xid as m23_since
      from {there} r
     cross join lateral (select a.tenant_id, a.xid from m23.absent_parents a
                          where a.table_id = {id} and a.key = {key} order by a.noted_at desc limit 1) a$sql$,
    'columns', m23.columns_text(p_parent.relid, p_child.parent_attnums, 'r'), 'there', p_there,
    'id', p_child.id::text, 'key', m23.path_key(p_parent.relid, p_child.parent_attnums, 'r'));
end $outer$;

-- The same by the notes, for rows that may be gone, as the parent may: whose that was is said by the note that it left.
create function m23.notes_seen_late(p_parent m23.protected_tables, p_child m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$select distinct {columns}, m23_a.tenant_id as m23_before, m23_a.xid as m23_since,
             x.tenant_id as m23_after
        from m23.absent_parents m23_a
       cross join lateral (
         select ({tenant})::text from (select {columns}) m23_k join {parent} m23_p on {is_parent}
         union all
         select o.tenant_id from m23.absent_parents o
          where o.table_id = {id} and o.key = m23_a.key and o.noted_at > m23_a.noted_at) x (tenant_id)
       where m23_a.table_id = {id} and m23_a.tenant_id is null and x.tenant_id is not null
         and m23_a.xid < pg_snapshot_xmin(pg_current_snapshot())$sql$,
    'columns', m23.absent_key(p_child), 'tenant', m23.row_tenant(p_parent, 'm23_p'),
    'parent', m23.qualified_name(p_parent.relid), 'is_parent', m23.is_child_of(p_child, 'm23_k', 'm23_p'),
    'id', p_child.id::text);
end $outer$;
