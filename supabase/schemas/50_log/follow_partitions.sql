-- Notes the partitions that have come, with the rows that they brought, and gone.
create function m23.follow_partitions(p_table m23.protected_tables, p_new boolean) returns void
language plpgsql as $$
declare v_relation oid;
begin
  perform m23.remove_partition(p) from m23.partitions p
   where p.table_id = p_table.id and p.relid not in (select c.relid from m23.captured_relations(p_table.relid) c);
  for v_relation in select c.relid from m23.captured_relations(p_table.relid) c where c.leaf and c.partitioned loop
    if not p_new and not exists (select from m23.partitions p where p.relid = v_relation) then
      perform m23.log_rows(v_relation, p_table.id, 'I');
    end if;
    insert into m23.partitions (relid, table_id, name, bounds)
      values (v_relation, p_table.id, m23.public_name(v_relation), m23.bounds_of(v_relation, p_table))
      on conflict (relid) do update set name = excluded.name, bounds = excluded.bounds;
  end loop;
end $$;
