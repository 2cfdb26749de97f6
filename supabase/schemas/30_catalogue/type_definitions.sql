-- The types of the chosen tables with their schemas and collations, and the sequences that defaults of domains name,
-- what others use first.
create function m23.type_definitions(p_tables text[]) returns jsonb
language sql stable as $$
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
