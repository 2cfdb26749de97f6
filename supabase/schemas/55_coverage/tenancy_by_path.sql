-- Tables that refer to one that hangs on a tenant, by the firmest references that there are; none where no table is
-- left that does. It is asked about a table whose rows outlive what they refer to, about one with several references of
-- which none must be set, and about what hangs on those.
create function m23.tenancy_by_path(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[]
) returns setof m23.belonging
language plpgsql stable rows 100 as $$
begin
  return query
  with open as (
    select k.relid, k.attnums, k.parent,
           case when t.belongs = 'asks' then 4 else k.looseness end as looseness, t.attnum as tenant_attnum,
           k.parent_attnums, m23.columns_text(k.relid, k.attnums) as columns,
           count(*) over (partition by k.relid, k.attnums) as over_these
      from unnest(p_ties) k join unnest(p_known) t on t.relid = k.parent
     where k.relid = any (p_tables)),
  firmest as (
    select o.*, count(*) over (partition by o.relid) as alike,
           row_number() over (partition by o.relid order by o.attnums, o.parent) as place
      from open o where o.looseness = (select min(looseness) from open))
  select (case
    when f.looseness = 3 and f.parent_attnums = array[f.tenant_attnum]
      then m23.new_belonging(f.relid, 'asks',
        format('by "%s", if that is its owner: it refers to %s, but a row outlives it', f.columns,
               m23.public_name(f.parent)), null, quote_literal(f.columns))
    when f.looseness > 1 and (f.looseness > 2 or f.alike > 1)
      then m23.new_belonging(f.relid, 'asks',
        format(case f.looseness when 2 then 'through one of several references, of which none must be set, such as '
                                            '"%s" to %s'
                                when 3 then 'through "%s" to %s, if that is its owner: a row outlives it'
                                else 'through "%s" to %s, which asks itself' end, f.columns, m23.public_name(f.parent)),
        null, m23.via(f.columns, f.parent, f.over_these > 1))
    else m23.new_belonging(f.relid, 'path', format('through "%s" to %s', f.columns, m23.public_name(f.parent)),
                           null, m23.via(f.columns, f.parent, f.over_these > 1)) end).*
    from firmest f where f.place = 1;
end $$;

-- The argument that names a path; with the parent where the columns do not tell it.
create function m23.via(p_columns text, p_parent oid, p_with_parent boolean) returns text
language plpgsql stable as $$
begin
  return 'via => ' || quote_literal(p_columns || case when p_with_parent
                                                      then ' -> ' || m23.qualified_name(p_parent) else '' end);
end $$;

-- Columns of a table by their names.
create function m23.columns_text(p_relid oid, p_attnums int2[]) returns text
language plpgsql stable as $$
begin
  return (select string_agg(a.attname, ', ' order by n.place)
            from unnest(p_attnums) with ordinality n (attnum, place)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = n.attnum);
end $$;
