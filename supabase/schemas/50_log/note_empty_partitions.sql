-- Notes which partitions are dropped empty. They are locked as the command will lock them, the parent first.
create function m23.note_empty_partitions(p_text text) returns void
language plpgsql as $$
declare
  v_top   oid;
  v_leaf  oid;
  v_rows  boolean;
  v_empty oid[] := '{}';
begin
  for v_top in select m23.partitions_to_drop(p_text) loop
    execute format('lock table only %s in access exclusive mode',
                   m23.qualified_name((select inhparent from pg_inherits where inhrelid = v_top)));
    for v_leaf in select t.relid from pg_partition_tree(v_top) t where t.isleaf loop
      execute format('lock table %s in access exclusive mode', m23.qualified_name(v_leaf));
      execute format('select exists (select from %s)', m23.qualified_name(v_leaf)) into v_rows;
      v_empty := v_empty || case when not v_rows then v_leaf end;
    end loop;
  end loop;
  perform set_config('m23.empty_partitions', array_to_string(v_empty, ','), true);
exception when others then
  perform set_config('m23.empty_partitions', '', true);
  raise log 'm23: whether partitions that are dropped are empty was not found out: % (%)', sqlerrm, sqlstate;
end $$;
