-- The function after a replicated row.
create function m23.replicated_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null  uuid;
  v_stale text;
begin
  if concat(current_setting('{statements}', true)) not in ('', '0') then return v_null; end if;
  {tick}
  if random() < 0.004 then perform m23.tick(); end if;
  if not {is_known} then
    foreach v_stale in array m23.stale_row_statements({id}, tg_relid, lower(tg_op)) loop
      if tg_op = 'INSERT' then execute v_stale using new, new;
      elsif tg_op = 'DELETE' then execute v_stale using old, old;
      else execute v_stale using old, new;
      end if;
    end loop;
    return v_null;
  elsif tg_op = 'INSERT' then
    {insert};
  elsif tg_op = 'DELETE' then
    {delete};
  else
    {update};
  end if;{paths}
  return v_null;
end $body$,
    'statements', m23.statements_setting(p_table.id), 'tick', m23.tick_statement(), 'id', p_table.id::text,
    'is_known', m23.layout_check(p_table),
    'paths', case when p_table.parent_id is null and not m23.is_parent(p_table) then '' else m23.fill($body$
  if tg_op <> 'DELETE' then
    foreach v_stale in array m23.row_path_statements({id}, lower(tg_op)) loop
      if tg_op = 'INSERT' then execute v_stale using new, new; else execute v_stale using old, new; end if;
    end loop;
  end if;$body$, 'id', p_table.id::text) end,
    'insert', array_to_string(m23.row_statements(p_table, 'insert', 'old', 'new'), ''),
    'delete', array_to_string(m23.row_statements(p_table, 'delete', 'old', 'new'), ''),
    'update', array_to_string(m23.row_statements(p_table, 'update', 'old', 'new'), ';
    '));
end $outer$;
