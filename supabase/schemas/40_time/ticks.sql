-- Writers note now and then what was committed: where the server records commit times, each
-- minute at most and only every so many changes, for ticks only bound how much of the log has
-- to be read; where it does not, the first writer of each second, for they are the moments that
-- a time can be turned into.

-- A writer notes them in its own transaction: no sequence has a part in it, for lastval() is the writer's.
create table m23.ticks (
  id          uuid primary key default gen_random_uuid(),
  at          timestamptz not null,
  position    pg_snapshot not null,
  incarnation uuid not null references m23.incarnations (id),
  native      boolean not null,  -- were commit times recorded then?
  wal         pg_lsn not null default pg_current_wal_insert_lsn()
);
select m23.close_table('m23.ticks');
create index ticks_at on m23.ticks (at);
create index ticks_end on m23.ticks (pg_snapshot_xmax(position), at);
create index ticks_incarnation on m23.ticks (incarnation);

-- The time is read after the position: whatever the position sees was committed by then.
create function m23.note_tick() returns void
language plpgsql as $$
declare v_position pg_snapshot := m23.current_position();
begin
  insert into m23.ticks (at, position, incarnation, native)
    values (m23.watched_clock(), v_position, m23.incarnation(), m23.commit_times_are_native());
end $$;

-- Notes a tick where this is the first writer that comes here in its interval.
create function m23.tick() returns void
language plpgsql as $$
declare
  v_seconds  int := case current_setting('track_commit_timestamp') when 'on' then 60 else 1 end;
  v_interval text := floor(date_part('epoch', clock_timestamp()) / v_seconds)::bigint::text;
begin
  if current_setting('m23.ticked', true) = v_interval then return; end if;
  perform set_config('m23.ticked', v_interval, false);
  if pg_try_advisory_xact_lock(hashtextextended('m23.tick.' || v_interval, 0)) then
    perform m23.note_tick();
  end if;
end $$;
