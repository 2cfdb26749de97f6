-- The tenant column: whose a row is. A caller names a tenant by the text of the application's own key, whatever the
-- column's type; a log keeps it as uuid, bigint or text, so that one tenant may be an int here and a bigint there.

-- The name of a table's tenant column; null when it was dropped, and for a table that finds its tenants by a path.
create function m23.tenant_column(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select attname::text from pg_attribute
           where attrelid = p_table.relid and attnum = p_table.tenant_attnum and not attisdropped);
end $$;

-- The type in which a log keeps the tenants of a column of this type; null where it cannot be a tenant column.
create function m23.tenant_type(p_type oid) returns text
language plpgsql stable as $$
declare v_base oid := m23.base_type(p_type);
begin
  return case when v_base = 'uuid'::regtype then 'uuid'
              when v_base in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then 'bigint'
              when v_base in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) then 'text'
              when m23.is_citext(v_base) then 'text' end;
end $$;

-- The type that a domain is made of, however deep; any other type itself.
create function m23.base_type(p_type oid) returns oid
language plpgsql stable as $$
declare
  v_type oid := p_type;
  v_base oid;
begin
  loop
    select t.typbasetype into v_base from pg_type t where t.oid = v_type and t.typtype = 'd';
    if not found then return v_type; end if;
    v_type := v_base;
  end loop;
end $$;

-- Whether a type is the extension citext's; none of the server's own has so high a number.
create function m23.is_citext(p_type oid) returns boolean
language plpgsql stable as $$
begin
  if p_type < 16384 then return false; end if;  -- without a look at extensions
  return exists (
    select from pg_type t
      join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
      join pg_extension e on e.oid = d.refobjid
     where t.oid = p_type and t.typname = 'citext' and e.extname = 'citext');
end $$;

-- The type of a table's tenant column, or of the one at the end of its path, domains resolved.
create function m23.tenant_base_type(p_table m23.protected_tables) returns oid
language plpgsql stable as $$
begin
  if p_table.parent_id is not null then return m23.tenant_base_type(m23.parent_of(p_table)); end if;
  return (select m23.base_type(a.atttypid) from pg_attribute a
           where a.attrelid = p_table.relid and a.attnum = p_table.tenant_attnum and not a.attisdropped);
end $$;

-- The expression of a row's tenant, as its log keeps it. citext: 'A' and 'a' are one tenant.
create function m23.row_tenant(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as $$
declare v_type oid := m23.tenant_base_type(p_table);
begin
  if p_table.parent_id is not null then return m23.path_tenant(p_table, p_row); end if;
  return format(case when v_type in ('int2'::regtype, 'int4'::regtype) then '%s.%I::bigint'
                     when v_type = 'bpchar'::regtype then '%s.%I::text'
                     when m23.is_citext(v_type) then 'lower(%s.%I::text)'
                     else '%s.%I' end, p_row, m23.tenant_column(p_table));
end $$;

-- The expression of a tenant, p_tenant as text, as the log of a table keeps it. A text that is no value of the type is
-- a tenant without rows there: null.
create function m23.tenant_value(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable as $$
begin
  return format(case when p_table.tenant_type = 'uuid' then 'm23.uuid_of(%s)'
                     when p_table.tenant_type = 'bigint' then 'm23.bigint_of(%s)'
                     when m23.is_citext(m23.tenant_base_type(p_table)) then 'lower(%s)'
                     else '(%s)::text' end, p_tenant);
end $$;

-- The condition that an entry `l` of a table's log is the tenant's, p_tenant as text.
create function m23.is_logged_of(p_table_id int, p_tenant text) returns text
language plpgsql stable as $$
begin
  return (select 'l.tenant_id = ' || m23.tenant_value(t, p_tenant) from m23.protected_tables t where t.id = p_table_id);
end $$;

-- A copy of a table that finds its tenants by a path: it holds rows of one tenant only.
create function m23.has_no_tenants(p_table m23.protected_tables) returns boolean
language plpgsql immutable as $$
begin
  return p_table.parent_id is null and p_table.tenant_attnum is null and p_table.relid is not null;
end $$;

-- The columns of a table that say whose its rows are: the tenant column, or those of its path.
create function m23.tenancy_attnums(p_table m23.protected_tables) returns int2[]
language plpgsql immutable as $$
begin return coalesce(p_table.via_attnums, array_remove(array[p_table.tenant_attnum], null)); end $$;

-- The same by their names.
create function m23.tenancy_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return array(select a.attname::text from pg_attribute a
                where a.attrelid = p_table.relid and not a.attisdropped
                  and a.attnum = any (m23.tenancy_attnums(p_table)) order by a.attnum);
end $$;

-- How a table tells tenants apart, for a reader: `the column "org_id"`, or `task_id → tasks`.
create function m23.tenancy_text(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  if p_table.parent_id is null then return format('the column "%s"', m23.tenant_column(p_table)); end if;
  return m23.path_text(p_table);
end $$;

-- The condition that a live row is the tenant's, said so that the application's own index on the column serves it.
create function m23.belongs_to(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable as $$
declare
  v_type oid  := m23.tenant_base_type(p_table);
  v_name text := quote_ident(m23.tenant_column(p_table));
begin
  if p_table.parent_id is not null then return m23.path_belongs_to(p_table, p_row, p_tenant); end if;
  return case when m23.has_no_tenants(p_table) then 'true'
              when m23.is_citext(v_type)
                then (select format('%1$s.%2$s operator(%3$I.=) (%4$s)::%3$I.citext',
                                    p_row, v_name, n.nspname, p_tenant)
                        from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid = v_type)
              when v_type = 'bpchar'::regtype then format('%s.%s = (%s)::bpchar', p_row, v_name, p_tenant)
              else format('%s.%s = %s', p_row, v_name, m23.tenant_value(p_table, p_tenant)) end;
end $$;

-- A text as a uuid; null when it is none.
create function m23.uuid_of(p_text text) returns uuid
language plpgsql immutable strict as $$
begin
  return case when p_text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid end;
end $$;

-- A text as a bigint; null when it is none, or is written in another way than PostgreSQL writes it.
create function m23.bigint_of(p_text text) returns bigint
language plpgsql immutable strict as $$
begin
  if p_text !~ '^(0|-?[1-9][0-9]{0,18})$' then return null; end if;
  return case when p_text::numeric between -9223372036854775808 and 9223372036854775807 then p_text::bigint end;
end $$;

-- A tenant's name as records keep it: that of a uuid in lower case, as PostgreSQL prints it.
create function m23.tenant_key(p_tenant text) returns text
language plpgsql immutable strict as $$ begin return coalesce(m23.uuid_of(p_tenant)::text, p_tenant); end $$;

-- A tenant in the names of objects: a simple key as it is, of any other `~` and the first half of its SHA-256. Two
-- tenants never share one, because `~` is in no simple key. The crate m23-tenant has the same rule.
create function m23.tenant_name(p_tenant text) returns text
language plpgsql immutable strict as $$
begin
  return case when p_tenant collate "C" ~ '^[A-Za-z0-9_-]{1,100}$' then p_tenant
              else '~' || left(encode(sha256(convert_to(p_tenant, 'UTF8')), 'hex'), 32) end;
end $$;
