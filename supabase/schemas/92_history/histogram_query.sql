-- The query of a table's histogram: $1 tenant, $2 since, $3 until, $4 and $5 the whole minutes among them (null: there
-- are none), $6 where buckets begin, $7 actor, $8 the tenant as the log has it.
create function m23.histogram_query(p_table m23.protected_tables, p_tenant text, p_since timestamptz,
                                    p_until timestamptz, p_from timestamptz, p_to timestamptz)
returns text
language plpgsql stable as $outer$
declare
  v_range record := m23.transactions_between(p_since, p_until);
  v_parts int[] := m23.hold_parts(p_table.id, m23.parts_of(p_table.id, p_tenant, v_range.first));
begin
  return m23.fill($sql$
    with changed as materialized (
      select l.xid, l.lower, l.upper, {counted} from ({entries}) l
       where ($7 is null or l.actor = $7) and (l.op <> 'a' or l.xid >= {pruned})
       group by l.xid, l.lower, l.upper),
    timed as materialized (
      select l.xid, coalesce({at}, clock_timestamp()) as at from (select distinct c.xid from changed c) l),
    counted as (
      select t.at, o.name as operation, o.rows, 1::bigint as transactions
        from changed c join timed t on t.xid = c.xid and t.at >= c.lower and t.at < c.upper
       cross join lateral (values ('INSERT', c.inserts), ('UPDATE', c.updates), ('DELETE', c.deletes)) o (name, rows)
       where o.rows > 0
      union all
      select s.minute, s.operation, s.rows, s.transactions from m23.change_sums s
       where s.tenant_id = $8 and s.table_id = {table} and s.minute >= $4 and s.minute < $5
         and ($7 is null or s.actor = $7))
    select ($6)[width_bucket(c.at, $6)], {name}::text, c.operation, sum(c.rows)::bigint, sum(c.transactions)::bigint
      from counted c group by 1, 3$sql$,
    'counted', m23.counted_changes(), 'pruned', quote_literal(p_table.pruned_below), 'at', m23.committed_at(),
    'table', p_table.id::text, 'name', quote_literal(m23.public_name(p_table.relid)),
    'entries', (
      select string_agg(m23.fill($sql$
        select l.xid, l.op, l.actor, {lower} as lower, {upper} as upper from {log} l
         where l.tenant_id = {tenant} and {visible}
           and l.xid >= {first} and ({beyond} is null or l.xid < {beyond})$sql$,
        'log', s.log, 'tenant', m23.tenant_value(p_table, '$1'), 'lower', s.lower, 'upper', s.upper,
        'first', quote_literal(coalesce(s.first, '0')) || '::xid8', 'beyond', quote_nullable(s.beyond) || '::xid8',
        'visible', s.visible), ' union all ')
        from m23.stretches_to_read(p_table, p_tenant, v_parts, p_since, p_until, p_from, p_to) s));
end $outer$;

-- What has to be read of a log for a histogram: each stretch with the times that it is read for, and transactions that
-- can have been committed then.
create function m23.stretches_to_read(p_table m23.protected_tables, p_tenant text, p_parts int[], p_since timestamptz,
                                      p_until timestamptz, p_from timestamptz, p_to timestamptz)
returns table (log text, lower text, upper text, first xid8, beyond xid8, visible text)
language plpgsql stable rows 20 as $$
declare
  v_all  record := m23.transactions_between(p_since, p_until);
  v_head record := m23.transactions_between(p_since, p_from);
  v_tail record := m23.transactions_between(p_to, p_until);
begin
  return query
  with part as (
    select m23.part_name(p_table.id, p.part) as name, s.seen, pg_snapshot_xmin(s.seen) as low,
           format('pg_visible_in_snapshot(l.xid, %L)', s.seen) as is_seen
      from unnest(p_parts) p (part)
      left join m23.part_summaries s on s.table_id = p_table.id and s.part = p.part and p_from is not null)
  select p.name, '$2', '$3', v_all.first, v_all.beyond, 'true' from part p where p.seen is null
  union all
  select p.name, '$2', '$3', greatest(v_all.first, p.low), v_all.beyond, 'not ' || p.is_seen
    from part p where p.seen is not null
  union all
  select p.name, '$2', '$4', v_head.first, v_head.beyond, p.is_seen
    from part p where p.seen is not null and p_since < p_from
  union all
  select p.name, '$5', '$3', v_tail.first, v_tail.beyond, p.is_seen
    from part p where p.seen is not null and p_to < p_until
  union all
  select m23.parts_as_log(p_table.id, '{}', p_parts, p_tenant, v_all.first), '$2', '$3', v_all.first, v_all.beyond,
         'true';
end $$;
