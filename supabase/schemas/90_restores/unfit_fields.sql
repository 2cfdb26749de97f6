-- The columns whose fields do not fit their types, in words: those whose types can have been others.
create function m23.unfit_fields(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_kind text)
returns text[]
language plpgsql as $$
declare
  v_skip   int := m23.fields_before(p_staged, p_lines, p_kind);
  v_path   text := m23.path_of(p_table.relid);
  v_column m23.column_shape;
  v_place  int;
  v_said   text[] := '{}';
  v_constraint text;
begin
  for v_column in
    select c.* from m23.columns_of(p_table.relid) c where c.name = any (p_staged.columns) order by c.attnum
  loop
    v_place := array_position(p_staged.fields, v_column.name);
    continue when v_column.native and v_column.type_name = p_staged.types[v_place];
    begin
      perform m23.take_lines(v_path, m23.fill('select pg_catalog.count(v.v) from (select {value} as v from {lines}) v',
        'value', m23.field_value(p_table, v_column, format('f[%s]', v_place + v_skip), p_staged.types[v_place], p_then),
        'lines', m23.whole_lines(p_staged, v_skip)), p_lines);
    exception when data_exception or check_violation or not_null_violation or cannot_coerce then
      get stacked diagnostics v_constraint = constraint_name;
      v_said := v_said || m23.unfit_sentence(p_table, v_column, p_staged.types[v_place], sqlerrm, v_constraint);
    end;
  end loop;
  return v_said;
end $$;
