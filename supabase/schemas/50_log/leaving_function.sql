-- The function before a deleted row of a table that others find their tenants through: it is noted as an absent parent
-- before anything that hangs on it is logged.
create function m23.leaving_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  if not m23.is_parent(p_table) then return 'begin return old; end'; end if;
  return m23.fill($body$
declare v_stale text;
begin
  if {is_known} then
    {note};
  else
    foreach v_stale in array m23.stale_leaving_statements({id}, tg_relid) loop execute v_stale using old; end loop;
  end if;
  return old;
end $body$, 'is_known', m23.layout_check(p_table), 'note', m23.note_leaving(p_table, 'old'), 'id', p_table.id::text);
end $outer$;

-- The same where no event trigger has followed an ALTER TABLE; the row is $1.
create function m23.stale_leaving_statements(p_table_id int, p_relid oid) returns text[]
language plpgsql as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  if v_table.id is null then return '{}'; end if;
  return array[m23.note_leaving(v_table, 'm23_r', '(select ($1).*)')];
end $$;
