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

-- The statements that do so for one table: only notes of transactions that have ended are looked at.
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
  return case when m23.path_is_enforced(p_child) then '{}'
              else m23.moves_below(p_child, m23.parent_changes(p_parent, p_child, 'settle', '', v_there), '', 'r') end
    || m23.forget_absent(p_parent, p_child, v_there)
    || m23.fill($sql$delete from m23.absent_parents m23_a using (select m23_a.key as m23_key, {keys}
             from (select distinct a.key from m23.absent_parents a where {ended}) m23_a) k
       where m23_a.table_id = {id} and m23_a.key = k.m23_key
         and not exists (select from {child} r where {is_same})$sql$,
      'keys', m23.absent_key(p_child), 'ended', v_ended, 'id', p_child.id::text,
      'child', m23.qualified_name(p_child.relid), 'is_same', m23.same_path_columns(p_child, 'r', 'k'));
end $outer$;
