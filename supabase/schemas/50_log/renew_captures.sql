-- Renews the capture of the tables whose log does not know all; gives how many of them were.
create function m23.renew_captures() returns int
language plpgsql volatile as $$
declare
  v_table   m23.protected_tables;
  v_faulty  int[];
  v_renewed int := 0;
begin
  perform m23.renew_types();
  v_faulty := array(select f.table_id from m23.capture_faults(array(select t.id from m23.protected_tables t)) f);
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_class c where c.oid = t.relid)
                    and (t.id = any (v_faulty) or m23.replication_has_ended(t))
                  order by t.id loop
    v_renewed := v_renewed + m23.renew_capture(v_table)::int;
  end loop;
  return v_renewed;
end $$;
