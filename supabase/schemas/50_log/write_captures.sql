-- Writes the functions of each capture anew, as M23 of now generates them; for the end of an upgrade. It locks no
-- table. One whose layout has changed since its last write is followed by its next write, with the functions of now.
create function m23.write_captures() returns void
language plpgsql volatile as $$
declare
  v_table      m23.protected_tables;
  v_is_current boolean;
begin
  for v_table in select t.* from m23.protected_tables t where t.suspended is null order by t.id loop
    continue when not exists (select from pg_class c where c.oid = v_table.relid)
               or (m23.obstacle_of(v_table)).kind is not null;
    execute format('select m23_log.layout_%s(%s, m23.layout_of(%2$s))', v_table.id, v_table.relid) into v_is_current;
    if v_is_current then
      perform m23.write_capture_functions(v_table);
    end if;
  end loop;
end $$;
