-- The tenants as rows of the tables that tenant columns refer to, the roots.

-- Each root as if it were protected by its tenants' key: that says how its rows name them.
create function m23.roots() returns setof m23.protected_tables
language plpgsql stable rows 1 as $$
declare
  v_root  m23.belonging;
  v_table m23.protected_tables;
begin
  for v_root in select * from m23.tenant_roots(null, null) loop
    v_table := null;
    select t.* into v_table from m23.protected_tables t where t.relid = v_root.relid;
    v_table.relid := v_root.relid;
    v_table.tenant_attnum := v_root.attnum;
    v_table.parent_id := null;
    v_table.tenant_type := (select m23.tenant_type(a.atttypid) from pg_attribute a
                             where a.attrelid = v_root.relid and a.attnum = v_root.attnum);
    if v_table.tenant_type is not null and has_table_privilege(v_root.relid, 'select') then return next v_table; end if;
  end loop;
end $$;

-- The tenants that are rows of a root, each with its name where the table has a column for that.
create function m23.root_tenants() returns table (tenant_id text, name text)
language plpgsql stable rows 1000 as $$
declare v_root m23.protected_tables;
begin
  for v_root in select * from m23.roots() loop
    return query execute m23.fill(
      'select ({tenant})::text, {name} from {root} r where {tenant} is not null',
      'tenant', m23.row_tenant(v_root, 'r'), 'root', m23.qualified_name(v_root.relid),
      'name', coalesce('r.' || quote_ident(m23.name_column(v_root)) || '::text', 'null::text'));
  end loop;
end $$;

-- The column with the names of a root's rows: a text that is called like one. Null where there is none.
create function m23.name_column(p_root m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select a.attname::text
            from unnest('{name,display_name,displayname,title,company_name,slug}'::text[])
                 with ordinality n (name, rank)
            join pg_attribute a on a.attrelid = p_root.relid and lower(a.attname) = n.name and not a.attisdropped
           where a.attnum > 0 and a.attnum <> p_root.tenant_attnum and m23.tenant_type(a.atttypid) = 'text'
           order by n.rank limit 1);
end $$;

-- Whether a row of a root is a tenant, by its key.
create function m23.is_root_tenant(p_tenant text) returns boolean
language plpgsql stable as $$
declare
  v_root  m23.protected_tables;
  v_found boolean;
begin
  for v_root in select * from m23.roots() loop
    execute m23.fill('select exists (select from {root} r where {belongs})',
      'root', m23.qualified_name(v_root.relid), 'belongs', m23.belongs_to(v_root, 'r', '$1'))
      into v_found using p_tenant;
    if v_found then return true; end if;
  end loop;
  return false;
end $$;
