-- Definitions: the SQL that makes a protected table again where there is none, with the types
-- that it uses. A manifest carries it, so that the bucket alone can bring a tenant back.
-- Functions, triggers and roles of the application are not part of it.

-- Types ---------------------------------------------------------------------------------

create function m23.type_definition(p_type oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(
    (select format('create extension if not exists %I with schema %I', e.extname, n.nspname)
       from pg_depend d join pg_extension e on e.oid = d.refobjid join pg_namespace n on n.oid = e.extnamespace
      where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'),
    case t.typtype
      when 'e' then format('create type %s as enum (%s)', format_type(t.oid, null), (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
      when 'c' then format('create type %s as (%s)', format_type(t.oid, null),
        (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped))
      when 'r' then format('create type %s as range (subtype = %s)', format_type(t.oid, null), (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid))
      when 'd' then concat(format('create domain %s as %s', format_type(t.oid, null), format_type(t.typbasetype, t.typtypmod)),
        ' default ' || pg_get_expr(t.typdefaultbin, 0), case when t.typnotnull then ' not null' end,
        (select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.conname) from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
    end)
    from pg_type t where t.oid = p_type);
end $$;

create function m23.sequence_definition(p_sequence oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('create sequence if not exists %s as %s increment %s minvalue %s maxvalue %s start %s%s',
                m23.qualified_name(s.seqrelid), format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax,
                s.seqstart, case when s.seqcycle then ' cycle' end)
    from pg_sequence s where s.seqrelid = p_sequence);
end $$;

-- A collation of the application's. What describes its locale is called otherwise in each version.
create function m23.collation_definition(p_collation pg_collation) returns text
language plpgsql stable set search_path = '' as $$
declare v_facts jsonb := to_jsonb(p_collation);
begin
  return format('create collation if not exists %I.%I (provider = %s, %s%s%s)', p_collation.collnamespace::regnamespace::name,
    p_collation.collname, case p_collation.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
    case p_collation.collprovider
      when 'c' then format('lc_collate = %L, lc_ctype = %L', p_collation.collcollate, p_collation.collctype)
      else format('locale = %L', coalesce(v_facts ->> 'colllocale', v_facts ->> 'colliculocale')) end,
    case when not p_collation.collisdeterministic then ', deterministic = false' end,
    ', rules = ' || quote_literal(v_facts ->> 'collicurules'));
end $$;

-- The types of the chosen tables with their schemas and collations, and the sequences that defaults of domains name,
-- what others use first.
create function m23.type_definitions(p_tables text[]) returns jsonb
language sql stable set search_path = '' as $$
  with used as (
    select u.type, u.depth
      from m23.types_within(m23.column_types(array(
             select t.relid from m23.chosen(p_tables) t))) u),
  collations as (
    select distinct c.*
      from m23.chosen(p_tables) t join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
      join pg_type y on y.oid = a.atttypid join pg_collation c on c.oid in (a.attcollation, y.typcollation)
     where c.collnamespace <> 'pg_catalog'::regnamespace),
  sequences as (
    select distinct s.oid, s.relnamespace
      from used u join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = u.type
      join pg_class s on d.refclassid = 'pg_class'::regclass and s.oid = d.refobjid and s.relkind = 'S')
  select coalesce(jsonb_agg(d.sql order by d.rank, d.depth desc, d.sql), '[]')
    from (select m23.type_definition(u.type) as sql, max(u.depth) as depth, 2 as rank from used u group by 1
          union all
          select m23.sequence_definition(s.oid), 0, 1 from sequences s
          union all
          select m23.collation_definition(k), 0, 1 from pg_collation k where k.oid in (select c.oid from collations c)
          union all
          select distinct format('create schema if not exists %I', n.nspname), 0, 0
            from (select t.typnamespace from used u join pg_type t on t.oid = u.type
                  union all select s.relnamespace from sequences s
                  union all select c.collnamespace from collations c) o (namespace)
            join pg_namespace n on n.oid = o.namespace) d
   where d.sql is not null
$$;

-- Tables --------------------------------------------------------------------------------

-- The options of an identity column's sequence; null for another column.
create function m23.identity_options(p_column pg_attribute) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format(' (increment %s minvalue %s maxvalue %s start %s%s)', s.seqincrement, s.seqmin, s.seqmax, s.seqstart,
                        case when s.seqcycle then ' cycle' end)
            from pg_depend d join pg_sequence s on s.seqrelid = d.objid
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
             and d.refobjid = p_column.attrelid and d.refobjsubid = p_column.attnum);
end $$;

create function m23.column_definition(p_column pg_attribute) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat(quote_ident(p_column.attname), ' ', format_type(p_column.atttypid, p_column.atttypmod),
    (select format(' collate %I.%I', n.nspname, c.collname) from pg_collation c join pg_namespace n on n.oid = c.collnamespace join pg_type t on t.oid = p_column.atttypid
      where c.oid = p_column.attcollation and c.oid <> t.typcollation),
    case p_column.attidentity when 'a' then ' generated always as identity' when 'd' then ' generated by default as identity' end,
    m23.identity_options(p_column),
    case when p_column.attgenerated <> '' then (select format(' generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid), case p_column.attgenerated when 's' then 'stored' else 'virtual' end)
      from pg_attrdef d where d.adrelid = p_column.attrelid and d.adnum = p_column.attnum) end,
    case when p_column.attnotnull then ' not null' end));
end $$;

-- The sequences that a table's defaults take their values from.
create function m23.sequences_of(p_relid oid) returns table (name text, definition text, owned_by text)
language plpgsql stable rows 2 set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select distinct m23.qualified_name(c.oid), m23.sequence_definition(c.oid),
         (select format('%s.%I', m23.qualified_name(o.refobjid), a.attname) from pg_depend o join pg_attribute a on a.attrelid = o.refobjid and a.attnum = o.refobjsubid
           where o.classid = 'pg_class'::regclass and o.objid = c.oid and o.deptype = 'a' and o.refobjid = p_relid)
    from pg_attrdef d
    -- By its index: without statistics the planner reads all dependencies there are.
    cross join lateral (select refobjid from pg_depend where classid = 'pg_attrdef'::regclass and objid = d.oid
        and refclassid = 'pg_class'::regclass offset 0) p
    join pg_class c on c.oid = p.refobjid and c.relkind = 'S'
   where d.adrelid = p_relid;
end $$;

-- The statements that make a table and its partitions, in order, without keys and defaults.
create function m23.create_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('create schema if not exists %I', n.nspname) from pg_class c
      join pg_namespace n on n.oid = c.relnamespace where c.oid = p_relid)
      || array(select s.definition from m23.sequences_of(p_relid) s order by 1)
      || (select format('create table %s (%s)%s', m23.qualified_name(p_relid), string_agg(m23.column_definition(a), ', ' order by a.attnum),
                        case c.relkind when 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end)
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped where c.oid = p_relid group by c.oid, c.relkind)
      || array(select format('create table %s partition of %s %s%s', m23.qualified_name(t.relid), m23.qualified_name(t.parentrelid), pg_get_expr(c.relpartbound, c.oid),
                             case c.relkind when 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end)
                 from pg_partition_tree(p_relid) t join pg_class c on c.oid = t.relid where t.level > 0
                     order by t.level, 1));
end $$;

create function m23.policy_statement(p_policy pg_policy) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat(format('create policy %I on %s as %s for %s to ', p_policy.polname,
      m23.qualified_name(p_policy.polrelid),
      case when p_policy.polpermissive then 'permissive' else 'restrictive' end,
      case p_policy.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end),
    (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ') from unnest(p_policy.polroles) r),
    ' using (' || pg_get_expr(p_policy.polqual, p_policy.polrelid) || ')',
    ' with check (' || pg_get_expr(p_policy.polwithcheck, p_policy.polrelid) || ')'));
end $$;

-- Keys, unique and check constraints, defaults, indexes, row-level security, grants to the API's roles.
create function m23.finish_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('alter table %s alter column %I set default %s', m23.qualified_name(p_relid),
      a.attname, pg_get_expr(d.adbin, d.adrelid))
                 from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid = p_relid and a.attgenerated = '' order by a.attnum)
      || array(select format('alter sequence %s owned by %s', s.name, s.owned_by) from m23.sequences_of(p_relid) s where s.owned_by is not null order by 1)
      || array(select format('alter table %s add constraint %I %s', m23.qualified_name(p_relid), k.conname, pg_get_constraintdef(k.oid))
                 from pg_constraint k where k.conrelid = p_relid and k.contype in ('p', 'u', 'c', 'x') and k.conislocal
                order by array_position(array['p', 'u', 'x', 'c'], k.contype::text), k.conname)
      || array(select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = p_relid
                  and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = p_relid and k.contype in ('p', 'u', 'x')) order by 1)
      || array(select format('alter table %s %s', m23.qualified_name(p_relid), what) from pg_class c, unnest(array[
                 case when c.relrowsecurity then 'enable row level security' end, case when c.relforcerowsecurity then 'force row level security' end]) what
                where c.oid = p_relid and what is not null)
      || array(select m23.policy_statement(p) from pg_policy p where p.polrelid = p_relid order by p.polname)
      || array(select format('grant %s on %s to %I', string_agg(lower(a.privilege_type), ', ' order by a.privilege_type), m23.qualified_name(p_relid), a.grantee::regrole::name)
                 from pg_class c, aclexplode(c.relacl) a where c.oid = p_relid and a.grantee in (select oid from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))
                group by a.grantee order by 1));
end $$;

create function m23.reference_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('alter table %s add constraint %I %s', m23.qualified_name(p_relid), k.conname,
      pg_get_constraintdef(k.oid))
                 from pg_constraint k where k.conrelid = p_relid and k.contype = 'f' and k.conparentid = 0
                     order by k.conname));
end $$;

create function m23.table_definition(p_relid oid) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_build_object('create', m23.create_statements(p_relid), 'finish', m23.finish_statements(p_relid),
      'references', m23.reference_statements(p_relid)));
end $$;
comment on function m23.table_definition(oid) is 'The SQL that makes a table again: first `create`, then `finish`, and `references` when all tables are there.';

select m23.close_functions();
