-- Follows ALTER TABLE and CREATE TRIGGER on a protected table, ALTER TYPE and ALTER EXTENSION, and the coming and going
-- of its partitions, so that the application's next write is captured in the new shape. Where no event trigger may
-- be made, and after what escapes it (a superuser's on a hosted project), that write follows
-- it, but for another primary key and a new partition: the upkeep finds those, or m23.protect_table. m23.doctor() says
-- which is in force.
-- runs under: text settings
create function m23.follow_ddl() returns event_trigger
language plpgsql security definer set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;  -- its own ALTER TABLE
  if tg_tag = 'ALTER TYPE' then perform m23.follow_types(); end if;
  if tg_tag = 'ALTER EXTENSION' then
    perform m23.follow_table(t) from m23.protected_tables t
      where exists (select from pg_class where oid = t.relid) and t.suspended is null and m23.capture_is_stale(t);
    return;
  end if;
  if tg_tag like '% SUBSCRIPTION' then
    perform m23.follow_subscriptions();
    return;
  end if;
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
    perform m23.suspend_capture(v_row, (m23.obstacle_of(v_row)).kind);
  end loop;
end $$;
