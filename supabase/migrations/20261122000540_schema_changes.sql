-- Schema changes: ALTER TABLE and its kin are followed, so that writes and history go on. None is ever
-- refused for M23's sake: where capture cannot go on, it is suspended, and that is a gap.

-- Brings capture, log and history up to what a command has made of a table.
create function m23.follow_table(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_obstacle m23.obstacle := m23.obstacle_of(p_table);
begin
  if v_obstacle.kind is not null then
    perform m23.suspend_capture(p_table, v_obstacle);
    return;
  elsif p_table.suspended is not null then
    p_table := m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended);
  elsif m23.was_off(p_table, true) then
    -- What this command has done to the triggers is put right before anybody can write.
    p_table := m23.begin_history(p_table, 'capture was switched off');
  end if;
  perform m23.write_capture(p_table);
end $$;

-- Follows ALTER TABLE and CREATE TRIGGER on a protected table, and the coming and going of its
-- partitions, so that the application's next write is captured in the new shape. Where no event trigger may
-- be made, and after what escapes it (a superuser's on a hosted project), that write follows
-- it, but for another primary key and a new partition: the upkeep finds those, or m23.protect_table. m23.doctor() says
-- which is in force.
create function m23.follow_ddl() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;  -- its own ALTER TABLE
  for v_row in
    select t.* from m23.protected_tables t
     where t.relid in (select coalesce(pg_partition_root(c.objid), c.objid)
                         from pg_event_trigger_ddl_commands() c where c.classid = 'pg_class'::regclass
                       union all
                       select g.tgrelid from pg_event_trigger_ddl_commands() c join pg_trigger g on g.oid = c.objid
                        where c.classid = 'pg_trigger'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    perform m23.follow_table(v_row);
  end loop;
  -- Whose child a table has become. The parent is not held by this command, and capture is not renewed here.
  for v_row in
    select t.* from pg_event_trigger_ddl_commands() c
      join pg_inherits i on c.classid = 'pg_class'::regclass and i.inhrelid = c.objid
      join m23.protected_tables t on t.relid = i.inhparent
     where t.suspended is null and (m23.obstacle_of(t)).kind is not null
  loop
    perform m23.suspend_capture(v_row, m23.obstacle_of(v_row));
  end loop;
end $$;

-- Follows whatever drops a partition, be it a schema with all that is in it.
create function m23.follow_drop() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;
  for v_row in
    select distinct t.* from m23.protected_tables t join m23.partitions p on p.table_id = t.id
     where p.relid in (select objid from pg_event_trigger_dropped_objects() where classid = 'pg_class'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    perform m23.follow_table(v_row);
  end loop;
end $$;

do $$
begin
  create event trigger m23_follow_ddl on ddl_command_end when tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE TRIGGER')
    execute function m23.follow_ddl();
  create event trigger m23_follow_drop on sql_drop execute function m23.follow_drop();
  alter event trigger m23_follow_ddl enable always;  -- with session_replication_role = replica, too
  alter event trigger m23_follow_drop enable always;
exception when insufficient_privilege then
  raise notice 'no right to make an event trigger: call m23.protect_table again after another primary key or a new partition';
end $$;

select m23.close_functions();
