-- open to: authenticated, service_role
create function public.find_rows(
  p_tenant_id text, p_table text, p_filter jsonb default null, p_operation text default null,
  p_since timestamptz default null, p_until timestamptz default null, p_limit int default 100,
  p_before jsonb default null
) returns table (row_key jsonb, old_values jsonb, operation text, transaction_id text, at timestamptz, actor uuid,
                 source text, id bigint, searched_back timestamptz, request_id text)
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s'
set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_faults text[];
  v_pick   m23.pick;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  v_faults := m23.range_faults(p_since, p_until, false) || m23.cursor_faults(p_before, '{id,transaction_id}')
    || case when v_table.id is null then array[format('p_table: "%s" is not a protected table', p_table)]
            else m23.filter_faults(v_table.relid, p_filter, 'p_filter') end
    || case when p_operation not in ('UPDATE', 'DELETE')
            then array['p_operation: one of UPDATE, DELETE: a row that is new was not there before'] else '{}' end;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the rows cannot be found', v_faults);
  end if;
  perform m23.begin_heavy_read(p_tenant_id, 'find');
  v_pick.filter := coalesce(nullif(p_filter, 'null'), '{}');
  v_pick.op := (select o.op from m23.operations() o where o.name = p_operation);
  v_pick.since := p_since;
  v_pick.until := p_until;
  v_pick.before_xid := p_before ->> 'transaction_id';
  v_pick.before_id := p_before ->> 'id';
  v_pick.most := m23.page_size(p_limit);
  return query
  select c.row_key, c.old_values, c.operation, c.transaction_id::text, case when c.operation is not null then c.at end,
         c.actor, c.source, c.id, case when c.operation is null then c.at end, c.request_id
    from m23.found_rows(v_table, p_tenant_id, v_pick) c
   order by c.transaction_id desc, c.id desc;
end $$;
comment on function public.find_rows(text, text, jsonb, text, timestamptz, timestamptz, int, jsonb) is
  'Rows as they were before they were changed or deleted, newest change first, that p_filter lets through; at most '
  'p_limit (1,000), from before the row p_before. A last row with searched_back and no operation says how far the '
  'search came: it is the p_before to go on with. Owner, admin and operator.';
