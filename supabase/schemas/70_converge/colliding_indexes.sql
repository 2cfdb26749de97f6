-- The indexes of a table, or of a partition alone, under which the rows of a plan can collide with others: unique ones,
-- and those of exclusion constraints. One over a column that the plan does not have cannot be hit by it.
create function m23.colliding_indexes(p_target m23.target) returns setof pg_index
language plpgsql stable rows 2 as $$
declare v_known text[] := p_target.columns || (m23.generated_columns(p_target)).names;
begin
  return query
  select i.* from m23.captured((p_target.tbl).relid) c join pg_index i on i.indrelid = c.relid
   where (i.indisunique or i.indisexclusion) and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
     and not exists (
       select from pg_attribute a
        where a.attrelid = i.indrelid and a.attname <> all (v_known)
          and (a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) and a.attnum > 0 or exists (
            select from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass
               and d.refobjid = i.indrelid and d.refobjsubid = a.attnum and a.attnum > 0)));
end $$;
