-- Tables with a tenant column: one that refers to a root, or to another table's tenant column, or one that is named and
-- typed as a tenant column in use. Of several the one with the name of protected tables' goes first, then one that is
-- NOT NULL; where two are alike, it is asked.
create function m23.tenancy_by_column(
  p_tables oid[], p_known m23.belonging[], p_ties m23.tie[], p_used m23.used_column[]
) returns setof m23.belonging
language plpgsql stable rows 100 as $$
begin
  return query
  with referring (relid, attnum, looseness, parent) as (
    select k.relid, c.attnum, k.looseness, k.parent
      from unnest(p_ties) k
     cross join lateral unnest(k.attnums, k.parent_attnums) c (attnum, parent_attnum)
      join unnest(p_known) t on t.relid = k.parent and t.attnum = c.parent_attnum),
  named (relid, attnum, firm) as (
    select a.attrelid, a.attnum, u.firm
      from unnest(p_used) u
      join pg_attribute a on a.attname = u.name and a.attnum > 0 and not a.attisdropped
                         and a.attrelid = any (p_tables) and m23.base_type(a.atttypid) = u.type
     -- A key of its own, and a reference to something else, are no tenants.
     where m23.key_attnums(a.attrelid) is distinct from array[a.attnum]
       and (u.firm or not exists (select from unnest(p_ties) k
                                   where k.relid = a.attrelid and a.attnum = any (k.attnums)))
       and not exists (select from unnest(p_ties) k
                        where k.relid = a.attrelid and k.attnums = array[a.attnum]
                          and not exists (select from referring r where r.relid = k.relid and r.attnum = a.attnum))),
  ranked (relid, attnum, rank, how) as (
    select n.relid, n.attnum, case when n.firm then 0 else 2 end, 'which is named and typed as a tenant column in use'
      from named n
    union all
    select r.relid, r.attnum, case r.looseness when 1 then 1 else 3 end,
           format('which refers to %s', m23.public_name(r.parent))
      from referring r where r.looseness < 3),
  best as (
    select distinct on (b.relid, b.attnum) b.* from (
      select r.*, min(r.rank) over (partition by r.relid) as least from ranked r where r.relid = any (p_tables)) b
     where b.rank = b.least order by b.relid, b.attnum, b.how desc),
  counted as (select b.*, count(*) over (partition by b.relid) as alike from best b)
  select d.* from counted c cross join lateral m23.belongs_by(c.relid, 'direct', c.attnum, c.how) d where c.alike = 1
  union all
  select (m23.new_belonging(c.relid, 'asks',
            'by one of its columns ' || string_agg(format('"%s"', a.attname), ', ' order by a.attnum)
              || ', which are alike: name the tenant''s',
            array_agg(quote_literal(a.attname) order by a.attnum))).*
    from counted c join pg_attribute a on a.attrelid = c.relid and a.attnum = c.attnum
   where c.alike > 1 group by c.relid;
end $$;

-- Tables that are protected: their tenant column, or their path, was declared.
create function m23.tenancy_declared(p_roots m23.belonging[]) returns setof m23.belonging
language plpgsql stable rows 100 as $$
begin
  return query
  with recursive declared (tbl, parent, hops) as (
    select t, null::oid, 0 from m23.protected_tables t where t.parent_id is null
    union all
    select t, (d.tbl).relid, d.hops + 1 from declared d join m23.protected_tables t on t.parent_id = (d.tbl).id)
  select b.* from declared d cross join lateral (
      select case when d.parent is null
        then m23.belongs_by((d.tbl).relid, 'direct', (d.tbl).tenant_attnum, 'as it was declared')
        else m23.new_belonging((d.tbl).relid, 'path', format('through "%s" to %s, as it was declared',
               array_to_string(m23.tenancy_columns(d.tbl), ', '), m23.public_name(d.parent)),
               null, null, d.parent, d.hops) end as belonging) f
   cross join lateral (select (f.belonging).*) b
   where b.relid is not null and not exists (select from unnest(p_roots) r where r.relid = b.relid);
end $$;
