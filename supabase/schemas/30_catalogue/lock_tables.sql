-- Whoever reads several tables in one transaction takes them all before the first of them, and waits
-- for one while holding none: a TRUNCATE or schema change of several never comes to a deadlock with
-- it. Waits are shorter than the server takes to look for one.
create function m23.lock_tables(p_tables oid[]) returns void
language plpgsql volatile set lock_timeout = '200ms' as $$
declare
  v_deadline timestamptz := clock_timestamp() + interval '5 seconds';  -- an API role's statements end after eight
  v_tables   text;
begin
  loop
    v_tables := (select string_agg(m23.qualified_name(c.oid), ', ' order by c.oid)
                   from pg_class c where c.oid = any (p_tables));
    if v_tables is null then return; end if;
    begin
      execute format('lock table %s in access share mode', v_tables);
      return;
    -- undefined_table: it was dropped or renamed meanwhile.
    exception when lock_not_available or deadlock_detected or undefined_table then
      if clock_timestamp() > v_deadline then
        perform m23.refuse('UNAVAILABLE', 'another transaction, such as a schema change, has held a table for '
                                          'five seconds; nothing was done, try again');
      end if;
    end;
    perform pg_sleep(0.02);
  end loop;
end $$;
