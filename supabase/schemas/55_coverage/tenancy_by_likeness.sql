-- Tables that look as if they hung on a tenant, though no foreign key says so: each is asked about.
create function m23.tenancy_by_likeness(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[], p_used m23.used_column[]
) returns setof m23.belonging
language plpgsql stable rows 20 as $$
begin
  return query
  with columns as materialized (
    select a.attrelid as relid, a.attnum, a.attname::text as name, lower(translate(a.attname, '_', '')) as plain,
           m23.base_type(a.atttypid) as type,
           m23.key_attnums(a.attrelid) is not distinct from array[a.attnum]
             or exists (select from unnest(p_ties) k where k.relid = a.attrelid and a.attnum = any (k.attnums)) as taken
      from pg_attribute a where a.attrelid = any (p_tables) and a.attnum > 0 and not a.attisdropped),
  looks (relid, rank, attnum, how, arguments, parent, hops) as (
    select c.relid, 1, c.attnum,
           format('by its column "%s", which is named as a tenant column in use and is of another type', c.name),
           quote_literal(c.name), null::oid, 0
      from columns c
     where not c.taken and exists (select from unnest(p_used) u where u.name = c.name)
       and not exists (select from unnest(p_used) u where u.name = c.name and u.type = c.type)
    union all
    select c.relid, r.rank, c.attnum, format('through "%s", which %s %s', c.name, r.likeness, m23.public_name(t.relid)),
           case when t.belongs = 'root' then quote_literal(c.name)
                else m23.via(c.relid, array[c.attnum], t.relid, p_ties) end,
           t.relid, t.hops + 1
      from m23.names_of_references(p_known, p_ties) r
      join columns c on not c.taken and c.type = r.type and r.name = case r.rank when 2 then c.name else c.plain end
      join unnest(p_known) t on t.relid = r.parent
     where c.relid <> t.relid
    union all
    select c.relid, 4, c.attnum, format('through "%s", by what "%s" says', c.name, kind.name), null, null, 0
      from columns c
      join columns kind on kind.relid = c.relid and lower(kind.name) ~ '.type$' and lower(c.name) ~ '.id$'
       and lower(regexp_replace(kind.name, '_?type$', '', 'i')) = lower(regexp_replace(c.name, '_?id$', '', 'i'))
    union all
    select p.relid, 5, 0, format('because the tenant''s row in %s points at it, if no other''s does',
                                 m23.public_name(p.parent)), p.arguments, p.parent, p.hops
      from m23.pointers(p_tables, p_known, p_ties) p where p.of_root),
  best as (select distinct l.*, min(l.rank) over (partition by l.relid) as least from looks l)
  select b.*
    from (select l.relid, string_agg(distinct l.how, ', or ') as how,
                 array_remove(array_agg(l.arguments order by l.attnum, l.hops, l.how), null) as arguments,
                 (array_agg(l.parent order by l.attnum, l.hops, l.how))[1] as parent, max(l.hops) as hops
            from best l where l.rank = l.least group by l.relid) t
   cross join lateral m23.new_belonging(t.relid, 'asks', t.how, nullif(t.arguments, '{}'), null, t.parent, t.hops) b;
end $$;

-- What columns are called that refer to a table which hangs on a tenant: as foreign keys in use are (2), or by the
-- table's own name (3), in lower case and without `_`.
create function m23.names_of_references(
  p_known m23.belonging[], p_ties m23.tie[]
) returns table (parent oid, rank int, name text, type oid, likeness text)
language plpgsql stable rows 200 as $$
begin
  return query
  with parents as materialized (
    select t.relid, lower(translate(c.relname, '_', '')) as name, k.attnum, m23.base_type(k.atttypid) as type
      from unnest(p_known) t join pg_class c on c.oid = t.relid
      join pg_attribute k on k.attrelid = t.relid and array[k.attnum] = m23.key_attnums(t.relid))
  select distinct p.relid, 2, a.attname::text, p.type, 'is named and typed as references to'
    from parents p
    join unnest(p_ties) k on k.parent = p.relid and k.parent_attnums = array[p.attnum]
    join pg_attribute a on a.attrelid = k.relid and a.attnum = k.attnums[1] and m23.base_type(a.atttypid) = p.type
  union all
  select distinct p.relid, 3, said.name || 'id', p.type, 'looks like a reference to'
    from parents p
   cross join lateral (values (p.name), (regexp_replace(p.name, 's$', '')), (regexp_replace(p.name, 'es$', '')),
                              (regexp_replace(p.name, 'ies$', 'y'))) said (name);
end $$;
