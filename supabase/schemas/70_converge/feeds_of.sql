-- How the columns of a table or of its partitions take their values from sequences: by their defaults, or those of
-- their domains, or as their own (identity, serial).
create function m23.feeds_of(p_relid oid, p_columns text[]) returns setof m23.feed
language plpgsql stable rows 2 set plan_cache_mode = force_generic_plan as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query
  with feeding as (
    select d.adrelid as relid, d.adnum as attnum, 'pg_attrdef'::regclass as class, d.oid as id, n.refobjid as sequence
      from pg_attrdef d join pg_depend n on n.classid = 'pg_attrdef'::regclass and n.objid = d.oid
     where d.adrelid = any (v_relids) and n.refclassid = 'pg_class'::regclass
    union all
    select a.attrelid, a.attnum, 'pg_type', t.oid, n.refobjid
      from pg_attribute a join pg_type t on t.oid = a.atttypid and t.typtype = 'd'
      join pg_depend n on n.classid = 'pg_type'::regclass and n.objid = t.oid
     where a.attrelid = any (v_relids) and a.attnum > 0 and not a.atthasdef and n.refclassid = 'pg_class'::regclass
    union all
    select o.refobjid, o.refobjsubid, null, null, o.objid
      from pg_depend o
     where o.refclassid = 'pg_class'::regclass and o.refobjid = any (v_relids) and o.refobjsubid > 0
       and o.classid = 'pg_class'::regclass and o.deptype in ('a', 'i'))
  select distinct f.sequence, a.attname::text, b.base, format_type(b.base, a.atttypmod), n.around
    from feeding f join pg_class s on s.oid = f.sequence and s.relkind = 'S'
    join pg_attribute a on a.attrelid = f.relid and a.attnum = f.attnum and a.attgenerated = ''
    cross join lateral (select m23.base_of(a.atttypid) offset 0) b (base)
    cross join lateral (select case when f.id is null then '{"",""}'
                                    else m23.around_nextval(f.class, f.id, f.sequence) end offset 0) n (around)
   where a.attname = any (p_columns) and n.around is not null;
end $$;
