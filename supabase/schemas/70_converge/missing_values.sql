-- Columns that must have a value, where planned rows have none.
create function m23.missing_values(p_target m23.target) returns setof text
language plpgsql as $$
declare
  v_column name;
  v_rows   bigint;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = (p_target.tbl).relid and a.attnotnull and a.attname = any (p_target.columns) order by a.attnum
  loop
    v_rows := m23.rows_where(p_target, format('%I is null', v_column));
    if v_rows > 0 then
      return next format('%s.%I: %s row(s) have no value, and the column must have one now; the project''s '
                         'administrator can give it a default, or name a function that fills it',
                         m23.public_name((p_target.tbl).relid), v_column, v_rows);
    end if;
  end loop;
end $$;
