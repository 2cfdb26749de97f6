-- TRUNCATE fires no row capture: the rows are logged before they go.
create function m23.truncate_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$
declare v_table m23.protected_tables;
begin
  perform m23.refuse_stale_snapshot(tg_relid);
  if not {is_known} then
    v_table := m23.follow_layout({id}, tg_relid);
    if v_table.id is null then return null; end if;
  end if;
  perform m23.log_rows(tg_relid, {id}, 'D');
  return null;
end $body$, 'id', p_table.id::text, 'is_known', m23.layout_check(p_table));
end $outer$;
