-- Tables that are not protected and have the name that a protected one had at a time, as after an exchange for a copy.
create function m23.name_warnings(p_at timestamptz) returns text[]
language plpgsql stable as $$
begin
  return array(
    select format('%1$s was another table then, which is called %2$s now; '
                  'the present %1$s is not protected, and is left as it is', f.name, m23.public_name(t.relid))
      from m23.former_names f join m23.protected_tables t on t.id = f.table_id and f.until > p_at
      join pg_class mine on mine.oid = t.relid  -- dropped ones are told of by themselves
      join (pg_class c join pg_namespace n on n.oid = c.relnamespace)
        on c.relkind in ('r', 'p')
       and case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end = f.name
     where not exists (select from m23.protected_tables o where o.relid = c.oid)
       and not exists (select from m23.former_names l where l.table_id = t.id and l.until > p_at and l.until < f.until)
     order by f.name);
end $$;
