-- How many of a tenant's keys ($1) were deleted since a time ($2) and have not come back by now ($3). No transaction
-- below $4 matters.
create function m23.gone_query(p_table m23.protected_tables, p_part text) returns text
language sql stable as $outer$
  select m23.fill($sql$
    select count(*) from (
      select from {part} l
       where l.tenant_id = {tenant} and l.xid >= $4 and pg_visible_in_snapshot(l.xid, $3)
         and coalesce({at}, clock_timestamp()) >= $2
       group by {key}
      having bool_or(l.op = 'D')
         and sum(case when l.op in ('I', 'n', 'a') then 1 when l.op in ('D', 'o', 'l') then -1 else 0 end) < 0
      ) gone$sql$,
    'part', p_part, 'at', m23.committed_at(),
    'tenant', m23.tenant_value(p_table, '$1'),
    'key', (select string_agg('l.' || m23.log_field(p_table, c.attnum), ', ' order by c.key_ord)
              from m23.columns_of(p_table.relid, p_of_key => true) c))
$outer$;
