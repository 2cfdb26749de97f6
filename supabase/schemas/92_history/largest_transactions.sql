-- A tenant's transactions by the rows that they have changed, or deleted, the largest first. Parts with a summary tell
-- of their large ones, and of their hundred largest; the others are read. What a transaction has changed in a part with
-- a summary, without being large there, is looked up for those that are given.
create function m23.largest_transactions(p_tenant text, p_wanted m23.transaction_filter)
returns setof m23.told_transaction
language plpgsql stable as $$
declare
  v_tables  m23.protected_tables[] := array(select t from m23.tables_with_entries(null, p_tenant, p_wanted.first) t);
  v_changes m23.table_changes[] := array(
    select c from unnest(v_tables) t cross join lateral (
      select * from m23.summarized_changes(t, p_tenant, p_wanted)
      union all
      select * from m23.open_changes(t, p_tenant, p_wanted.first, p_wanted.beyond)) c);
  v_found   m23.told_transaction[];
begin
  v_found := array(
    select t from m23.timed_transactions(array(
      select m23.ranked_transaction(r.xid, r.at)
        from (select c.xid, max(c.at) as at,
                     sum(c.deletes + case when p_wanted.by_deletes then 0 else c.inserts + c.updates end) as rows
                from unnest(m23.wanted_changes(v_changes, p_wanted)) c group by c.xid) r
       where r.rows > 0 and (p_wanted.before_rows is null
                             or (r.rows, r.xid) < (p_wanted.before_rows, p_wanted.before_xid))
       order by r.rows desc, r.xid desc), p_wanted) t);
  v_changes := array(select c from unnest(v_changes) c
                      where c.xid in (select f.xid from unnest(v_found) f))
    || array(select c from unnest(v_tables) t
              cross join lateral m23.small_changes(t, p_tenant, array(select f.xid from unnest(v_found) f)) c);
  return query
    select f.xid, f.at, coalesce(f.actor, j.actor), j.source, j.inserts, j.updates, j.deletes, j.tables
      from unnest(v_found) with ordinality f (xid, at, actor, source, inserts, updates, deletes, tables, n)
      join m23.joined_changes(v_changes) j on j.xid = f.xid order by f.n;
end $$;

-- A transaction of which only the number, and perhaps the time, is known yet.
create function m23.ranked_transaction(p_xid xid8, p_at timestamptz) returns m23.told_transaction
language sql immutable as
$$ select p_xid, p_at, null::uuid, null::text, null::bigint, null::bigint, null::bigint, null::text[] $$;

-- The large transactions of a table's parts with a summary.
create function m23.summarized_changes(p_table m23.protected_tables, p_tenant text, p_wanted m23.transaction_filter)
returns setof m23.table_changes
language plpgsql stable as $$
declare v_tenant text := m23.logged_tenant(p_table, p_tenant);
begin
  return query
  select g.table_id, g.xid, g.at, g.actor, g.inserts, g.updates, g.deletes, g.source from m23.large_transactions g
   where g.tenant_id = v_tenant and g.table_id = p_table.id
     and (p_wanted.since is null or g.at >= p_wanted.since) and (p_wanted.until is null or g.at < p_wanted.until);
end $$;

-- What no summary has, of transactions from p_from on and below p_to: the parts without one, and what came late into
-- the others.
create function m23.open_changes(p_table m23.protected_tables, p_tenant text, p_from xid8, p_to xid8)
returns setof m23.table_changes
language plpgsql stable as $$
begin
  return query select * from m23.changes_given(m23.fill($sql$
    select l.xid, null::timestamptz as at, l.actor, l.source, {counted} from {open} l
     where l.tenant_id = {tenant} and l.xid >= $2 and ($3 is null or l.xid < $3)
       and (l.op <> 'a' or l.xid >= {pruned})
     group by l.xid, l.actor, l.source$sql$,
    'counted', m23.counted_changes(), 'open', m23.unsummarized_log(p_table, p_tenant, p_from),
    'tenant', m23.tenant_value(p_table, '$1'), 'pruned', quote_literal(p_table.pruned_below)),
    p_table, p_tenant, p_from, p_to);
end $$;

-- A table's entries that are in no summary, as a relation.
create function m23.unsummarized_log(p_table m23.protected_tables, p_tenant text, p_from xid8) returns text
language plpgsql stable as $$
declare v_parts int[] := m23.hold_parts(p_table.id, m23.parts_of(p_table.id, p_tenant, p_from));
begin
  return (
    select format('(%s)', string_agg(q.query, ' union all ' order by q.n))
      from (select p.part as n, 'select * from ' || m23.part_name(p_table.id, p.part)
                     || case when s.part is null then '' else
                          format(' l where l.tenant_id = %s and l.xid >= %L and not pg_visible_in_snapshot(l.xid, %L)',
                                 m23.tenant_value(p_table, '$1'), pg_snapshot_xmin(s.seen), s.seen) end as query
              from unnest(v_parts) p (part)
              left join m23.part_summaries s on s.table_id = p_table.id and s.part = p.part
            union all
            select null, format('select * from m23.entries_beside(null::%s, %s, %L::int[], %L, %L::xid8)',
                                m23.log_name(p_table.id), p_table.id, v_parts, p_tenant, p_from)) q);
end $$;

-- What transactions have changed in parts with a summary in which they are not large.
create function m23.small_changes(p_table m23.protected_tables, p_tenant text, p_xids xid8[])
returns setof m23.table_changes
language plpgsql stable as $$
declare
  v_parts int[] := array(select s.part from m23.part_summaries s
                          where s.table_id = p_table.id
                            and s.part = any (m23.parts_of(p_table.id, p_tenant,
                                                           (select min(x) from unnest(p_xids) x))));
  v_query text;
begin
  v_parts := m23.hold_parts(p_table.id, v_parts);
  if v_parts = '{}' or p_xids = '{}' then return; end if;
  v_query := (
    select string_agg(m23.fill($sql$
      select l.xid, null::timestamptz as at, l.actor, l.source, {counted}
        from (select x.xid from unnest({xids}::xid8[]) x (xid)
               where not exists (select from m23.large_transactions g
                                  where g.table_id = {table} and g.part = {number} and g.xid = x.xid)) x
       cross join lateral (select l.* from {part} l where l.tenant_id = {tenant} and l.xid = x.xid offset 0) l
       where pg_visible_in_snapshot(l.xid, {seen}) group by l.xid, l.actor, l.source$sql$,
      'counted', m23.counted_changes(), 'xids', quote_literal(p_xids), 'table', p_table.id::text,
      'number', s.part::text, 'part', m23.part_name(p_table.id, s.part), 'tenant', m23.tenant_value(p_table, '$1'),
      'seen', quote_literal(s.seen) || '::pg_snapshot'), ' union all ')
      from m23.part_summaries s where s.table_id = p_table.id and s.part = any (v_parts));
  return query select * from m23.changes_given(v_query, p_table, p_tenant, null, null);
end $$;
