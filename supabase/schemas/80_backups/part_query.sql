-- The next lines of a part of a backup (m23_line), with the columns of their keys, in order.
-- Parameters: those of m23.touched_since for the backup's position, and $4, the parent's as a moment. With p_live
-- from the live rows alone. p_log: the log's entries since the earlier of the two.
create function m23.part_query(
  p_part m23.backup_tables, p_history boolean, p_table m23.protected_tables, p_limit int, p_live boolean, p_log text
) returns text
language plpgsql stable as $$
declare v_key text := m23.key_list(p_table.relid, 'r');
begin
  if p_history then
    return format($sql$
        select concat_ws(chr(9), r.m23_op, r.m23_change_id, r.m23_xid, coalesce(r.m23_at::text, '\N'),
                         r.m23_unchanged, %s) as m23_line,
               r.m23_change_id, r.m23_xid
          from (%s) r order by r.m23_change_id, r.m23_xid$sql$,
      m23.copy_line(p_table.relid), m23.part_history_query(p_table, p_log, p_limit));
  end if;
  return format('select %s as m23_line, %2$s from (%3$s) r order by %2$s limit %4$s',
    m23.copy_line(p_table.relid), v_key,
    case when p_live then m23.live_query(p_table, p_limit)
         when p_part.whole then m23.as_of_query(p_table, p_log, p_limit)
         else m23.changed_query(p_table, p_log, p_limit) end, p_limit);
end $$;
