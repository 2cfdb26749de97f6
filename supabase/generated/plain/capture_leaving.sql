declare v_stale text;
begin
  if m23_log.layout_1('OID', 'f93de1db7943d94768f432431a389f09') then
    insert into m23.absent_parents (table_id, parent_id, key, tenant_id)
      select v.table_id, 1, v.key, v.tenant_id
        from (values (4, array[old.id::text], (old.tenant_id)::text)) v (table_id, key, tenant_id) where array_position(v.key, null) is null;
  else
    foreach v_stale in array m23.stale_leaving_statements(1, tg_relid) loop execute v_stale using old; end loop;
  end if;
  return old;
end
