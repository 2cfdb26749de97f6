-- The planner's estimate of a tenant's rows: no scan, and good enough for a progress bar.
create function m23.estimated_rows(p_table m23.protected_tables, p_tenant text) returns bigint
language plpgsql volatile as $$
declare
  v_query text := format('explain (format json) select from %s r where %s', m23.qualified_name(p_table.relid),
                         m23.belongs_to(p_table, 'r', quote_literal(p_tenant)));
  v_path  text := m23.path_of(p_table.relid);
  v_plan  json;
begin
  perform set_config('search_path', v_path, true);
  begin  -- which lets go of the indexes: there may be hundreds of tables
    execute v_query into v_plan;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  perform pg_catalog.set_config('search_path', '', true);
  return (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
end $$;
