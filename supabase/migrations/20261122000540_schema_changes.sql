-- Schema changes: ALTER TABLE and its kin are followed, so that writes and history go on.

-- Follows ALTER TABLE and CREATE TRIGGER on a protected table, and the coming and going of its
-- partitions, so that the application's next write is captured in the new shape. Where no event trigger may
-- be made, and after what escapes it (a superuser's on a hosted project), that write follows
-- it, but for another primary key and a new partition: m23.protect_table has to be called
-- again then. m23.doctor() says which is in force.
create function m23.follow_ddl() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;  -- its own ALTER TABLE
  for v_row in
    select t.* from m23.protected_tables t
     where t.relid in (select coalesce(pg_partition_root(c.objid), c.objid) from pg_event_trigger_ddl_commands() c where c.classid = 'pg_class'::regclass
                       union all
                       select g.tgrelid from pg_event_trigger_ddl_commands() c join pg_trigger g on g.oid = c.objid where c.classid = 'pg_trigger'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    -- What this command has done to the triggers is put right before anybody can write.
    if m23.was_off(v_row, true) then
      v_row := m23.begin_history(v_row, 'capture was switched off');
    end if;
    perform m23.write_capture(v_row);
  end loop;
end $$;

create function m23.follow_drop() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  for v_row in
    select distinct t.* from m23.protected_tables t join m23.partitions p on p.table_id = t.id
     where p.relid in (select objid from pg_event_trigger_dropped_objects() where classid = 'pg_class'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    perform m23.write_capture(v_row);
  end loop;
end $$;

do $$
begin
  create event trigger m23_follow_ddl on ddl_command_end when tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE TRIGGER') execute function m23.follow_ddl();
  create event trigger m23_follow_drop on sql_drop when tag in ('DROP TABLE') execute function m23.follow_drop();
  alter event trigger m23_follow_ddl enable always;  -- with session_replication_role = replica, too
  alter event trigger m23_follow_drop enable always;
exception when insufficient_privilege then
  raise notice 'no right to make an event trigger: call m23.protect_table again after another primary key or a new partition';
end $$;

select m23.close_functions();
