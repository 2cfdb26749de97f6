-- The protected tables that names mean, all of them looked up at once: `orders` or `schema.orders`, raw. Either part
-- may have dots in it, so a name is cut at each of them, and looked for where it would stand.
create function m23.find_tables(p_names text[]) returns table (n bigint, name text, tbl m23.protected_tables)
language plpgsql stable security definer rows 20 set row_security = off
set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select distinct on (u.n) u.n, u.name, t
    from unnest(p_names) with ordinality u (name, n)
   cross join lateral (
      select 'public' as schema, u.name as relation
      union all
      select left(u.name, dot - 1), substr(u.name, dot + 1) from generate_series(1, length(u.name)) dot
       where substr(u.name, dot, 1) = '.') called
    join pg_namespace s on s.nspname = called.schema
    join pg_class c on c.relnamespace = s.oid and c.relname = called.relation
    join m23.protected_tables t on t.relid = c.oid
   order by u.n, t.id;
end $$;
