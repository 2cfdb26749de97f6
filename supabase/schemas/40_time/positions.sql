-- Positions and the fence. A position is a pg_snapshot: what it sees had been
-- committed, what it does not see lies after it. That is exact and costs a writer
-- nothing. The fence lets one restore have a tenant to itself, and nobody else wait.

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
language plpgsql stable as $$
begin
  return (select concat_ws('/', s.system_identifier, c.timeline_id, d.oid)
      from pg_control_system() s, pg_control_checkpoint() c, pg_database d
     where d.datname = current_database());
end $$;
comment on function m23.fingerprint() is
  'What tells this life of the database from its copies: cluster, timeline, database.';

-- The newest life that was noted: in a copy of the database, until something has asked for the present one, the former.
create function m23.present_life() returns uuid
language plpgsql stable as
$$ begin return (select i.id from m23.incarnations i order by i.since desc, i.id limit 1); end $$;

-- Positions ------------------------------------------------------------------

-- The transaction that takes a position always lies after it: its own number is put
-- among those in progress, because once a later transaction has committed its own
-- snapshot would count it as visible.
create function m23.current_position() returns pg_snapshot
language plpgsql volatile as $$
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
  return format('%s:%s:%s', least(pg_snapshot_xmin(v_snapshot), v_own), pg_snapshot_xmax(v_snapshot),
                v_running)::pg_snapshot;
end $$;
comment on function m23.current_position() is
  'The present moment as a position. What this transaction writes, before or after the call, lies after it.';

-- Whether no transaction that a position does not see is stamped by a time, as far as one can
-- know now.
create function m23.is_stamped_apart(p_position pg_snapshot, p_at timestamptz) returns boolean
language plpgsql volatile as $$
begin
  return (select not exists (
    select from (select x from pg_snapshot_xip(p_position) x
                 union all
                 select x::text::xid8
                   from generate_series(pg_snapshot_xmax(p_position)::text::bigint,
                                        pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) x) later
     where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at));
end $$;

-- Whether all that one position sees is seen by another as well.
create function m23.sees_all_of(p_later pg_snapshot, p_earlier pg_snapshot) returns boolean
language sql immutable as $$
  select pg_snapshot_xmax(p_later) >= pg_snapshot_xmax(p_earlier)
     and not exists (select from pg_snapshot_xip(p_later) x where pg_visible_in_snapshot(x, p_earlier))
$$;

-- A time as callers write it.
create function m23.iso(p_at timestamptz) returns text
language sql stable as
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

-- A moment by its fields. Without a floor none of the transactions that the position sees is looked at.
create function m23.moment_of(p_position pg_snapshot, p_taken timestamptz default null, p_at timestamptz default null,
                              p_floor xid8 default null)
returns m23.moment
language sql immutable as
$$ select p_position, p_at, coalesce(p_floor, pg_snapshot_xmin(p_position)), p_taken $$;
