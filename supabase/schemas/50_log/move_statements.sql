-- Keys that an update takes away or makes: the sets of keys before and after are compared. How many rows there are is
-- not known when the query is planned, so it counts them and joins nothing. One that goes and comes under another
-- tenant leaves and arrives; where a statement changes tenants and keys together, so does what a tenant has more rows
-- of after it, or fewer, and all that comes where rows of other tenants were changed. Of a partitioned table the set
-- after cannot be trusted: PostgreSQL puts the row that a MERGE has inserted where one that it updates later should
-- be. So no key is gone that is still there, and none has come where none is gone.
create function m23.move_statements(
  p_table m23.protected_tables, p_old text default 'old_rows', p_new text default 'new_rows'
) returns text[]
language plpgsql stable as $outer$
declare v_key record := m23.log_fields(p_table, true);
begin
  return (select array_agg(m23.fill($sql$insert into {log} (tenant_id, op, actor, source, request, {names})
    select r.m23_tenant, (case when r.m23_more > 0 or r.m23_of_key > r.m23_of_row
                                    or {both} and r.m23_of_all > r.m23_of_tenant
                               then '{moved}' else '{changed}' end)::"char", {actor},
           {source}, {expressions}
      from (select r.*, row_number() over (partition by r.m23_tenant, {keys}, r.m23_n) as m23_nth,
                   sum(r.m23_n) over (partition by r.m23_tenant) as m23_more,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant, {keys}) as m23_of_row,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant) as m23_of_tenant,
                   count(*) filter (where r.m23_n < 0) over (partition by {keys}) as m23_of_key,
                   count(*) filter (where r.m23_n < 0) over () as m23_of_all
              from (select {tenant} as m23_tenant, {keys}, 1 as m23_n from {these} r
                    union all select {tenant}, {keys}, -1 from {those} r) r) r
     where r.m23_n > 0 and r.m23_nth > r.m23_of_row and {is_real} and {shares_fence}$sql$,
      'is_real', case when (select relkind from pg_class where oid = p_table.relid) <> 'p' then 'true'
                      else m23.fill(s.is_real, 'old_rows', p_old, 'new_rows', p_new,
                                    'live', m23.qualified_name(p_table.relid),
                                    'tenant', m23.row_tenant(p_table, 'r'),
                                    'live_tenant', m23.row_tenant(p_table, 'n'),
                                    'same_key', m23.key_match(p_table.relid, 'n', 'r'),
                                    'keys', m23.key_list(p_table.relid, 'r')) end,
      'log', m23.log_part(p_table.id), 'names', v_key.names, 'expressions', v_key.expressions,
      'actor', m23.logged_actor(), 'source', m23.logged_source(p_table.id),
      'both', format('current_setting(%L, true) is not distinct from ''both''', m23.moved_flag(p_table.id)),
      'tenant', m23.row_tenant(p_table, 'r'), 'keys', m23.key_list(p_table.relid, 'r'),
      'these', s.these, 'those', s.those, 'moved', s.moved, 'changed', s.changed,
      'shares_fence', m23.shares_fence('r.m23_tenant', p_table.tenant_type, m23.log_part(p_table.id))) order by s.n)
    from (values
      (1, p_old, p_new, 'l', 'o',
       'not exists (select from {live} n where {live_tenant} = r.m23_tenant and {same_key})'),
      (2, p_new, p_old, 'a', 'n',
       'exists (select from (select {tenant} as m23_tenant, {keys} from {old_rows} r
                             except select {tenant}, {keys} from {new_rows} r) r
                 where not exists (select from {live} n where {live_tenant} = r.m23_tenant and {same_key}))'))
      s (n, these, those, moved, changed, is_real));
end $outer$;
