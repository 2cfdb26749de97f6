-- open to: authenticated, service_role
create function public.get_change_histogram(
  p_tenant_id text, p_since timestamptz, p_until timestamptz, p_buckets int default 100, p_tables text[] default null,
  p_actor uuid default null
) returns table (bucket_start timestamptz, table_name text, operation text, row_count bigint, transaction_count bigint)
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s'
set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_faults text[] := m23.range_faults(p_since, p_until, true)
    || array(select 'p_' || f from unnest(m23.table_faults(p_tables)) f)
    || case when p_buckets not between 1 and 1000 then array['p_buckets: must be from 1 to 1,000'] else '{}' end;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the changes cannot be counted', v_faults);
  end if;
  perform m23.begin_heavy_read(p_tenant_id, 'histogram');
  return query
  select h.* from m23.change_histogram(p_tenant_id, p_since, p_until, coalesce(p_buckets, 100), p_tables, p_actor) h
   order by h.bucket_start, h.table_name, h.operation;
end $$;
comment on function public.get_change_histogram(text, timestamptz, timestamptz, int, text[], uuid) is
  'How many rows, by how many transactions, were inserted, updated and deleted in each of p_buckets (1,000) parts of '
  'the time from p_since to p_until. Buckets without changes are left out; those of a minute or more begin with one. '
  'Owner, admin and operator.';
