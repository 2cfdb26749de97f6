-- The indexes of a table, or of a partition alone, under which the rows of a plan can collide with others: unique ones,
-- and those of exclusion constraints. One over a column that the plan does not have cannot be hit by it.
create function m23.colliding_indexes(p_target m23.target) returns setof pg_index
language plpgsql stable rows 2 as $$
declare v_known text[] := p_target.columns || (m23.generated_columns(p_target)).names;
begin
  return query
  select i.* from m23.captured_relations((p_target.tbl).relid) c join pg_index i on i.indrelid = c.relid
   where (i.indisunique or i.indisexclusion) and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
     and not exists (
       select from pg_attribute a
        where a.attrelid = i.indrelid and a.attname <> all (v_known)
          and (a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) and a.attnum > 0 or exists (
            select from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass
               and d.refobjid = i.indrelid and d.refobjsubid = a.attnum and a.attnum > 0)));
end $$;

-- Whether an index is that of its table's key.
create function m23.is_of_key(p_index pg_index) returns boolean
language plpgsql stable as $$ begin return p_index.indexrelid = m23.key_index(p_index.indrelid); end $$;

-- The generated columns that follow from those of the plan, as the end of a select list.
create function m23.generated_columns(p_target m23.target, out names text[], out list text)
language plpgsql stable as $$
begin
  select array_agg(a.attname::text),
         string_agg(format(', (%s)::%s as %I', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod),
                           a.attname), '')
    into names, list
    from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = (p_target.tbl).relid and a.attgenerated <> '' and not exists (
     select from pg_depend x join pg_attribute b on b.attrelid = a.attrelid and b.attnum = x.refobjsubid
      where x.classid = 'pg_attrdef'::regclass and x.objid = d.oid and x.refclassid = 'pg_class'::regclass
        and x.refobjid = a.attrelid and b.attnum <> a.attnum and b.attname <> all (p_target.columns));
end $$;

-- What an index holds of a row, the only one in sight.
create function m23.index_parts(p_index pg_index) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(p_index.indexrelid, n, true), n), ', ' order by n)
            from generate_series(1, p_index.indnkeyatts) n);
end $$;
