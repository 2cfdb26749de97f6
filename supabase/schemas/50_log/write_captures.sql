-- Writes the functions of each capture, and each table's statements, anew, as M23 of now generates them; for the end of
-- an upgrade. It locks no table. Functions that no trigger calls are left: they are written when capture begins again.
-- So are those of a table whose layout has changed since its last write: its next write follows it, with the functions
-- of now.
create function m23.write_captures() returns void
language plpgsql volatile as $$
declare
  v_table      m23.protected_tables;
  v_is_current boolean;
begin
  delete from m23.table_statements;  -- those of the M23 of before
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgname ~ '^(aaa|zzz)_m23_')
                  order by t.id loop
    execute format('select m23_log.layout_%s(%s, m23.layout_of(%2$s))', v_table.id, v_table.relid) into v_is_current;
    if v_is_current then
      perform m23.write_capture_functions(v_table);
      perform m23.write_statements(v_table);
    end if;
  end loop;
end $$;
