-- The types that others use and the server does not bring along, and those that these use. Each is looked up by itself:
-- every table and every log has two more, and the planner would read them all.
create function m23.types_within(p_types oid[]) returns table (type oid, depth int)
language plpgsql stable rows 5 as $$
begin
  return query
  with recursive used (type, depth) as (
    select unnest(p_types), 0
    union
    select next.type, u.depth + 1
      from used u
      cross join lateral (select y.* from pg_type y where y.oid = u.type offset 0) t
      cross join lateral (
        select nullif(t.typelem, 0) as type where t.typcategory = 'A'
        union all select nullif(t.typbasetype, 0)
        union all select a.atttypid from pg_attribute a
                   where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all select r.rngsubtype from pg_range r where r.rngtypid = t.oid
        union all select r.rngtypid from pg_range r where r.rngmultitypid = t.oid) next
     where next.type is not null and u.depth < 50)
  select t.oid, max(u.depth)
    from used u cross join lateral (select y.* from pg_type y where y.oid = u.type offset 0) t
   where t.typnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     and t.typtype in ('e', 'd', 'c', 'r', 'b') and t.typcategory <> 'A'
   group by t.oid;
end $$;
