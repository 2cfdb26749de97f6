-- The upkeep of the logs: seals parts, drops what is no longer needed, and goes on to new ones; gives how many were
-- dropped. Two that come at once do it one after the other.
create function m23.prune_logs() returns int
language plpgsql as $$
declare
  v_table  m23.protected_tables;
  v_needed xid8;
  v_step   text;
  v_part   record;
  v_done   boolean;
  v_count  int := 0;
begin
  perform pg_advisory_xact_lock(m23.prune_key());
  v_needed := m23.needed_from();
  foreach v_step in array '{seal,drop,close}'::text[] loop
    for v_part in select s.* from m23.log_steps(v_step, v_needed) s loop
      v_done := m23.try_log_step(v_step, v_part.tbl, v_part.part, v_needed);
      v_count := v_count + (v_step = 'drop' and v_done)::int;
    end loop;
  end loop;
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_class c where c.oid = t.relid) and t.suspended is null
                    and m23.capture_is_stale(t) and (m23.obstacle_of(t)).kind is null order by t.id loop
    perform m23.follow_layout(v_table.id, v_table.relid);
  end loop;
  perform m23.prune_own_changes(v_needed);
  delete from m23.ticks where at < clock_timestamp() - make_interval(days => m23.setting('log_days')::int + 1)
     and not exists (select from public.pitr_snapshots s
                      where s.status = 'active' and s.created_at < ticks.at + interval '1 day');
  return v_count;
end $$;
