-- Steps inside the database: each statement that writes into M23's own tables, and each command that defines something.
-- A request whose header names a step ends or waits there; a request without one passes. The application's tables have
-- no such triggers: what a restore does with them is what it does without us.

create schema torture;
create sequence torture.counted minvalue 0 start 0;

create function torture.step() returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_wanted text := nullif(current_setting('request.headers', true), '')::json ->> 'x-torture-step';
  v_number int  := coalesce(nullif(current_setting('torture.step', true), ''), '0')::int + 1;
begin
  if v_wanted is null then return; end if;
  perform set_config('torture.step', v_number::text, true);
  if v_wanted = 'count' then
    perform setval('torture.counted', v_number);
  elsif v_wanted = v_number || ' ends' then
    perform pg_terminate_backend(pg_backend_pid());
    perform pg_sleep(1);
  elsif v_wanted = v_number || ' waits' then
    -- A wait that no snapshot and no lock_timeout can end.
    while not pg_try_advisory_lock_shared(7823) loop perform pg_sleep(0.005); end loop;
    perform pg_advisory_unlock_shared(7823);
  end if;
end $$;

create function torture.on_statement() returns trigger
language plpgsql security definer set search_path = '' as $$ begin perform torture.step(); return null; end $$;

create function torture.on_command() returns event_trigger
language plpgsql security definer set search_path = '' as $$ begin perform torture.step(); end $$;

do $$
declare v_table regclass;
begin
  foreach v_table in array array(
    select c.oid::regclass from pg_class c
     where c.relkind in ('r', 'p') and c.oid not in (select relid from m23.protected_tables)
       and (c.relnamespace in ('m23'::regnamespace, 'm23_log'::regnamespace)
            or c.relnamespace = 'public'::regnamespace and obj_description(c.oid, 'pg_class') is not null))
  loop
    execute format('create trigger torture before insert or update or delete or truncate on %s
                      for each statement execute function torture.on_statement()', v_table);
    execute format('alter table %s enable always trigger torture', v_table);
  end loop;
end $$;

create event trigger torture on ddl_command_start execute function torture.on_command();
alter event trigger torture enable always;
