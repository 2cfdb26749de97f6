-- Rows of any table, of any tenant, that refer to what has vanished.
create function m23.check_children(
  p_targets m23.target[], p_target m23.target, inout faults text[], inout blocked text[]
)
language plpgsql as $$
declare
  v_key    pg_constraint;
  v_count  bigint;
begin
  for v_key in select * from m23.references_to((p_target.tbl).relid) loop
    v_count := m23.number_of(m23.path_with(p_targets, p_target, v_key.conrelid), format('
        select count(*) from pg_temp.m23_gone_%s g
         where exists (select from %s c where %s) and not exists (select from %s p where %s)',
      v_key.oid, m23.qualified_name(v_key.conrelid), m23.refers(v_key, 'g', 'c'),
      m23.qualified_name(v_key.confrelid), m23.alike_parents(v_key, 'p', 'g')));
    if v_count > 0 then
      select * into faults, blocked
        from m23.tell_broken(p_targets, p_target, v_key, false, v_count, faults, blocked);
    end if;
  end loop;
end $$;
