-- The log is asked, or an archive's rows.
create function m23.unfit_value(p_target m23.target, p_tenant text, p_column m23.column_shape) returns text
language plpgsql as $$
declare
  v_table      m23.protected_tables := p_target.tbl;
  v_values     text;
  v_constraint text;
begin
  v_values := case
    when p_target.wanted is not null and p_column.name <> all (p_target.columns) then null
    when p_target.wanted is not null
      then m23.fill('select w.{column} as v from ({rows}) w', 'column', quote_ident(p_column.name),
                    'rows', p_target.wanted)
    else m23.fill('select {value} as v from {log} l where l.tenant_id = {tenant} and {lies_after}',
      'value', m23.log_value(v_table, p_column), 'tenant', m23.tenant_value(v_table, '$1'),
      'log', m23.log_of(v_table.id, p_tenant, (p_target.moment).floor), 'lies_after', m23.lies_after('l.xid')) end;
  if v_values is null then return null; end if;
  execute format('create temp table m23_probe (value %s) on commit drop',
                 (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = v_table.relid and a.attnum = p_column.attnum));
  perform m23.run_at(p_target, p_tenant,
    m23.fill('insert into pg_temp.m23_probe select v.v from ({values}) v where v.v is not null', 'values', v_values));
  drop table pg_temp.m23_probe;
  return null;
exception when data_exception or check_violation or not_null_violation then
  get stacked diagnostics v_constraint = constraint_name;
  return m23.unfit_sentence(v_table, p_column,
    (select f.column_type from m23.log_columns f
      where f.table_id = v_table.id and f.attnum = p_column.attnum
      order by f.since limit 1),
    sqlerrm, v_constraint);
end $$;
