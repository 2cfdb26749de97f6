-- Retention: the log is kept for a time, and longer where a snapshot or a running backup
-- needs it. Old parts are dropped whole; no row is deleted one by one. Only that a row came from
-- another tenant is remembered for as long as a backup is older than that.

-- No transaction below it is needed by anybody: neither by the time that the log is kept,
-- nor by a snapshot that can be rolled back to, nor by a backup that is being read.
create function m23.needed_from() returns xid8
language sql volatile as $$
  select least(
    (select pg_snapshot_xmin(t.position) from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int) order by t.at desc limit 1),
    (select min(pg_snapshot_xmin((s.snapshot_data ->> 'position')::pg_snapshot)) from public.pitr_snapshots s
      where s.status = 'active' and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text),
    (select min(pg_snapshot_xmin(w.position))
       from public.backup_jobs j join m23.backup_work w on w.job_id in (j.id, j.parent_backup_id)
      where j.status in ('pending', 'in_progress')),
    (select min((w.moment).floor) from m23.restore_work w))
   where exists (select from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
$$;
comment on function m23.needed_from() is 'The oldest transaction whose changes are kept; null while all are.';

-- Takes the arrivals of a part that goes over into the newest one: a restore of an older backup
-- leaves such rows alone. They are below what the log can answer for, which passes them over.
create function m23.keep_arrivals(p_table m23.protected_tables, p_part text) returns void
language plpgsql as $$
declare v_columns text := 'tenant_id, xid, change_id, op, actor, ' || (select names from m23.log_fields(p_table, true));
begin
  execute format('insert into %s (%s) select %2$s from %s l where l.op = ''a'' and exists (
      select from m23.backup_work w
       where w.tenant_id = l.tenant_id::text and w.incarnation = (select m23.incarnation())
         and not pg_visible_in_snapshot(l.xid, w.position))',
    m23.log_part(p_table.id), v_columns, p_part);
end $$;

-- Goes on to a new part.
create function m23.close_log_part(p_table m23.protected_tables) returns void
language plpgsql as $$
begin
  perform m23.open_log_part(p_table.id);
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.write_capture_functions(p_table);
end $$;

-- One step of the upkeep of a log. It waits for a lock only shortly: a part that somebody reads is dropped the next
-- time, and one that is still written into is sealed then.
create function m23.try_log_step(p_step text, p_table m23.protected_tables, p_part int, p_needed xid8) returns boolean
language plpgsql set lock_timeout = '200ms' as $$
begin
  case p_step
    when 'seal' then return m23.seal_log_part(p_table.id, p_part);
    when 'drop' then perform m23.drop_log_part(p_table, p_part, p_needed);
    when 'close' then perform m23.close_log_part(p_table);
  end case;
  return true;
exception when lock_not_available or deadlock_detected then return false;
end $$;

-- The lock of whoever drops old parts: one at a time does.
create function m23.prune_key() returns bigint
language sql immutable as $$ select hashtextextended('m23.prune_logs', 0) $$;
