-- Whether a protected table, or its log, has rows of a tenant. There may be many tables: the locks of each look
-- are given back with it.
create function m23.has_rows(p_tenant text) returns boolean
language plpgsql volatile as $$
declare
  v_table m23.protected_tables;
  v_look  text;
  v_found boolean := false;
begin
  if m23.logged_tables(array(select id from m23.protected_tables), p_tenant, '0') <> '{}' then return true; end if;
  for v_table in select * from m23.protected_tables order by id loop
    continue when m23.qualified_name(v_table.relid) is null or not m23.tells_tenants(v_table);
    v_look := format('exists (select from %s r where %s)', m23.qualified_name(v_table.relid),
                     m23.belongs_to(v_table, 'r', '$1'));
    begin
      execute 'select ' || v_look into v_found using p_tenant;
      raise exception 'the locks are given back' using errcode = 'M2303';
    exception when sqlstate 'M2303' then
      if v_found then return true; end if;
    end;
  end loop;
  return false;
end $$;
