-- open to: authenticated, service_role
create function public.get_rows_as_of(
  p_table text, p_timestamp timestamptz, p_after jsonb default null, p_limit int default 100,
  p_tenant_id text default null
) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_tenant text := coalesce(p_tenant_id, m23.caller_tenant());
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_limit  int := least(greatest(p_limit, 1), 1000);
  v_moment m23.moment;
  v_after  text[];
  v_path   text;
  v_query  text;
  v_rows   jsonb;
begin
  v_tenant := m23.require_role(v_tenant, array['owner', 'admin', 'operator']);
  perform m23.begin_heavy_read(v_tenant, 'rows');
  if v_table.id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the rows cannot be given',
                       array[format('p_table: "%s" is not a protected table', p_table)]);
  end if;
  v_moment := m23.requested_moment(v_tenant, p_timestamp, array[p_table]);
  execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  v_after := (select array_agg(p_after ->> k order by n) from unnest(m23.key_of(v_table.relid)) with ordinality u (k, n)
               where p_after is not null);
  v_query := format('select pg_catalog.jsonb_agg(m23.double_safe(pg_catalog.to_jsonb(m23_x))) from (
      select * from (%s) r order by %s limit %s) m23_x',
    m23.statement(v_table, 'as_of_page', 'log', m23.log_of(v_table.id, v_tenant, v_moment.floor),
                  'limit', v_limit::text),
    m23.key_list(v_table.relid, 'r'), v_limit);
  v_path := m23.path_of(v_table.relid);
  perform set_config('search_path', v_path, true);
  execute v_query into v_rows using v_tenant, v_moment, v_after;
  return coalesce(v_rows, '[]');
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(select m23.unfit_columns(m23.logged_target(v_table, v_moment), v_tenant)));
  raise;
end $$;
comment on function public.get_rows_as_of(text, timestamptz, jsonb, int, text) is
  'Rows of a protected table as they were committed at p_timestamp, in key order, at most p_limit (1,000), after the '
  'row with the key p_after. Owner, admin and operator.';
