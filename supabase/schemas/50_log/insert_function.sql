-- The function after an insert. The first lines of each such function are what nearly all statements come to, in one
-- condition and one query, which takes no variable and has its plan for good. Now and then it is time to look at the
-- clock.
create function m23.insert_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_first     pg_lsn;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {in_order} then
    {log};{paths}
    return v_null;
  end if;
  perform m23.tick();
  if not {is_known} then
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, 'insert') loop execute v_stale; end loop;
    return v_null;
  end if;
  v_first := pg_current_wal_insert_lsn();
  {log};{paths}
  {order}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'id', p_table.id::text, 'is_known', m23.layout_check(p_table),
    'log', m23.log_statement(p_table, 'insert'), 'paths', m23.path_branch(p_table, 'insert'),
    'in_order', case when m23.insert_order_matters(p_table.relid)
                     then format('concat(current_setting(%L, true)) = ''''', m23.open_setting(p_table.id))
                     else 'true' end,
    'order', case when m23.insert_order_matters(p_table.relid) then m23.insert_order(p_table) else '' end);
end $outer$;
