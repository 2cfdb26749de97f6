-- open to: authenticated, service_role
create function public.get_transaction(p_tenant_id text, p_transaction_id text, p_limit int default 100,
                                       p_before jsonb default null)
returns table (table_name text, operation text, row_key jsonb, changed_columns text[], old_values jsonb,
               new_values jsonb, id bigint, actor uuid, source text, request_id text)
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s'
set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_faults text[] := m23.transaction_faults(p_transaction_id) || m23.cursor_faults(p_before, '{id,table_name}');
  v_pick   m23.pick;
begin
  p_before := nullif(p_before, 'null');
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the transaction cannot be given', v_faults);
  end if;
  perform m23.begin_heavy_read(p_tenant_id, 'transaction');
  v_pick.xid := p_transaction_id;
  v_pick.before_id := (p_before ->> 'id')::numeric + 1;
  v_pick.most := m23.page_size(p_limit) + (p_before is not null)::int;
  return query
  select c.table_name, c.operation, c.row_key, c.changed_columns, c.old_values, c.new_values, c.id, c.actor,
         c.source, c.request_id
    from m23.tables_with_entries(null, p_tenant_id, v_pick.xid) t
   cross join lateral m23.told_changes(t, p_tenant_id, v_pick) c
   where p_before is null or (c.id, c.table_name) < ((p_before ->> 'id')::bigint, p_before ->> 'table_name')
   order by c.id desc, c.table_name desc limit m23.page_size(p_limit);
end $$;
comment on function public.get_transaction(text, text, int, jsonb) is
  'What a transaction has changed, last change first, with each row before and after it; at most p_limit (1,000), from '
  'before the row p_before. Nothing, if it has changed nothing of the tenant''s. Owner, admin and operator.';
