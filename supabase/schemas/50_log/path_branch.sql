-- What a function after a statement does besides where paths lead to its table's tenants, or through it.
create function m23.path_branch(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable as $outer$
begin
  return concat(
    case when p_table.parent_id is null then ''
         when m23.path_is_kept(p_table) then m23.fill($body$
    if current_setting('session_replication_role') = 'replica' then
      {note};
    end if;$body$, 'note', m23.note_missing(p_table, 'new_rows'))  -- a query less where no foreign key is silenced
         else E'\n    ' || m23.note_missing(p_table, 'new_rows') || ';' end,
    case when m23.is_parent(p_table) then m23.fill($body$
    if {is_due} then
      foreach v_stale in array m23.subtree_statements({id}, '{event}') loop execute v_stale; end loop;
    end if;$body$, 'id', p_table.id::text, 'event', p_event,
      'is_due', case p_event when 'update' then 'true' else m23.fill(
        'exists (select from m23.absent_parents a where a.parent_id = {id})', 'id', p_table.id::text) end) end);
end $outer$;

-- The same as statements, for rows by the names of relations.
create function m23.path_statements(
  p_table m23.protected_tables, p_event text, p_old text default 'old_rows', p_new text default 'new_rows'
) returns text[]
language plpgsql stable as $$
begin
  if p_event = 'delete' then return '{}'; end if;
  return case when p_table.parent_id is not null then array[m23.note_missing(p_table, p_new)] else '{}' end
      || case when m23.is_parent(p_table) then m23.subtree_statements(p_table.id, p_event, p_old, p_new) else '{}' end;
end $$;
