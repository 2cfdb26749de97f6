-- The columns that are set null where a reference of a table cannot come: none that says whose the row is, and none
-- that must have a value, as the key's must. A foreign key that names columns (SET NULL (…)) has only these set null;
-- MATCH FULL wants all of its columns, or none.
create function m23.columns_to_null(p_target m23.target, p_key pg_constraint) returns text[]
language plpgsql stable as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_names text[] := array(
    select a.attname::text from unnest(p_key.conkey) with ordinality u (attnum, n)
      join pg_attribute a on a.attrelid = p_key.conrelid and a.attnum = u.attnum
     where u.attnum = any (coalesce(nullif(p_key.confdelsetcols, '{}'), p_key.conkey))
       and a.attname = any (p_target.columns) and a.attname <> all (m23.tenancy_columns(v_table))
       and not exists (
         select from m23.captured_relations(v_table.relid) r
           join pg_attribute o on o.attrelid = r.relid and o.attname = a.attname
          where m23.is_never_null(o))
     order by u.n);
begin
  return case when p_key.confmatchtype = 'f' and cardinality(v_names) < cardinality(p_key.conkey) then '{}'
              else v_names end;
end $$;
