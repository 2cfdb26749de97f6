-- Retention: the log is kept for a time, and longer where a snapshot or a running backup
-- needs it. Old parts are dropped whole; no row is deleted one by one. Only that a row came from
-- another tenant is remembered for as long as a backup is older than that.

-- No transaction below it is needed by anybody: neither by the time that the log is kept,
-- nor by a snapshot that can be rolled back to, nor by a backup that is being read.
create function m23.needed_from() returns xid8
language sql volatile set search_path = '' as $$
  select least(
    (select pg_snapshot_xmin(t.position) from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int) order by t.at desc limit 1),
    (select min(pg_snapshot_xmin((s.snapshot_data ->> 'position')::pg_snapshot)) from public.pitr_snapshots s
      where s.status = 'active' and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text),
    (select min(pg_snapshot_xmin(w.position)) from public.backup_jobs j join m23.backup_work w on w.job_id in (j.id, j.parent_backup_id) where j.status in ('pending', 'in_progress')),
    (select min((w.moment).floor) from m23.restore_work w))
   where exists (select from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
$$;
comment on function m23.needed_from() is 'The oldest transaction whose changes are kept; null while all are.';

-- Takes the arrivals of a part that goes over into the newest one: a restore of an older backup
-- leaves such rows alone. They are below what the log can answer for, which passes them over.
create function m23.keep_arrivals(p_table m23.protected_tables, p_part text) returns void
language plpgsql set search_path = '' as $$
declare v_columns text := 'tenant_id, xid, change_id, op, actor, ' || (select names from m23.log_fields(p_table, true));
begin
  execute format('insert into %s (%s) select %2$s from %s l where l.op = ''a'' and exists (
      select from m23.backup_work w where w.tenant_id = l.tenant_id and w.incarnation = (select m23.incarnation()) and not pg_visible_in_snapshot(l.xid, w.position))',
    m23.log_part(p_table.id), v_columns, p_part);
end $$;

-- Drops a part that holds nothing that is needed: no transaction below p_needed is.
create function m23.drop_log_part(p_table m23.protected_tables, p_part int, p_needed xid8) returns void
language plpgsql set search_path = '' as $$
declare
  v_name text := m23.part_name(p_table.id, p_part);
  v_tick m23.ticks;
begin
  perform m23.keep_arrivals(p_table, v_name);
  execute format('drop table %s', v_name);
  perform m23.forget_part(p_table.id, p_part);
  select * into v_tick from m23.ticks
   where pg_snapshot_xmin(position) >= p_needed and incarnation = (select m23.incarnation()) order by at limit 1;
  update m23.protected_tables set pruned_below = p_needed, pruned_at = coalesce(v_tick.at, clock_timestamp())
   where id = p_table.id;
  delete from m23.removed_partitions where table_id = p_table.id and xid < p_needed;
end $$;

-- Goes on to a new part.
create function m23.close_log_part(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.open_log_part(p_table.id);
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.write_capture_functions(p_table);
end $$;

-- One step of the upkeep of a log. It waits for a lock only shortly: a part that somebody reads is dropped the next
-- time, and one that is still written into is sealed then.
create function m23.try_log_step(p_step text, p_table m23.protected_tables, p_part int, p_needed xid8) returns boolean
language plpgsql set search_path = '' set lock_timeout = '200ms' as $$
begin
  case p_step
    when 'seal' then return m23.seal_log_part(p_table.id, p_part);
    when 'drop' then perform m23.drop_log_part(p_table, p_part, p_needed);
    when 'close' then perform m23.close_log_part(p_table);
  end case;
  return true;
exception when lock_not_available or deadlock_detected then return false;
end $$;

-- What is to be done now of one kind, as much as one transaction has locks for; the upkeep comes again in a minute.
-- A part is closed when it is time and something was written into it, and sealed by a later run. Of a log only the
-- oldest parts are dropped, so that what is left is whole. Where capture is suspended, nothing is logged and nothing
-- can be read.
create function m23.log_steps(p_step text, p_needed xid8) returns table (tbl m23.protected_tables, part int)
language plpgsql volatile set search_path = '' as $$
declare
  v_most constant int := 50;
  v_hours interval := make_interval(hours => m23.setting('log_part_hours')::int);
begin
  return query
  select t, p.part
    from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
   where t.suspended is null and exists (select from pg_class c where c.oid = t.relid)
     and (m23.obstacle_of(t)).kind is null
     and case p_step
       when 'seal' then p.closed_at is not null and not p.sealed
       when 'drop' then p_needed is not null and p.part < (
         select min(k.part) from m23.log_parts k
          where k.table_id = p.table_id and (not k.sealed or m23.part_reaches(k.table_id, k.part, p_needed)))
       when 'close' then p.closed_at is null and p.opened_at <= clock_timestamp() - v_hours
         and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) > 0 end
   order by p.opened_at, p.part limit v_most;
end $$;

-- The upkeep of the logs: seals parts, drops what is no longer needed, and goes on to new ones; gives how many were
-- dropped. Two that come at once do it one after the other.
create function m23.prune_logs() returns int
language plpgsql set search_path = '' as $$
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
  delete from m23.ticks where at < clock_timestamp() - make_interval(days => m23.setting('log_days')::int + 1)
     and not exists (select from public.pitr_snapshots s where s.status = 'active' and s.created_at < ticks.at + interval '1 day');
  return v_count;
end $$;

create function m23.prune_key() returns bigint
language sql immutable set search_path = '' as $$ select hashtextextended('m23.prune_logs', 0) $$;

select m23.close_functions();
