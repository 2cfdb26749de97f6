-- Which tables hang on a tenant, by what the catalogue says: foreign keys, and columns that are named and typed as a
-- tenant column in use. Nothing is found by a name alone; what looks like it is asked about.

-- How a table hangs on a tenant.
create type m23.belonging as (
  relid     oid,
  belongs   text,    -- 'root', 'direct', 'path', 'asks' or 'global'
  how       text,
  arguments text[],  -- of m23.protect_table, beside the table, for each way there is; null where there is none
  attnum    int2,    -- its tenant column; null where it has none
  parent    oid,     -- the table that it is to find its tenants through
  hops      int      -- how many tables away its tenants are named
);

-- A foreign key between two tables, and how loosely it ties its rows: 1, each row refers to one; 2, some do not; 3, a
-- row outlives what it refers to.
create type m23.tie as (
  relid          oid,
  attnums        int2[],
  parent         oid,
  parent_attnums int2[],
  looseness      int,
  cascades       boolean  -- its rows are deleted with what they refer to
);

-- A belonging, by its fields.
create function m23.new_belonging(
  p_relid oid, p_belongs text, p_how text, p_arguments text[] default null, p_attnum int2 default null,
  p_parent oid default null, p_hops int default 0
) returns m23.belonging
language plpgsql immutable as $$
declare v_new m23.belonging;
begin
  v_new.relid := p_relid;
  v_new.belongs := p_belongs;
  v_new.how := p_how;
  v_new.arguments := p_arguments;
  v_new.attnum := p_attnum;
  v_new.parent := p_parent;
  v_new.hops := p_hops;
  return v_new;
end $$;

-- The same for a table with a tenant column.
create function m23.belongs_by(p_relid oid, p_belongs text, p_attnum int2, p_how text) returns m23.belonging
language plpgsql stable as $$
begin
  return (select m23.new_belonging(p_relid, p_belongs, format('by its column "%s", %s', a.attname, p_how),
                                   array[quote_literal(a.attname)], p_attnum)
            from pg_attribute a where a.attrelid = p_relid and a.attnum = p_attnum);
end $$;

-- The application's tables: no partitions, no copies, nothing of an extension, of the system or of M23.
create function m23.applications_tables() returns setof oid
language plpgsql stable rows 200 as $$
begin
  return query
  select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
     and (n.nspname = 'public' or not m23.is_system_schema(n.nspname)) and m23.not_the_applications(c.oid) is null
     and not (n.nspname = 'public' and c.relname = any (m23.own_tables()))
     and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     and not exists (select from public.restore_logs r where r.target_schema = n.nspname);
end $$;

-- All foreign keys between two tables.
create function m23.ties() returns setof m23.tie
language plpgsql stable rows 500 as $$
begin
  return query
  select k.conrelid, k.conkey, k.confrelid, k.confkey,
         case when not exists (select from pg_attribute a
                                where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and not a.attnotnull) then 1
              when k.confdeltype in ('n', 'd') then 3 else 2 end,
         k.confdeltype = 'c'
    from pg_constraint k
   where k.contype = 'f' and k.conparentid = 0 and k.conrelid <> k.confrelid and m23.is_enforced(k);
end $$;

-- The column by which a root's rows are told apart, and its children's refer to it.
create function m23.root_attnum(p_root oid, p_tenant_column name) returns int2
language plpgsql stable as $$
declare v_key int2[] := m23.key_attnums(p_root);
begin
  return coalesce(
    (select t.tenant_attnum from m23.protected_tables t where t.relid = p_root),
    case when cardinality(v_key) = 1 then v_key[1] end,
    (select a.attnum from pg_attribute a
      where a.attrelid = p_root and a.attname = p_tenant_column and a.attnum > 0 and not a.attisdropped));
end $$;

-- The tables whose rows are the tenants: the one that is named, else those that tenant columns refer to.
create function m23.tenant_roots(p_root regclass, p_tenant_column name) returns setof m23.belonging
language plpgsql stable rows 1 as $$
declare v_attnum int2 := m23.root_attnum(p_root, p_tenant_column);
begin
  if p_root is not null and v_attnum is null then
    raise exception '% has no key of one column by which its rows, the tenants, are named', p_root
      using errcode = 'undefined_column', hint = 'Name that column as the second argument.';
  elsif p_root is not null then
    return query select * from m23.belongs_by(p_root, 'root', v_attnum, 'whose rows are the tenants');
    return;
  end if;
  return query
  with tenant_columns (relid, attnum) as (
    select t.relid, t.tenant_attnum from m23.protected_tables t
    union
    select a.attrelid, a.attnum from pg_attribute a
     where a.attname = p_tenant_column and a.attnum > 0 and not a.attisdropped
       and a.attrelid in (select m23.applications_tables())),
  ties (relid, attnum, parent, parent_attnum) as (
    select t.relid, t.attnums[1], t.parent, t.parent_attnums[1] from m23.ties() t where cardinality(t.attnums) = 1)
  select r.* from (
    select distinct k.parent, k.parent_attnum from ties k join tenant_columns c using (relid, attnum)
     where not exists (select from m23.protected_tables t
                        where t.relid = k.parent and t.tenant_attnum is distinct from k.parent_attnum)
       and not exists (select from ties up join tenant_columns c using (relid, attnum)
                        where up.relid = k.parent and up.attnum = k.parent_attnum)
    union
    select t.relid, t.tenant_attnum from m23.protected_tables t
     where t.key_attnums = array[t.tenant_attnum]
       and exists (select from ties k where k.parent = t.relid and k.parent_attnum = t.tenant_attnum)
       and not exists (select from ties k where k.relid = t.relid and k.attnum = t.tenant_attnum)) found (relid, attnum)
  cross join lateral m23.belongs_by(found.relid, 'root', found.attnum, 'whose rows are the tenants') r;
end $$;

-- A column by which tables of the application tell tenants apart.
create type m23.used_column as (
  name text,
  type oid,
  firm boolean  -- it is that of protected tables, or the caller has named it
);

-- The tenant columns that are in use: those of protected tables, those that refer to a root, and the one that is named,
-- of the type that the named root's key has, or most columns of the name.
create function m23.tenant_columns_in_use(
  p_root regclass, p_tenant_column name, p_roots m23.belonging[], p_ties m23.tie[]
) returns setof m23.used_column
language plpgsql stable rows 5 as $$
begin
  return query
  select u.name::text, u.type, bool_or(u.firm) from (
    select a.attname, m23.base_type(a.atttypid), true
      from m23.protected_tables t
      join pg_attribute a on a.attrelid = t.relid and a.attnum = t.tenant_attnum and not a.attisdropped
     where not exists (select from unnest(p_roots) r where r.relid = t.relid)
       and (t.key_attnums <> array[t.tenant_attnum]  -- the key of another root is no name for tenants
            or exists (select from unnest(p_ties) k where k.relid = t.relid and k.attnums = t.key_attnums))
    union all
    select a.attname, m23.base_type(a.atttypid), a.attname is not distinct from p_tenant_column
      from unnest(p_ties) k
      join unnest(p_roots) r on r.relid = k.parent and array[r.attnum] = k.parent_attnums
      join pg_attribute a on a.attrelid = k.relid and a.attnum = k.attnums[1]
     where k.looseness < 3
    union all
    select p_tenant_column, m23.base_type(a.atttypid), true
      from unnest(p_roots) r join pg_attribute a on a.attrelid = r.relid and a.attnum = r.attnum
     where r.relid = p_root
    union all
    select p_tenant_column, m23.most_common_type(p_tenant_column), true where p_root is null) u (name, type, firm)
   where u.name is not null and m23.tenant_type(u.type) is not null
   group by u.name, u.type;
end $$;

-- The type that most of the application's columns of a name have; null where no type has most.
create function m23.most_common_type(p_column name) returns oid
language plpgsql stable as $$
begin
  return (
    select case when count(*) = 1 then min(c.type) end from (
      select n.type, n.count, max(n.count) over () as most from (
        select m23.base_type(a.atttypid), count(*) from pg_attribute a
         where a.attname = p_column and a.attnum > 0 and not a.attisdropped
           and a.attrelid in (select m23.applications_tables()) group by 1) n (type, count)) c
     where c.count = c.most);
end $$;
