-- How each table of the application hangs on a tenant, whether it is protected or not.
create function m23.belongings(p_root regclass, p_tenant_column name) returns setof m23.belonging
language plpgsql stable rows 200 as $$
declare
  v_column name := m23.tenant_column_to_plan(p_root, p_tenant_column);
  v_tables oid[] := array(select m23.applications_tables());
  v_ties   m23.tie[] := array(select k from m23.ties() k);
  v_roots  m23.belonging[] := array(select r from m23.tenant_roots(p_root, v_column) r);
  v_known  m23.belonging[] := v_roots || array(select d from m23.tenancy_declared(v_roots) d);
  v_used   m23.used_column[] := array(select u from m23.tenant_columns_in_use(p_root, v_column, v_roots, v_ties) u);
  v_found  m23.belonging[];
  v_pointed m23.belonging[];
  v_more   m23.belonging[];
begin
  loop
    v_more := array(select b from m23.tenancy_by_column(m23.without(v_tables, v_known), v_known, v_ties, v_used) b);
    exit when v_more = '{}';
    v_known := v_known || v_more;
  end loop;
  loop
    v_found := array(select b from m23.tenancy_by_path(m23.without(v_tables, v_known), v_known, v_ties) b);
    v_pointed := array(select b from m23.tenancy_by_pointer(m23.without(v_tables, v_known), v_known, v_ties) b);
    v_more := coalesce(nullif(array(select b from unnest(v_found) b where b.belongs = 'path'), '{}'),
                       nullif(array(select b from unnest(v_pointed) b where b.belongs = 'path'), '{}'),
                       nullif(v_pointed, '{}'), v_found);
    exit when v_more = '{}';
    v_known := v_known || v_more;
  end loop;
  v_known := v_known || array(select b from m23.tenancy_by_likeness(m23.without(v_tables, v_known), v_known, v_ties,
                                                                    v_used) b);
  return query select * from unnest(v_known);
  return query select b.* from unnest(m23.without(v_tables, v_known)) t
                cross join lateral m23.new_belonging(t, 'global', 'nothing ties its rows to a tenant') b;
end $$;

-- The column that tells tenants apart where nothing else does: the one that is named, else `tenant_id` where neither a
-- root is named nor a table protected.
create function m23.tenant_column_to_plan(p_root regclass, p_tenant_column name) returns name
language plpgsql stable as $$
begin
  return coalesce(p_tenant_column, case when p_root is null and not exists (select from m23.protected_tables)
                                        then 'tenant_id' end);
end $$;

-- The tables among these of which nothing is known yet.
create function m23.without(p_tables oid[], p_known m23.belonging[]) returns oid[]
language plpgsql stable as $$
begin
  return array(select t from unnest(p_tables) t where t not in (select k.relid from unnest(p_known) k));
end $$;
