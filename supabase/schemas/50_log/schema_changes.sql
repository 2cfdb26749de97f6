-- Schema changes: ALTER TABLE and its kin are followed, so that writes and history go on. None is ever
-- refused for M23's sake: where capture cannot go on, it is suspended, and that is a gap.

-- Follows what a command has made of a table. Where that fails, as for more columns than a log can have, capture is
-- suspended: the command has done nothing wrong. One that cannot get a lock would get it at another time.
create function m23.follow_table(p_table m23.protected_tables) returns void
language plpgsql as $$
begin
  perform m23.bring_up_to_date(p_table);
  perform m23.follow_path(c) from m23.path_children(p_table.id) c;
exception
  when lock_not_available or deadlock_detected or serialization_failure then raise;
  when others then
    raise warning 'M23 cannot follow what was made of %, and captures it no more: %', p_table.name, sqlerrm;
    perform m23.suspend_capture(p_table, 'it could not be followed');
end $$;

-- Follows what a command has made of a table on a table's path: by its functions alone, because the command has locked
-- the other table, and not this one.
create function m23.follow_path(p_table m23.protected_tables) returns void
language plpgsql as $$
begin
  if not exists (select from pg_class where oid = p_table.relid) then return; end if;
  if (m23.obstacle_of(p_table)).kind = 'no path' then
    perform m23.suspend_capture(p_table, 'no path');
  elsif p_table.suspended is null then
    perform m23.follow_layout(p_table.id, p_table.relid);
    perform m23.write_statements(p_table);
  end if;
end $$;

-- Follows what a command has made of a type. Where that fails, the upkeep does so.
create function m23.follow_types() returns void
language plpgsql as $$
begin
  perform m23.renew_types();
exception when others then
  raise log 'm23: what was made of a type was not noted: % (%)', sqlerrm, sqlstate;
end $$;

-- Whether an event trigger tells of every ALTER TABLE.
create function m23.ddl_is_followed() returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_event_trigger where evtname = 'm23_follow_ddl' and evtenabled = 'A');
end $$;

-- Follows whatever drops a partition, be it a schema with all that is in it.
-- runs under: text settings
create function m23.follow_drop() returns event_trigger
language plpgsql security definer set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;
  if tg_tag <> 'DROP TABLE' then perform set_config('m23.empty_partitions', '', true); end if;
  for v_row in
    select distinct t.* from m23.protected_tables t join m23.partitions p on p.table_id = t.id
     where p.relid in (select objid from pg_event_trigger_dropped_objects() where classid = 'pg_class'::regclass)
       and exists (select from pg_class where oid = t.relid)
    union
    select t.* from m23.protected_tables t  -- a unique index that was a table's key
     where tg_tag = 'DROP INDEX' and t.suspended is null and exists (select from pg_class where oid = t.relid)
       and m23.key_attnums(t.relid) is distinct from t.key_attnums
  loop
    perform m23.follow_table(v_row);
  end loop;
end $$;

-- Partitions that are dropped empty ------------------------------------------------------
-- When a partition has been dropped, nobody can say whether it had rows. When DROP TABLE begins, its tables are known
-- by its text alone: that of the client, or of the statement in its function or DO block. A partition that is not found
-- so is taken for one with rows.

-- The text that is running, without comments and string literals.
create function m23.running_text(p_context text) returns text
language sql volatile as $$
  select regexp_replace(concat_ws(chr(10), current_query(), p_context, (
      select string_agg(p.prosrc, chr(10))
        from regexp_matches(p_context, 'SQL function "([^"]+)"', 'g') m join pg_proc p on p.proname = m[1])),
    '("(?:[^"]|"")*")|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|''(?:[^'']|'''')*''', ' \1 ', 'g')
$$;

-- The names of the tables that a text drops.
create function m23.names_to_drop(p_text text) returns setof text[]
language sql immutable rows 5 as $$
  with word (pattern) as (values ('(?:"(?:[^"]|"")+"|[^\s".,;()]+)')),
       name as (select pattern || '(?:\s*\.\s*' || pattern || ')*' as pattern from word)
  select m23.parts_of_name(one[1])
    from name,
         regexp_matches(p_text, format('\mdrop\s+table\s+(?:if\s+exists\s+)?((?:%s\s*,\s*)*%1$s)', pattern),
                        'gi') named,
         regexp_matches(named[1], pattern, 'g') one
$$;

-- Whether a relation can be meant by the parts of a name.
create function m23.is_named(p_relation oid, p_name text[]) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where c.oid = p_relation and p_name[cardinality(p_name)] = c.relname
                    and (cardinality(p_name) = 1 or p_name[cardinality(p_name) - 1] = n.nspname));
end $$;

-- The partitions, with such below them, that a text drops.
create function m23.partitions_to_drop(p_text text) returns setof oid
language sql stable rows 1 as $$
  select distinct up.relid from m23.partitions p, pg_partition_ancestors(p.relid) up (relid)
   where up.relid <> pg_partition_root(p.relid)
     and exists (select from m23.names_to_drop(p_text) n (name) where m23.is_named(up.relid, n.name))
$$;

-- The partitions that the DROP TABLE that runs has found empty.
create function m23.empty_partitions() returns oid[]
language sql stable as
$$ select coalesce(string_to_array(nullif(current_setting('m23.empty_partitions', true), ''), ',')::oid[], '{}') $$;

-- Looks for partitions that DROP TABLE finds empty, before it begins.
-- runs under: text settings
create function m23.foresee_drop() returns event_trigger
language plpgsql security definer set row_security = off as $$
declare v_context text;
begin
  if not exists (select from m23.partitions) then return; end if;
  get diagnostics v_context = pg_context;
  perform m23.note_empty_partitions(m23.running_text(v_context));
end $$;

do $$
begin
  create event trigger m23_foresee_drop on ddl_command_start when tag in ('DROP TABLE')
    execute function m23.foresee_drop();
  create event trigger m23_follow_ddl on ddl_command_end when tag in ('ALTER TABLE', 'ALTER TYPE', 'ALTER EXTENSION',
    'CREATE TABLE', 'CREATE TRIGGER', 'CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION')
    execute function m23.follow_ddl();
  create event trigger m23_follow_drop on sql_drop execute function m23.follow_drop();
  alter event trigger m23_foresee_drop enable always;  -- with session_replication_role = replica, too
  alter event trigger m23_follow_ddl enable always;
  alter event trigger m23_follow_drop enable always;
exception when insufficient_privilege then
  raise notice 'no right to make an event trigger: call m23.protect_table again after another primary key or a new '
               'partition';
end $$;
