-- Keys that a request names and that its tenant never had. One that another tenant has looks exactly like one that
-- nobody has.

-- Refuses a request that names such keys.
create function m23.refuse_unknown_keys(p_tenant text, p_chosen m23.target[]) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_faults text[] := '{}';
begin
  foreach v_target in array p_chosen loop
    v_faults := v_faults || m23.unknown_keys(v_target, p_tenant, m23.diff_name(v_target.tbl));
  end loop;
  perform m23.refuse_unknown(v_faults);
end $$;

-- Refuses these.
create function m23.refuse_unknown(p_said text[]) returns void
language plpgsql as $$
begin
  if p_said <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid', p_said);
  end if;
end $$;

-- The keys that the selection of a table names and its tenant never had, a sentence each: there is no such row of it,
-- nor has the log one, or a relation with rows of the tenant (null: there is none).
create function m23.unknown_keys(p_target m23.target, p_tenant text, p_rows text) returns text[]
language plpgsql as $$
declare
  v_table   m23.protected_tables := p_target.tbl;
  v_path    text := m23.path_of(v_table.relid);
  v_unknown text[];
begin
  if not coalesce(p_target.selection ?| '{rows,exceptRows}', false) then return '{}'; end if;
  perform set_config('search_path', v_path, true);
  execute m23.fill($sql$
      with unknown as materialized (
        select k.* from {keys} k
         where not exists (select from {live} l where {is_live} and {is_tenants}) and {is_elsewhere}),
      logged as (
        select u.m23_of, u.m23_n from unknown u
          join (select {logged_key} from {log} l
                 where l.tenant_id = {tenant} and exists (select from unknown)) e on {same_key})
      select array_agg(format('%s.%s[%s]: is no key of a row of this tenant', u.m23_of, $1, u.m23_n)
                       order by u.m23_of desc, u.m23_n)
        from unknown u where (u.m23_of, u.m23_n) not in (select * from logged)$sql$,
    'keys', m23.chosen_keys_name(v_table), 'live', m23.qualified_name(v_table.relid),
    'is_live', m23.key_match(v_table.relid, 'l', 'k'),
    'is_tenants', m23.is_tenants(v_table, 'l', quote_literal(p_tenant)),
    'is_elsewhere', case when to_regclass(p_rows) is null then 'true'
                         else 'not ' || m23.key_in(v_table.relid, 'k', p_rows) end,
    'logged_key', (select string_agg(format('%s as %I', m23.log_value(v_table, c), c.name), ', ' order by c.key_ord)
                     from m23.columns_of(v_table.relid, p_of_key => true) c),
    'log', m23.log_of(v_table.id, p_tenant, '0'), 'tenant', m23.tenant_value(v_table, quote_literal(p_tenant)),
    'same_key', m23.key_match(v_table.relid, 'e', 'u')) into v_unknown using m23.public_name(v_table.relid);
  return coalesce(v_unknown, '{}');
end $$;
