-- The pages of a part of a backup, as m23.part_query says.

-- Rows in the order of their keys: live ones, those as of the backup's position, or those of them that have changed.
create function m23.page_of_rows(p_table m23.protected_tables, p_rows text, p_limit text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill('select {line} as m23_line, {keys} from ({rows}) r order by {keys} limit {limit}',
    'line', m23.copy_line(p_table.relid), 'keys', m23.key_list(p_table.relid, 'r'), 'rows', p_rows, 'limit', p_limit);
end $outer$;

-- A tenant's live rows, with the parameters of m23.touched_since: those of the moment as long as nothing lies after it.
create function m23.live_query(p_table m23.protected_tables, p_limit text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill('select {columns} from {live} r where {is_its} and {key_after} order by {keys} limit {limit}',
    'columns', m23.select_list(p_table.relid, 'r'), 'live', m23.qualified_name(p_table.relid),
    'is_its', m23.belongs_to(p_table, 'r', '$1'), 'key_after', m23.key_after(p_table.relid),
    'keys', m23.key_list(p_table.relid, 'r'), 'limit', p_limit);
end $outer$;

-- Of an incremental: what the log says of these changes.
create function m23.page_history(p_table m23.protected_tables, p_log text, p_limit text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$
        select concat_ws(chr(9), r.m23_op, r.m23_change_id, r.m23_xid, coalesce(r.m23_at::text, '\N'),
                         r.m23_unchanged, {line}) as m23_line,
               r.m23_change_id, r.m23_xid
          from ({entries}) r order by r.m23_change_id, r.m23_xid$sql$,
    'line', m23.copy_line(p_table.relid), 'entries', m23.part_history_query(p_table, p_log, p_limit));
end $outer$;
