-- open to: authenticated, service_role
create function public.get_transactions(
  p_tenant_id text, p_since timestamptz default null, p_until timestamptz default null, p_order text default 'time',
  p_actor uuid default null, p_source text default null, p_limit int default 100, p_before jsonb default null
) returns table (transaction_id text, at timestamptz, actor uuid, source text, inserts bigint, updates bigint,
                 deletes bigint, tables text[], searched_back timestamptz)
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s'
set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_is_by_time boolean := coalesce(p_order, 'time') = 'time';
  v_faults     text[] := m23.range_faults(p_since, p_until, false)
    || m23.cursor_faults(p_before, case when coalesce(p_order, 'time') = 'time' then '{transaction_id}'
                                        else '{transaction_id,inserts,updates,deletes}' end::text[])
    || case when p_order not in ('time', 'rows', 'deletes')
            then array['p_order: one of time, rows, deletes'] else '{}' end;
  v_wanted     m23.transaction_filter;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the transactions cannot be listed', v_faults);
  end if;
  perform m23.begin_heavy_read(p_tenant_id, 'transactions');
  v_wanted := m23.transactions_wanted(p_since, p_until, p_order, p_actor, p_source, p_limit,
                                      nullif(p_before, 'null'));
  if v_is_by_time then
    return query
      select t.xid::text, case when t.inserts is not null then t.at end, t.actor, t.source, t.inserts, t.updates,
             t.deletes, t.tables, case when t.inserts is null then t.at end
        from m23.newest_transactions(p_tenant_id, v_wanted) t;
  else
    return query
      select t.xid::text, t.at, t.actor, t.source, t.inserts, t.updates, t.deletes, t.tables, null::timestamptz
        from m23.largest_transactions(p_tenant_id, v_wanted) t;
  end if;
end $$;
comment on function public.get_transactions(text, timestamptz, timestamptz, text, uuid, text, int, jsonb) is
  'The transactions that changed rows of the tenant, committed from p_since on and before p_until: the newest first, '
  'or those with most rows or deletes; at most p_limit (1,000), after the row p_before. A last row with searched_back '
  'and no figures says how far the search came: it is the p_before to go on with. Owner, admin and operator.';
