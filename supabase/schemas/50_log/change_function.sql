-- The function after an update or delete. A statement takes the long way where others of its transaction are open, or
-- have logged, and an update where it has changed a group of columns or a key.
create function m23.change_function(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_others    text;
  v_start     pg_lsn;
  v_first     pg_lsn;
  v_direct    boolean;
  v_known     boolean;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {is_alone} then
    {log_alone};
    return v_null;
  end if;
  v_known := {is_known};
  v_open := current_setting('{open}', true);
  if (v_open <> '') is not true or random() < 0.004 then perform m23.tick(); end if;
  v_first := pg_current_wal_insert_lsn();
  if v_known then
    {log};
  else
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, '{event}') loop execute v_stale; end loop;
  end if;
  if v_open <> '' then
    v_statement := split_part(v_open, ',', -1);
    if strpos(v_open, ',') > 0 and left(v_statement, 1) = '{op}' then
      v_others := left(v_open, - length(v_statement) - 1);
    else
      v_statement := m23.open_statement(v_open, '{op}');
      v_others := m23.without_statement(v_open, v_statement);
    end if;
    v_start := coalesce(split_part(v_statement, '@', 2), '0/0');
    if v_open not like ',%' and split_part(v_open, ',', 1)::pg_lsn > v_start then
      if v_known then
        v_direct := v_statement is null or substr(split_part(v_statement, '@', 1), 2)::int = pg_trigger_depth();
        {order};
      else
        perform m23.log_after('{log_name}', v_start, v_first);
      end if;
    end if;
    perform set_config('{open}', concat(pg_current_wal_insert_lsn(),
                                        substr(v_others, nullif(strpos(v_others, ','), 0))), true);
  end if;
  {moves}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'open', m23.open_setting(p_table.id), 'id', p_table.id::text,
    'event', p_event, 'op', upper(left(p_event, 1)), 'is_known', m23.layout_check(p_table),
    'moves', case p_event when 'update' then m23.moves_branch(p_table) else '' end,
    'order', m23.order_statement(p_table, p_event), 'log_name', m23.log_part(p_table.id),
    'log', m23.log_statement(p_table, p_event, case p_event when 'update' then 'some' else 'all' end),
    'log_alone', m23.log_statement(p_table, p_event, case p_event when 'update' then 'none' else 'all' end),
    'is_alone', case
      when p_event = 'update' and (select relkind from pg_class where oid = p_table.relid) = 'p' then 'false'
      else format('concat(current_setting(%L, true)%s) = ''''', m23.open_setting(p_table.id),
                  case p_event when 'update' then format(', current_setting(%L, true)', m23.changed_flag(p_table.id))
                               else '' end) end);
end $outer$;
