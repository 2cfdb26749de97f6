-- Another history: the log of the former one cannot be read together with what is logged from
-- now on. Moments before it can no longer be gone back to, for the reason given.
create function m23.begin_history(p_table m23.protected_tables, p_reason text) returns m23.protected_tables
language plpgsql as $$
begin
  if p_table.xid <> pg_current_xact_id() then
    insert into m23.gaps (table_id, since, until, reason)
      values (p_table.id, m23.history_since(p_table), clock_timestamp(), p_reason);
  end if;
  update m23.protected_tables t
     set key_attnums = m23.key_attnums(t.relid), protected_at = clock_timestamp(), xid = pg_current_xact_id(),
         incarnation = m23.incarnation(), pruned_below = '0', pruned_at = null, suspended = null
   where t.id = p_table.id returning * into p_table;
  execute format('drop table if exists %s cascade', m23.log_name(p_table.id));
  delete from m23.log_columns where table_id = p_table.id;
  delete from m23.log_parts where table_id = p_table.id;
  delete from m23.log_tenants where table_id = p_table.id;
  delete from m23.log_groups where table_id = p_table.id;
  delete from m23.removed_partitions where table_id = p_table.id;
  perform m23.begin_path(p_table);
  return p_table;
end $$;
