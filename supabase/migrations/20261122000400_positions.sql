-- Positions and the fence. A position is a pg_snapshot: what it sees had been
-- committed, what it does not see lies after it. That is exact and costs a writer
-- nothing. The fence lets one restore have a tenant to itself, and nobody else wait.

-- Incarnations ---------------------------------------------------------------
-- Transaction numbers mean something only inside one life of one database. A dump
-- and restore, a clone or a physical recovery begins another: positions and log of
-- the former life are then a gap, never silently wrong.

create table m23.incarnations (
  id          uuid primary key default gen_random_uuid(),
  fingerprint text not null,
  since       timestamptz not null default now(),
  position    pg_snapshot not null default pg_current_snapshot()
);
select m23.close_table('m23.incarnations');

create function m23.fingerprint() returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat_ws('/', s.system_identifier, c.timeline_id, d.oid)
      from pg_control_system() s, pg_control_checkpoint() c, pg_database d
     where d.datname = current_database());
end $$;
comment on function m23.fingerprint() is 'What tells this life of the database from its copies: cluster, timeline, database.';

create function m23.incarnation() returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_now text := m23.fingerprint();
  v_newest m23.incarnations;
begin
  select * into v_newest from m23.incarnations order by since desc, id limit 1;
  if v_newest.fingerprint is distinct from v_now then
    -- Two that come first at once would each note a life, and one of them would be nobody's.
    perform pg_advisory_xact_lock(hashtextextended('m23.incarnation', 0));
    select * into v_newest from m23.incarnations order by since desc, id limit 1;
    if v_newest.fingerprint is not distinct from v_now then return v_newest.id; end if;
    insert into m23.incarnations (fingerprint) values (v_now) returning * into v_newest;
  end if;
  return v_newest.id;
end $$;
comment on function m23.incarnation() is 'The id of this life of the database; a new one is noted at its first use.';

-- The newest life that was noted: in a copy of the database, until something has asked for the present one, the former.
create function m23.present_life() returns uuid
language plpgsql stable set search_path = '' as
$$ begin return (select i.id from m23.incarnations i order by i.since desc, i.id limit 1); end $$;

-- Positions ------------------------------------------------------------------

-- The transaction that takes a position always lies after it: its own number is put
-- among those in progress, because once a later transaction has committed its own
-- snapshot would count it as visible.
create function m23.current_position() returns pg_snapshot
language plpgsql volatile set search_path = '' as $$
declare
  v_own      xid8 := pg_current_xact_id();
  v_snapshot pg_snapshot := pg_current_snapshot();
  v_running  text;
begin
  if v_own >= pg_snapshot_xmax(v_snapshot) then
    return v_snapshot;
  end if;
  select string_agg(x::text, ',' order by x) into v_running
    from (select x from pg_snapshot_xip(v_snapshot) x union select v_own) running (x);
  return format('%s:%s:%s', least(pg_snapshot_xmin(v_snapshot), v_own), pg_snapshot_xmax(v_snapshot), v_running)::pg_snapshot;
end $$;
comment on function m23.current_position() is
  'The present moment as a position. What this transaction writes, before or after the call, lies after it.';

-- TRUNCATE takes rows that its transaction's snapshot does not see, and nobody can read them
-- any more: under a snapshot that others have committed after, it is refused as an UPDATE or
-- DELETE would be.
create function m23.refuse_stale_snapshot(p_table regclass) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_snapshot pg_snapshot := pg_current_snapshot();
  v_xid      xid8 := pg_snapshot_xmin(v_snapshot);
begin
  if current_setting('transaction_isolation') like 'read %' then return; end if;
  loop
    if not pg_visible_in_snapshot(v_xid, v_snapshot) and pg_xact_status(v_xid) = 'committed' then
      raise exception 'could not serialize access: others have committed since this transaction''s snapshot, and TRUNCATE of % would take their rows unseen', p_table
        using errcode = 'serialization_failure', hint = 'Retry, or run TRUNCATE under READ COMMITTED.';
    end if;
    v_xid := (v_xid::text::numeric + 1)::text::xid8;
  end loop;
exception when invalid_parameter_value then null;  -- no transaction has that number yet
end $$;

-- Ticks --------------------------------------------------------------------------
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

create function m23.commit_times_are_native() returns boolean
language sql stable set search_path = '' as $$ select current_setting('track_commit_timestamp')::boolean $$;

-- The time is read after the position: whatever the position sees was committed by then.
create function m23.note_tick() returns void
language plpgsql set search_path = '' as $$
declare v_position pg_snapshot := m23.current_position();
begin
  insert into m23.ticks (at, position, incarnation, native)
    values (m23.watched_clock(), v_position, m23.incarnation(), m23.commit_times_are_native());
end $$;

-- Notes a tick where this is the first writer that comes here in its interval.
create function m23.tick() returns void
language plpgsql set search_path = '' as $$
declare v_interval text := floor(date_part('epoch', clock_timestamp()) / case current_setting('track_commit_timestamp') when 'on' then 60 else 1 end)::bigint::text;
begin
  if current_setting('m23.ticked', true) = v_interval then return; end if;
  perform set_config('m23.ticked', v_interval, false);
  if pg_try_advisory_xact_lock(hashtextextended('m23.tick.' || v_interval, 0)) then
    perform m23.note_tick();
  end if;
end $$;

-- A position and the time that tells it from all others: whatever the position sees was
-- committed by then, whatever it does not see is committed later. A transaction is stamped a
-- little before it becomes visible; one that gets in between makes it begin again.
create function m23.take_position(out here pg_snapshot, out at timestamptz)
language plpgsql volatile set search_path = '' as $$
begin
  for n in 1..1000 loop
    here := m23.current_position();
    at := clock_timestamp();
    if not m23.commit_times_are_native() then
      insert into m23.ticks (at, position, incarnation, native) values (take_position.at, here, m23.incarnation(), false);
      return;
    elsif m23.is_stamped_apart(here, at) then
      perform pg_sleep(0.002);  -- whoever has a time writes it down at once
      if m23.is_stamped_apart(here, at) then return; end if;
    end if;
  end loop;
  perform m23.refuse('UNAVAILABLE', 'so many transactions end at once that no moment lies between them; try again');
end $$;

-- Whether no transaction that a position does not see is stamped by a time, as far as one can
-- know now.
create function m23.is_stamped_apart(p_position pg_snapshot, p_at timestamptz) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return (select not exists (
    select from (select x from pg_snapshot_xip(p_position) x
                 union all
                 select x::text::xid8 from generate_series(pg_snapshot_xmax(p_position)::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) x) later
     where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at));
end $$;

-- Whether all that one position sees is seen by another as well.
create function m23.sees_all_of(p_later pg_snapshot, p_earlier pg_snapshot) returns boolean
language sql immutable set search_path = '' as $$
  select pg_snapshot_xmax(p_later) >= pg_snapshot_xmax(p_earlier)
     and not exists (select from pg_snapshot_xip(p_later) x where pg_visible_in_snapshot(x, p_earlier))
$$;

-- A time as callers write it.
create function m23.iso(p_at timestamptz) returns text
language sql stable set search_path = '' as
$$ select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Moments ------------------------------------------------------------------------
-- A moment is a position, and where the server records commit times a time with it: then
-- a transaction lies after the moment if the position does not see it or it was committed
-- later. The two together are exact, because a transaction is stamped a little before it
-- becomes visible.

create type m23.moment as (
  position pg_snapshot,
  at       timestamptz,  -- with native commit times; else null
  floor    xid8,         -- no transaction below it lies after the moment
  taken    timestamptz   -- the time that the moment is of
);

-- Copies of commit times that the server is about to forget.
create table m23.commit_times (
  xid xid8 primary key,
  at  timestamptz not null
);
select m23.close_table('m23.commit_times');

create function m23.moment_of(p_position pg_snapshot, p_taken timestamptz default null) returns m23.moment
language sql immutable set search_path = '' as
$$ select row(p_position, null, pg_snapshot_xmin(p_position), p_taken)::m23.moment $$;

-- The moment of a time: everything committed at or before it, and nothing else. Null when
-- no tick is as old as that.
create function m23.moment_at(p_at timestamptz) returns m23.moment
language plpgsql volatile set search_path = '' as $$
declare
  v_tick     m23.ticks;
  v_position pg_snapshot;
  v_fault    text := m23.clock_fault(p_at);
begin
  if v_fault is not null then
    raise exception '%', v_fault using errcode = 'object_not_in_prerequisite_state';
  end if;
  select * into v_tick from m23.ticks where at <= p_at and incarnation = (select m23.incarnation()) order by at desc limit 1;
  if v_tick.at is null then
    return null;
  elsif not (v_tick.native and m23.commit_times_are_native()) then
    return m23.moment_of(v_tick.position, v_tick.at);
  end if;
  loop  -- until nobody is stamped by then and still not visible
    v_position := m23.current_position();
    exit when not exists (select from pg_snapshot_xip(v_position) x where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at);
    perform pg_sleep(0.001);
  end loop;
  return row(v_position, p_at, pg_snapshot_xmin(v_tick.position), p_at)::m23.moment;
end $$;
comment on function m23.moment_at(timestamptz) is
  'The moment of a time in the past. Where commit times are not native it is the last tick before, and its field taken says which.';

-- The fence ------------------------------------------------------------------
-- Writers of a tenant share it, a restore takes it alone; both hold it to the end of
-- their transaction. A lock a tenant would fill the lock table where a transaction writes
-- rows of very many: beyond a number it takes stripes instead, 128 of them, that tenants
-- have in common; a restore takes its tenant's stripe too.

-- A hash that costs nearly nothing: capture asks for it row by row.
create function m23.fence_key(p_tenant uuid) returns bigint
language sql immutable set search_path = '' as
$$ select uuid_hash_extended(p_tenant, 0) $$;

-- The bits of a fence that a stripe is told by; the lower ones are those of no application's own keys.
create function m23.stripe_bits() returns bigint
language sql immutable set search_path = '' as $$ select 9151314442816847872 $$;
comment on function m23.stripe_bits() is 'Bits 56 to 62: a fence''s key with no others set is its stripe.';

create function m23.stripe_key(p_tenant uuid) returns bigint
language sql immutable set search_path = '' as
$$ select m23.fence_key(p_tenant) & m23.stripe_bits() $$;

-- Which bits of a fence's key a writer asks for next: all of them for the transaction's first 256
-- asks, and its stripe after that.
create function m23.fence_bits() returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_asked int := coalesce(nullif(current_setting('m23.fences', true), ''), '0')::int;
begin
  if v_asked >= 256 then return m23.stripe_bits(); end if;
  perform set_config('m23.fences', (v_asked + 1)::text, true);
  return -1;
end $$;

-- How capture shares the fence of a row's tenant, as a condition that always holds. A transaction's first
-- rows of a log ask for their tenant's own key, without a look at what other tables have asked for.
create function m23.shares_fence(p_tenant text, p_log text) returns text
language sql immutable set search_path = '' as $$
  select format($condition$pg_advisory_xact_lock_shared(uuid_hash_extended(%1$s, 0)
             & case when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 256 then m23.fence_bits()
                    else %3$s end) is not null$condition$, p_tenant, p_log, m23.stripe_bits())
$$;
comment on function m23.shares_fence(text, text) is
  'The condition by which a row of the tenant p_tenant (an expression), logged in p_log, shares its tenant''s fence.';

create function m23.share_fence(p_tenants uuid[]) returns void
language plpgsql set search_path = '' as $$
declare v_tenant uuid;
begin
  foreach v_tenant in array p_tenants loop
    perform pg_advisory_xact_lock_shared(m23.fence_key(v_tenant) & m23.fence_bits());
  end loop;
end $$;
comment on function m23.share_fence(uuid[]) is 'A writer''s side of the fence: waits while a restore of one of these tenants is writing.';

-- Only the fence is waited for. The stripe is taken at once or not at all: whoever holds it
-- may be waiting for the fence.
create function m23.take_fence(p_tenant uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform pg_advisory_xact_lock(m23.fence_key(p_tenant));
  if not pg_try_advisory_xact_lock(m23.stripe_key(p_tenant)) then
    raise exception 'a transaction with many rows is under way in this tenant''s stripe' using errcode = 'lock_not_available';
  end if;
end $$;
comment on function m23.take_fence(uuid) is
  'A restore''s side of the fence: waits for the tenant''s writers to end, then holds new ones off until this transaction ends.';

-- A writer may have put a row into a table and wait for the fence since: nobody sees that row,
-- and a deferrable constraint does not look for it. Passes at a moment when no such row is
-- there; whoever writes later runs into what is there by now. The lock is given back at once.
create function m23.wait_out_writers(p_table regclass) returns void
language plpgsql volatile set search_path = '' as $$
begin
  execute format('lock table %s in share row exclusive mode', p_table);
  raise exception 'passed' using errcode = 'M2301';
exception when sqlstate 'M2301' then null;
end $$;

-- RESTORE_IN_PROGRESS is a lock of its own: two restores never queue for one fence.
create function m23.restore_key(p_tenant uuid) returns bigint
language sql immutable set search_path = '' as
$$ select hashtextextended('m23.restore.' || p_tenant, 0) $$;

select m23.close_functions();
