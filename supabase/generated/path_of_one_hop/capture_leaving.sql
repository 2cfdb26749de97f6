declare v_stale text;
begin
  if (m23_log.layout_4('OID', '22b3a79d2338aecc6b658d5fa8dfe347') and m23.has_path_step('OID', '{1,2}', '66b40196428375e76bf28cb117bf60e4')) then
    insert into m23.absent_parents (table_id, parent_id, key, tenant_id)
      select v.table_id, 4, v.key, v.tenant_id
        from (values (5, array[old.id::text], ((select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) old.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[old.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1))::text)) v (table_id, key, tenant_id) where array_position(v.key, null) is null;
  else
    foreach v_stale in array m23.stale_leaving_statements(4, tg_relid) loop execute v_stale using old; end loop;
  end if;
  return old;
end
