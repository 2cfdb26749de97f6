-- Inserts the missing rows of the plan; gives how many are known to be stored as planned.
create function m23.insert_diff(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql as $$
declare
  v_rows bigint;
  v_live text := m23.qualified_name((p_target.tbl).relid);
  v_diff text := m23.diff_name(p_target.tbl);
  v_list text := (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c);
begin
  v_rows := m23.run(p_target.path, format('insert into %s (%s) overriding system value
      select %s from %s d where m23_op in (''I'', ''R'') and %s',
    v_live, v_list, v_list, v_diff, m23.belongs_to(p_target.tbl, 'd', quote_literal(p_tenant))));
  if m23.writes_as_planned(p_target.tbl, p_quiet) then return v_rows; end if;
  return m23.number_of(p_target.path, format('
      select count(*) from %s d join %s l on %s where d.m23_op in (''I'', ''R'') and %s and %s',
    v_diff, v_live, m23.key_match((p_target.tbl).relid, 'l', 'd'),
    m23.is_tenants(p_target.tbl, 'l', quote_literal(p_tenant)), m23.is_stored_as_planned(p_target)));
end $$;
