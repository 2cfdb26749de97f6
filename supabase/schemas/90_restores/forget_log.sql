-- Removes a tenant's entries from all logs; gives how many.
create function m23.forget_log(p_tenant text) returns bigint
language plpgsql volatile as $$
declare
  v_table   int;
  v_part    int;
  v_count   bigint;
  v_removed bigint := 0;
begin
  foreach v_table in array m23.logged_tables(array(select t.id from m23.protected_tables t), p_tenant, '0') loop
    foreach v_part in array m23.parts_of(v_table, p_tenant, '0') loop
      execute format('delete from %s l where %s', m23.part_name(v_table, v_part), m23.is_logged_of(v_table, '$1'))
        using p_tenant;
      get diagnostics v_count = row_count;
      v_removed := v_removed + v_count;
    end loop;
    perform m23.forget_sums(v_table, p_tenant);
  end loop;
  delete from m23.log_tenants where tenant_id = p_tenant;
  delete from m23.absent_parents where tenant_id in (p_tenant, lower(p_tenant));
  delete from m23.moved_parents where tenant_id in (p_tenant, lower(p_tenant));
  return v_removed;
end $$;
