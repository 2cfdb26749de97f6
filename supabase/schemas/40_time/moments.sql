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

-- The condition that a transaction lies after a moment: a parameter of type m23.moment, or an expression.
create function m23.lies_after(p_xid text, p_moment text default '$2') returns text
language sql immutable as $q$
  select format($$(%1$s >= (%2$s).floor and (not pg_visible_in_snapshot(%1$s, (%2$s).position)
      or ((%2$s).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = %1$s),
                       pg_xact_commit_timestamp(%1$s::xid)) > (%2$s).at)))$$, p_xid, p_moment)
$q$;
