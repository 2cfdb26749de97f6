-- Makes the summary of a sealed part, and its index by key. It waits for no lock: what somebody alters meanwhile is
-- summarized the next time.
create function m23.summarize_part(p_table m23.protected_tables, p_part int) returns boolean
language plpgsql volatile set lock_timeout = '200ms' as $$
declare
  v_keyed boolean := m23.index_part(p_table, p_part);
  v_seen  pg_snapshot := m23.current_position();
begin
  insert into m23.part_summaries (table_id, part, seen, keyed) values (p_table.id, p_part, v_seen, v_keyed);
  execute m23.fill($sql$
    with changed as materialized (
      select l.tenant_id::text as tenant_id, l.xid, l.actor, l.source, {counted}
        from {part} l
       where pg_visible_in_snapshot(l.xid, $3) and (l.op <> 'a' or l.xid >= {pruned})
       group by l.tenant_id, l.xid, l.actor, l.source),
    timed as materialized (
      select l.xid, coalesce({at}, clock_timestamp()) as at from (select distinct c.xid from changed c) l),
    ranked as (
      select c.*, t.at, sum(c.inserts + c.updates + c.deletes) over one as rows,
             dense_rank() over (partition by c.tenant_id order by c.inserts + c.updates + c.deletes desc, c.xid) as nth,
             dense_rank() over (partition by c.tenant_id order by c.deletes desc, c.xid) as nth_by_deletes
        from changed c join timed t on t.xid = c.xid
       where c.inserts + c.updates + c.deletes > 0
      window one as (partition by c.tenant_id, c.xid)),
    summed as (
      insert into m23.change_sums (table_id, part, n, tenant_id, minute, operation, actor, rows, transactions)
        select $1, $2, row_number() over (), r.tenant_id, date_trunc('minute', r.at), o.name, r.actor, sum(o.rows),
               count(distinct r.xid)
          from ranked r
         cross join lateral (values ('INSERT', r.inserts), ('UPDATE', r.updates), ('DELETE', r.deletes)) o (name, rows)
         where o.rows > 0 group by r.tenant_id, date_trunc('minute', r.at), o.name, r.actor)
    insert into m23.large_transactions (table_id, part, n, tenant_id, xid, at, actor, inserts, updates, deletes,
                                       source)
      select $1, $2, row_number() over (), r.tenant_id, r.xid, r.at, r.actor, r.inserts, r.updates, r.deletes, r.source
        from ranked r where r.rows >= 10 or r.nth <= 100 or r.nth_by_deletes <= 100$sql$,
    'counted', m23.counted_changes(), 'part', m23.part_name(p_table.id, p_part),
    'pruned', quote_literal(p_table.pruned_below), 'at', m23.committed_at())
    using p_table.id, p_part, v_seen;
  return true;
exception when lock_not_available or deadlock_detected or undefined_table then
  return false;
end $$;
