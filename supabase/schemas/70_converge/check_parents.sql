-- Written rows whose parent does not exist; existing parents are locked against deletion. Of a key that is
-- NOT VALID, rows that were there may have referred to nothing before: the plan has seen to what they refer to now.
create function m23.check_parents(
  p_targets m23.target[], p_target m23.target, inout faults text[], inout blocked text[]
)
language plpgsql as $$
declare
  v_key    pg_constraint;
  v_path   text;
  v_parent text;
  v_rows   text;
  v_match  text;
  v_count  bigint;
begin
  for v_key in
    select k.* from m23.references_from((p_target.tbl).relid) k
     where m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
  loop
    v_path := m23.path_with(p_targets, p_target, v_key.confrelid);
    v_parent := m23.qualified_name(v_key.confrelid);
    v_rows := m23.planned_rows(p_target.tbl, v_key.conrelid, '<>');
    v_match := m23.refers(v_key, 'p', 'd');
    perform m23.number_of(v_path, format('select count(*) from (
        select 1 from %s p where exists (select from %s d where %s) for key share of p nowait) locked',
      v_parent, v_rows, v_match));
    v_count := m23.number_of(v_path, format('
        select count(*) from %s d where row(%s) is not null and (d.m23_op in (''I'', ''T'') or %L)
           and not exists (select from %s p where %s)',
      v_rows, m23.columns_text(v_key.conrelid, v_key.conkey, 'd'), v_key.convalidated, v_parent, v_match));
    if v_count > 0 then
      select * into faults, blocked
        from m23.tell_broken(p_targets, p_target, v_key, true, v_count, faults, blocked);
    end if;
  end loop;
end $$;
