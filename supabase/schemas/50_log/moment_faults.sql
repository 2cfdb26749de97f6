-- m23.moment_fault of tables, where there is one.
create function m23.moment_faults(p_ids int[], p_moment m23.moment) returns table (table_id int, fault text)
language plpgsql volatile rows 1 as $$
declare
  v_life   uuid := m23.incarnation();
  v_native boolean := m23.commit_times_are_native();
  v_sound  int[] := m23.sound_tables(p_ids);
begin
  return query
  select t.id, f.fault
    from m23.protected_tables t cross join lateral (select m23.moment_fault(t, p_moment) as fault offset 0) f
   where t.id = any (p_ids) and f.fault is not null
     and not (t.id = any (v_sound) and t.incarnation = v_life and pg_visible_in_snapshot(t.xid, p_moment.position)
              and (p_moment.at is null or v_native and p_moment.at >= coalesce(
                (select c.at from m23.commit_times c where c.xid = t.xid), pg_xact_commit_timestamp(t.xid::xid),
                t.protected_at))
              and p_moment.floor >= t.pruned_below) is true
   order by t.name;
end $$;
