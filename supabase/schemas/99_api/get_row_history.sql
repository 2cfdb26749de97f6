-- open to: authenticated, service_role
create function public.get_row_history(p_tenant_id text, p_table text, p_key jsonb, p_limit int default 100,
                                       p_before jsonb default null)
returns table (at timestamptz, transaction_id text, actor uuid, source text, operation text, changed_columns text[],
               old_values jsonb, new_values jsonb, restore_log_id uuid, id bigint, request_id text)
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s'
set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_faults text[];
  v_pick   m23.pick;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  v_faults := case when v_table.id is null then array[format('p_table: "%s" is not a protected table', p_table)]
                   else m23.key_faults(v_table.relid, p_key) end || m23.cursor_faults(p_before, '{id}');
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the history cannot be given', v_faults);
  end if;
  perform m23.begin_heavy_read(p_tenant_id, 'row history');
  v_pick.key := p_key;
  v_pick.before_id := p_before ->> 'id';
  v_pick.most := m23.page_size(p_limit);
  return query
  select c.at, c.transaction_id::text, c.actor, c.source, c.operation, c.changed_columns, c.old_values, c.new_values,
         m23.restore_of(p_tenant_id, c.source), c.id, c.request_id
    from m23.told_changes(v_table, p_tenant_id, v_pick) c order by c.id desc;
end $$;
comment on function public.get_row_history(text, text, jsonb, int, jsonb) is
  'Every change of the row that has the key p_key, newest first, with the row before and after it; at most p_limit '
  '(1,000), older than the row p_before. Owner, admin and operator.';
