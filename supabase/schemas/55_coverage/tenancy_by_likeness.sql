-- Tables that look as if they hung on a tenant, though no foreign key says so: each is asked about.
create function m23.tenancy_by_likeness(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[], p_used m23.used_column[]
) returns setof m23.belonging
language plpgsql stable rows 20 as $$
begin
  return query
  with columns as materialized (
    select a.attrelid as relid, a.attnum, a.attname::text as name, a.atttypid as type from pg_attribute a
     where a.attrelid = any (p_tables) and a.attnum > 0 and not a.attisdropped),
  parents as materialized (
    select t.relid, t.belongs, lower(translate(c.relname, '_', '')) as name, k.atttypid as type
      from unnest(p_known) t join pg_class c on c.oid = t.relid
      join pg_attribute k on k.attrelid = t.relid and array[k.attnum] = m23.key_attnums(t.relid)),
  looks as (
    select c.relid, 1 as rank, c.attnum,
           format('by its column "%s", which is named as a tenant column in use and is of another type', c.name) as how,
           quote_literal(c.name) as arguments
      from columns c
     where exists (select from unnest(p_used) u where u.name = c.name)
       and not exists (select from unnest(p_used) u where u.name = c.name and u.type = m23.base_type(c.type))
    union all
    select c.relid, 2, c.attnum,
           format('through "%s", which looks like a reference to %s', c.name, m23.public_name(p.relid)),
           case when p.belongs = 'root' then quote_literal(c.name) else m23.via(c.name, p.relid, true) end
      from columns c join parents p on p.type = c.type
       and lower(translate(c.name, '_', '')) in (p.name || 'id', regexp_replace(p.name, 's$', '') || 'id',
                                                 regexp_replace(p.name, 'es$', '') || 'id',
                                                 regexp_replace(p.name, 'ies$', 'y') || 'id')
     where m23.key_attnums(c.relid) is distinct from array[c.attnum]
       and not exists (select from unnest(p_ties) k where k.relid = c.relid and c.attnum = any (k.attnums))
    union all
    select c.relid, 3, c.attnum,
           format('through "%s", by what "%s" says', c.name, kind.name),
           m23.via(format('%s by %s', c.name, kind.name), null, false) || ', parents => ''{…}'''
      from columns c
      join columns kind on kind.relid = c.relid and lower(kind.name) ~ '.type$' and lower(c.name) ~ '.id$'
       and lower(regexp_replace(kind.name, '_?type$', '', 'i')) = lower(regexp_replace(c.name, '_?id$', '', 'i'))
    union all
    select k.parent, 4, 0::int2, format('because the tenant''s row in %s points at it', m23.public_name(k.relid)),
           'via => ' || quote_literal(format('<- %s (%s)', m23.qualified_name(k.relid),
                                             m23.columns_text(k.relid, k.attnums)))
      from unnest(p_ties) k join unnest(p_known) r on r.relid = k.relid and r.belongs = 'root'
     where k.parent = any (p_tables))
  select b.*
    from (select distinct on (x.relid) x.* from looks x order by x.relid, x.rank, x.attnum) l
   cross join lateral m23.new_belonging(l.relid, 'asks', l.how, null, l.arguments) b;
end $$;
