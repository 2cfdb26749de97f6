-- Why a table's tenant column may not be the tenant's, a sentence that goes on from the table's name; null where
-- nothing speaks against it. It is a warning: only who knows the application can tell.
create function m23.tenant_column_doubt(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare
  v_column text := m23.tenant_column(p_table);
  v_parent oid;
  v_theirs text;
begin
  if p_table.parent_id is not null then return null; end if;
  select m23.root_of(k.confrelid), m23.other_tenant_column(p_table, k) into v_parent, v_theirs
    from m23.references_from(p_table.relid) k
   where k.conkey = array[p_table.tenant_attnum] and m23.other_tenant_column(p_table, k) is not null limit 1;
  if v_theirs is not null then
    return format('is protected by "%s", which refers to %s; that has a tenant column itself, "%s": '
                  'is "%1$s" really the tenant?', v_column, m23.public_name(v_parent), v_theirs);
  elsif not m23.is_known_as_tenant(p_table) and m23.is_nearly_unique(p_table.relid, v_column) then
    return format('is protected by "%s", in which nearly each row has a value of its own: is that really the tenant?',
                  v_column);
  end if;
  return null;
end $$;

-- The tenant column of a table that a tenant column refers to, other than the one it refers to: declared, or named and
-- typed as that of other protected tables, or `tenant_id`. Null where there is none.
create function m23.other_tenant_column(p_table m23.protected_tables, p_key pg_constraint) returns text
language plpgsql stable as $$
begin
  return (
    with used as materialized (
      select distinct c.attname, c.atttypid
        from m23.protected_tables t
       cross join lateral (select a.attname, a.atttypid from pg_attribute a
                            where a.attrelid = t.relid and a.attnum = t.tenant_attnum offset 0) c
       where t.id <> p_table.id)
    select a.attname from pg_attribute a
     where a.attrelid = p_key.confrelid and a.attnum > 0 and not a.attisdropped and a.attnum <> p_key.confkey[1]
       and (a.attname = 'tenant_id'
            or exists (select from m23.protected_tables t
                        where t.relid = a.attrelid and t.tenant_attnum = a.attnum)
            or exists (select from used u
                        where u.attname = a.attname and m23.base_type(u.atttypid) = m23.base_type(a.atttypid)))
     order by a.attnum limit 1);
end $$;

-- Whether a table's tenant column is one elsewhere, too: of the same name and type in another protected table, or
-- referred to, as a root's is.
create function m23.is_known_as_tenant(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  return exists (select from m23.references_to(p_table.relid) k where k.confkey = array[p_table.tenant_attnum])
      or exists (select from m23.protected_tables t
                  where t.id <> p_table.id and t.tenant_type = p_table.tenant_type
                    and m23.tenant_column(t) = m23.tenant_column(p_table));
end $$;

-- Whether nearly every row has a value of its own in a column, as far as the first rows tell.
create function m23.is_nearly_unique(p_relid oid, p_column text) returns boolean
language plpgsql stable as $$
declare v_is boolean;
begin
  execute m23.fill($q$
    select count(*) >= 20 and count(distinct s.value) >= 0.9 * count(*)
      from (select t.{column}::text as value from {table} t where t.{column} is not null limit 1000) s $q$,
    'column', quote_ident(p_column), 'table', m23.qualified_name(p_relid)) into v_is;
  return v_is;
end $$;
