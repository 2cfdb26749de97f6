-- Checks deferrable constraints: triggers keep them, which are silent, so that no write has run into them. What
-- another tenant has written since the plan, nobody has run into either: the plan is made anew.
create function m23.check_deferrable(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_rule  record;
  v_count bigint;
begin
  perform m23.wait_out_writers(v_table.relid) where exists (
    select from pg_constraint where conrelid = v_table.relid and contype in ('p', 'u', 'x') and condeferrable);
  for v_rule in
    select k.conname, i as index from pg_constraint k join pg_index i on i.indexrelid = k.conindid
     where k.conrelid = v_table.relid and k.contype in ('p', 'u', 'x') and k.condeferrable
  loop
    v_count := m23.number_of(p_target.path, m23.fill($sql$
        with live as (select r.ctid as m23_place, r.*, {parts} from {live} r where {predicate})
        select count(*) from live l join {diff} d on {same_key} and d.m23_op <> 'D'
          join live o on o.m23_place <> l.m23_place and {collide}$sql$,
      'parts', m23.index_parts(v_rule.index), 'live', m23.qualified_name(v_table.relid), 'diff', m23.diff_name(v_table),
      'predicate', coalesce(pg_get_expr((v_rule.index).indpred, v_table.relid), 'true'),
      'same_key', m23.key_match(v_table.relid, 'l', 'd'), 'collide', m23.collide(v_rule.index, 'l', 'o')));
    if v_count > 0 and m23.leave_claimed(p_target, p_tenant) > 0 then
      raise exception 'another tenant has taken a value meanwhile' using errcode = 'lock_not_available';
    elsif v_count > 0 then
      raise exception 'the restore would break "%"', v_rule.conname
        using errcode = 'unique_violation', table = m23.public_name(v_table.relid), constraint = v_rule.conname;
    end if;
  end loop;
end $$;
