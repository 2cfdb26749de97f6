-- Drops a part that holds nothing that is needed: no transaction below p_needed is.
create function m23.drop_log_part(p_table m23.protected_tables, p_part int, p_needed xid8) returns void
language plpgsql as $$
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
