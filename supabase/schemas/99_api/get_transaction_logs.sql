-- A page of the log, newest first: transactions by their beginning, the changes of each by their order. So stands the
-- log's index: a page reads a page, and what its filters pass over in the transactions that they leave.
-- open to: authenticated, service_role
create function public.get_transaction_logs(
  p_tenant_id text, p_table text default null, p_operation text default null, p_actor uuid default null,
  p_since timestamptz default null, p_until timestamptz default null, p_before jsonb default null,
  p_limit int default 100
) returns table (id bigint, tenant_id text, created_at timestamptz, transaction_id text, actor uuid, operation text,
                 table_name text, row_key jsonb, old_values jsonb, unchanged_columns text[])
language plpgsql stable security definer set row_security = off as $$
declare
  v_faults text[] := m23.log_filter_faults(p_table, p_operation, p_before);
  v_bounds record;
  v_filter m23.log_filter;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the changes cannot be listed', v_faults);
  end if;
  v_bounds := m23.transactions_between(p_since, p_until);
  v_filter.first := v_bounds.first;
  v_filter.beyond := v_bounds.beyond;
  v_filter.before_xid := p_before ->> 'transaction_id';
  v_filter.before_id := p_before ->> 'id';
  v_filter.op := (select o.op from m23.operations() o where o.name = p_operation);
  v_filter.actor := p_actor;
  v_filter.since := p_since;
  v_filter.until := p_until;
  v_filter.most := least(greatest(p_limit, 1), 1000);
  return query
  select h.*
    from m23.tables_with_entries(case when p_table is not null then array[p_table] end, p_tenant_id, v_filter.first) t
    cross join lateral m23.history_page(t, p_tenant_id, v_filter) h
   order by h.transaction_id::xid8 desc, h.id desc limit v_filter.most;
end $$;
comment on function public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int) is
  'The newest changes, at most p_limit (1,000): of a table, of one operation, by one user, committed from p_since on '
  'and before p_until, older than the row p_before. Owner, admin and operator.';
