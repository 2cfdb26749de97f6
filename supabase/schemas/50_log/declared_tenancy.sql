-- What m23.protect_table is asked for, before it takes a lock.

-- Refuses what is no table of the application's whose rows stay.
create function m23.refuse_unprotectable(p_table regclass) returns void
language plpgsql stable as $$
declare v_class pg_class := (select c from pg_class c where c.oid = p_table);
begin
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of'
           when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view'
           when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if m23.not_the_applications(p_table) is not null then
    raise exception '% cannot be protected: %', p_table, m23.not_the_applications(p_table)
      using errcode = 'insufficient_privilege';
  end if;
end $$;

-- The tenancy that a table is to have: the column or the path that is named; else what it has, else `tenant_id`.
create function m23.declared_tenancy(
  p_table regclass, p_column name, p_via text, p_already m23.protected_tables
) returns m23.protected_tables
language plpgsql stable as $$
declare v_wanted m23.protected_tables;
begin
  if p_column is not null and p_via is not null then
    raise exception 'a table has a tenant column or a path, not both' using errcode = 'invalid_parameter_value',
      hint = 'A column of its own is better where there is one.';
  elsif p_via is not null then
    v_wanted := m23.declared_path(p_table, p_via);
  elsif p_column is null and p_already.id is not null and m23.tells_tenants(p_already) then
    return p_already;
  else
    v_wanted := m23.declared_column(p_table, coalesce(p_column, 'tenant_id'));
  end if;
  if p_already.id is not null and m23.tells_tenants(p_already)
     and (v_wanted.tenant_attnum, v_wanted.parent_id, v_wanted.via_attnums, v_wanted.parent_attnums)
         is distinct from (p_already.tenant_attnum, p_already.parent_id, p_already.via_attnums,
                           p_already.parent_attnums) then
    raise exception '% is protected already, by %', p_table, m23.tenancy_text(p_already)
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;
  return v_wanted;
end $$;

-- A tenant column, by its name.
create function m23.declared_column(p_table regclass, p_column name) returns m23.protected_tables
language plpgsql stable as $$
declare
  v_wanted m23.protected_tables;
  v_type   oid;
begin
  select a.attnum, a.atttypid into v_wanted.tenant_attnum, v_type from pg_attribute a
   where a.attrelid = p_table and a.attname = p_column and a.attnum > 0 and not a.attisdropped;
  if v_wanted.tenant_attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_column
      using errcode = 'undefined_column',
            hint = 'Name the tenant column, select m23.protect_table(''schema.table'', ''column''), or a path to a '
                   'table that has one, via => ''task_id''. m23.plan_protection() says which there are.';
  end if;
  v_wanted.tenant_type := m23.tenant_type(v_type);
  return v_wanted;
end $$;

-- Whether a table can still tell its tenants apart.
create function m23.tells_tenants(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  if p_table.parent_id is null then return m23.tenant_column(p_table) is not null; end if;
  return m23.path_fault(p_table) is null and m23.tells_tenants(m23.parent_of(p_table));
end $$;

-- Locks a table, and before it the one that its path leads to first: what is deleted there is noted from here on.
create function m23.lock_to_protect(p_table regclass, p_wanted m23.protected_tables, p_already m23.protected_tables)
returns void
language plpgsql as $$
begin
  if p_wanted.parent_id is not null and p_already.parent_id is distinct from p_wanted.parent_id then
    execute format('lock table %s in share row exclusive mode', m23.qualified_name((m23.parent_of(p_wanted)).relid));
  end if;
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
end $$;
