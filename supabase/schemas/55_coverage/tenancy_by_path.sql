-- Tables that refer to one that hangs on a tenant, by the firmest references that there are; none where no table is
-- left that does. Of several the one whose columns are all NOT NULL goes first, then the shortest path, then the one
-- with whose rows its rows are deleted. Where two are alike it is asked, and so it is about a table whose rows outlive
-- what they refer to, about one with several references of which none must be set, and about what hangs on those.
create function m23.tenancy_by_path(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[]
) returns setof m23.belonging
language plpgsql stable rows 100 as $$
begin
  return query
  with open as (
    select k.relid, k.attnums, k.parent, t.hops + 1 as hops, k.cascades,
           case when t.belongs = 'asks' then 4 else k.looseness end as looseness,
           k.parent_attnums = array[t.attnum] as by_tenant
      from unnest(p_ties) k join unnest(p_known) t on t.relid = k.parent
     where k.relid = any (p_tables)),
  firmest as (
    select o.*, case when o.looseness > 1 then 1
                     else rank() over (partition by o.relid order by o.hops, o.cascades desc) end as place
      from open o where o.looseness = (select min(looseness) from open)),
  best as (
    select distinct on (f.relid, f.attnums, f.parent) f.*,
           format('"%s" to %s', m23.columns_text(f.relid, f.attnums), m23.public_name(f.parent)) as way,
           case when f.looseness = 3 and f.by_tenant then quote_literal(m23.columns_text(f.relid, f.attnums))
                else m23.via(f.relid, f.attnums, f.parent, p_ties) end as arguments
      from firmest f
     where f.place = 1  -- One key within another, to the same table, is the same way.
       and not exists (select from firmest o where o.relid = f.relid and o.parent = f.parent and o.place = 1
                          and o.attnums <@ f.attnums and not o.attnums @> f.attnums)),
  told as (
    select b.relid, min(b.looseness) as looseness, count(*) as alike, max(b.hops) as hops,
           string_agg(b.way, ' or ' order by b.attnums, b.parent) as ways,
           array_agg(b.arguments order by b.attnums, b.parent) as arguments,
           (array_agg(b.parent order by b.attnums, b.parent))[1] as parent
      from best b group by b.relid)
  select b.*
    from told t
   cross join lateral m23.new_belonging(t.relid, case when t.looseness < 3 and t.alike = 1 then 'path' else 'asks' end,
      case when t.looseness = 1 and t.alike > 1 then format('through %s, which are alike', t.ways)
           when t.looseness = 2 and t.alike > 1 then format('through %s, of which none must be set', t.ways)
           when t.looseness < 3 then format('through %s', t.ways)
           when t.looseness = 3 then format('through %s, if that is its owner: a row outlives it', t.ways)
           else format('through %s, which asks itself', t.ways) end,
      t.arguments, null, t.parent, t.hops) b;
end $$;

-- The argument that names a path; with the parent where the columns do not tell it.
create function m23.via(p_relid oid, p_attnums int2[], p_parent oid, p_ties m23.tie[]) returns text
language plpgsql stable as $$
begin
  return 'via => ' || quote_literal(m23.quoted_columns(p_relid, p_attnums) || case
    when array[p_parent] = array(select distinct k.parent from unnest(p_ties) k
                                  where k.relid = p_relid and k.attnums @> p_attnums and k.attnums <@ p_attnums)
      then '' else ' -> ' || m23.qualified_name(p_parent) end);
end $$;

-- Columns of a table by their names.
create function m23.columns_text(p_relid oid, p_attnums int2[]) returns text
language plpgsql stable as $$
begin return array_to_string(m23.column_names(p_relid, p_attnums), ', '); end $$;

-- The same as SQL has them.
create function m23.quoted_columns(p_relid oid, p_attnums int2[]) returns text
language plpgsql stable as $$
begin
  return (select string_agg(quote_ident(u.name), ', ' order by u.n)
            from unnest(m23.column_names(p_relid, p_attnums)) with ordinality u (name, n));
end $$;
