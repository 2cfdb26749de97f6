-- The next lines of a part of a backup (m23_line), with the columns of their keys, in order.
-- Parameters: those of m23.touched_since for the backup's position, and $4, the parent's as a moment. With p_live
-- from the live rows alone. p_log: the log's entries since the earlier of the two.
create function m23.part_query(
  p_part m23.backup_tables, p_history boolean, p_table m23.protected_tables, p_limit int, p_live boolean, p_log text
) returns text
language plpgsql stable as $$
begin
  return m23.statement(p_table, case when p_history then 'page_history' when p_live then 'page_live'
                                     when p_part.whole then 'page_whole' else 'page_changed' end,
                       'log', p_log, 'limit', p_limit::text);
end $$;
