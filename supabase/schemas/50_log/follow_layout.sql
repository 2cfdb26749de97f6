-- An ALTER TABLE that no event trigger has followed: brings log and capture up to the present
-- layout, from within a trigger, where triggers cannot be made anew. Null where nothing can be
-- logged: where there is an obstacle (m23.obstacles), or in a copy of the database.
-- runs under: text settings
create function m23.follow_layout(p_table_id int, p_relid oid) returns m23.protected_tables
language plpgsql as $$
declare v_table m23.protected_tables;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  select * into v_table from m23.protected_tables
   where id = p_table_id and relid = coalesce(pg_partition_root(p_relid), p_relid);
  if v_table.id is null or (m23.obstacle_of(v_table)).kind is not null then
    return null;
  end if;
  if m23.capture_is_stale(v_table) then
    perform m23.write_log_table(v_table);
    perform m23.write_log_groups(v_table);
    perform m23.write_capture_functions(v_table);
    perform m23.write_statements(v_table);
  end if;
  return v_table;
end $$;
