-- Fires before an update or delete, after the application's own such triggers. It has its writer's
-- rights only, and no path of its own: both would cost more than all that it does, and every name in it is qualified.
-- Ordinary writers ask for their tenant's fence here, while they hold no row; an insert holds none that a
-- restore could have planned, but for the parents that it refers to, and asks when it logs.
-- search path: the caller's
create function m23_log.before() returns trigger language plpgsql as $$
declare
  v_fence  pg_catalog.int8;
  v_open   pg_catalog.text;
  v_null   pg_catalog.uuid;
begin
  if pg_catalog.current_setting('request.jwt.claims', true) is not null
     or pg_catalog.pg_current_xact_id_if_assigned() is not null then
    if pg_catalog.current_setting('request.jwt.claims', true) operator(pg_catalog.<>) ''
       and pg_catalog.concat(pg_catalog.current_setting('m23.fenced', true)) operator(pg_catalog.<>) 'yes' then
      begin
        v_fence := m23.caller_fence();
      exception when others then null;  -- they ask when they log
      end;
      perform pg_catalog.pg_advisory_xact_lock_shared(v_fence);
      perform pg_catalog.set_config('m23.fenced', 'yes', true);
    end if;
    if pg_catalog.pg_current_xact_id_if_assigned() is not null then
      v_open := pg_catalog.concat('m23.open_', tg_argv[0]);
      perform pg_catalog.set_config(v_open, pg_catalog.concat(
        pg_catalog.current_setting(v_open, true), ',', pg_catalog."left"(tg_op, 1), pg_catalog.pg_trigger_depth(), '@',
        pg_catalog.pg_current_wal_insert_lsn()), true);
      perform pg_catalog.set_config(pg_catalog.concat('m23.seen_', tg_argv[0]), '', true);
    end if;
  end if;
  return v_null;
end $$;
