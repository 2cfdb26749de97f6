-- Positions. A position is a pg_snapshot: what it sees had been committed, what it does not see lies after it. That is
-- exact and costs a writer nothing.

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
