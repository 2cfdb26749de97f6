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

-- Drops the closed parts of one log that hold nothing that is needed. It waits for a lock
-- only shortly: a part that somebody reads is dropped the next time.
create function m23.prune_log(p_table m23.protected_tables, p_needed xid8) returns int
language plpgsql set search_path = '' as $$
declare
  v_part   m23.log_parts;
  v_name   text;
  v_needed boolean;
  v_tick   m23.ticks;
  v_count  int := 0;
begin
  for v_part in select * from m23.log_parts where table_id = p_table.id and closed_at is not null order by part loop
    v_name := m23.log_name(p_table.id) || '_' || v_part.part;
    execute format('select exists (select from %s where xid >= $1)', v_name) into v_needed using p_needed;
    exit when v_needed;
    begin
      perform set_config('lock_timeout', '200ms', true);
      perform m23.keep_arrivals(p_table, v_name);
      execute format('drop table %s', v_name);
    exception when lock_not_available then
      exit;
    end;
    delete from m23.log_parts where table_id = v_part.table_id and part = v_part.part;
    select * into v_tick from m23.ticks where pg_snapshot_xmin(position) >= p_needed and incarnation = (select m23.incarnation()) order by at limit 1;
    update m23.protected_tables set pruned_below = p_needed, pruned_at = coalesce(v_tick.at, clock_timestamp()) where id = p_table.id;
    delete from m23.removed_partitions where table_id = p_table.id and xid < p_needed;
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;

-- Opens a new part of each log when it is time, and drops what is no longer needed.
create function m23.prune_logs() returns int
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables;
  v_needed xid8 := m23.needed_from();
  v_hours  interval := make_interval(hours => m23.setting('log_part_hours')::int);
  v_count  int := 0;
begin
  -- Where capture is suspended, nothing is logged and nothing can be read.
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_class c where c.oid = t.relid)
                    and t.suspended is null and (m23.obstacle_of(t)).kind is null
                  order by t.id loop
    if exists (select from m23.log_parts p where p.table_id = v_table.id and p.closed_at is null and p.opened_at <= clock_timestamp() - v_hours) then
      perform m23.open_log_part(v_table.id);
      perform m23.write_log_table(v_table);
      perform m23.write_log_groups(v_table);
      perform m23.write_capture_functions(v_table);
    elsif m23.capture_is_stale(v_table) then
      perform m23.follow_layout(v_table.id, v_table.relid);
    end if;
    if v_needed is not null then
      v_count := v_count + m23.prune_log(v_table, v_needed);
    end if;
  end loop;
  delete from m23.ticks where at < clock_timestamp() - make_interval(days => m23.setting('log_days')::int + 1)
     and not exists (select from public.pitr_snapshots s where s.status = 'active' and s.created_at < ticks.at + interval '1 day');
  return v_count;
end $$;

select m23.close_functions();
