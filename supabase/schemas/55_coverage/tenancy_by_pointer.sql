-- Tables that a tenant's rows point at, by a reference that no two of them share: each of their rows is one tenant's.
-- It is asked about one that other rows of a tenant than the root's point at. One that other rows refer to as well
-- (people who own an organisation, and are members of others) is none of these, nor is one that is pointed at twice.
create function m23.tenancy_by_pointer(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[]
) returns setof m23.belonging
language plpgsql stable rows 5 as $$
begin
  return query
  select b.*
    from m23.pointers(p_tables, p_known, p_ties) p
   cross join lateral m23.new_belonging(p.relid, case when p.of_root then 'path' else 'asks' end,
      format('because %s in %s points at it', case when p.of_root then 'the tenant''s row' else 'one row' end,
             m23.public_name(p.parent)),
      array[p.arguments], null, p.parent, p.hops) b
   where p.pointers = 1 and p.is_unique;
end $$;

-- The references by which rows of a tenant point at tables that nothing else of a tenant refers to.
create function m23.pointers(p_tables oid[], p_known m23.belonging[], p_ties m23.tie[])
returns table (relid oid, parent oid, of_root boolean, hops int, pointers bigint, is_unique boolean, arguments text)
language plpgsql stable rows 5 as $$
begin
  return query
  select k.parent, k.relid, t.belongs = 'root', t.hops + 1, count(*) over (partition by k.parent),
         m23.is_unique(k.relid, k.attnums),
         'via => ' || quote_literal(format('<- %s (%s)', m23.qualified_name(k.relid),
                                           m23.quoted_columns(k.relid, k.attnums)))
    from unnest(p_ties) k
    join unnest(p_known) t on t.relid = k.relid and t.belongs in ('root', 'direct', 'path')
   where k.parent = any (p_tables)
     and not exists (select from unnest(p_ties) o join unnest(p_known) h on h.relid = o.relid
                      where o.parent = k.parent and o.relid <> k.relid);
end $$;

-- Whether no two rows of a table have the same values in these columns.
create function m23.is_unique(p_relid oid, p_attnums int2[]) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_index i
                  where i.indrelid = p_relid and i.indisunique and i.indisvalid and i.indpred is null
                    and i.indexprs is null and (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ p_attnums);
end $$;
