-- Transactions and how many rows of a tenant's each has changed.

create type m23.table_changes as (
  table_id int, xid xid8, at timestamptz, actor uuid, inserts bigint, updates bigint, deletes bigint,
  source bigint
);

-- A transaction as it is told.
create type m23.told_transaction as (
  xid xid8, at timestamptz, actor uuid, source text, inserts bigint, updates bigint, deletes bigint, tables text[]
);

-- Which transactions: null for all. With p_order other than time, `before_rows` is what the last one of the page before
-- was ordered by.
create type m23.transaction_filter as (
  since timestamptz, until timestamptz, first xid8, beyond xid8, actor uuid, sources bigint[], by_deletes boolean,
  before_xid xid8, before_rows bigint, most int
);

-- A filter by what callers say; the last row of the page before is p_before.
create function m23.transactions_wanted(p_since timestamptz, p_until timestamptz, p_order text, p_actor uuid,
                                        p_source text, p_limit int, p_before jsonb)
returns m23.transaction_filter
language plpgsql stable as $$
declare
  v_source record := m23.numbers_of_source(p_source);
  v_bounds record := m23.transactions_between(greatest(p_since, v_source.since), p_until);
  v_wanted m23.transaction_filter;
begin
  v_wanted.since := p_since;
  v_wanted.until := p_until;
  v_wanted.first := coalesce(v_bounds.first, '0');
  v_wanted.beyond := v_bounds.beyond;
  v_wanted.actor := p_actor;
  v_wanted.sources := case when p_source is not null then coalesce(v_source.numbers, '{}') end;
  v_wanted.by_deletes := p_order = 'deletes';
  v_wanted.before_xid := p_before ->> 'transaction_id';
  v_wanted.before_rows := (p_before ->> 'deletes')::bigint + case when p_order = 'deletes' then 0 else
    (p_before ->> 'inserts')::bigint + (p_before ->> 'updates')::bigint end;
  v_wanted.most := m23.page_size(p_limit);
  return v_wanted;
end $$;

-- What a query gives of the changes of a table; what it has opened is let go of.
create function m23.changes_given(p_query text, p_table m23.protected_tables, p_tenant text, p_from xid8, p_to xid8)
returns setof m23.table_changes
language plpgsql stable as $$
declare v_changes m23.table_changes[];
begin
  begin
    execute format('select array(select row(%s, c.xid, c.at, c.actor, c.inserts, c.updates, c.deletes, c.source)'
                   '::m23.table_changes from (%s) c)', p_table.id, p_query)
      into v_changes using p_tenant, p_from, p_to;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return query select c.* from unnest(v_changes) c;
end $$;

-- What each transaction from p_from on and below p_to (null: any) has changed in a table, without its time.
create function m23.changes_within(p_table m23.protected_tables, p_tenant text, p_from xid8, p_to xid8)
returns setof m23.table_changes
language plpgsql stable as $$
begin
  return query select * from m23.changes_given(m23.fill($sql$
    select l.xid, null::timestamptz as at, l.actor, l.source, {counted} from {log} l
     where l.tenant_id = {tenant} and l.xid >= $2 and ($3 is null or l.xid < $3)
       and (l.op <> 'a' or l.xid >= {pruned})
     group by l.xid, l.actor, l.source$sql$,
    'counted', m23.counted_changes(), 'log', m23.log_of(p_table.id, p_tenant, p_from),
    'tenant', m23.tenant_value(p_table, '$1'), 'pruned', quote_literal(p_table.pruned_below)),
    p_table, p_tenant, p_from, p_to);
end $$;

-- Changes of tables put together by transaction. Actor and source are those of most rows.
create function m23.joined_changes(p_changes m23.table_changes[]) returns setof m23.told_transaction
language plpgsql stable rows 100 as $$
begin
  return query
  select c.xid, max(c.at), (array_agg(c.actor order by c.inserts + c.updates + c.deletes desc, c.actor))[1],
         m23.source_of((array_agg(c.source order by c.inserts + c.updates + c.deletes desc, c.source))[1]),
         sum(c.inserts)::bigint, sum(c.updates)::bigint, sum(c.deletes)::bigint,
         array(select m23.public_name(t.relid) from m23.protected_tables t
                where t.id = any (array_agg(c.table_id)) order by 1)
    from unnest(p_changes) c group by c.xid having sum(c.inserts + c.updates + c.deletes) > 0;
end $$;

-- The changes of the transactions in which the actor that is wanted has changed something, from a source that is.
create function m23.wanted_changes(p_changes m23.table_changes[], p_wanted m23.transaction_filter)
returns m23.table_changes[]
language plpgsql stable as $$
begin
  if p_wanted.actor is null and p_wanted.sources is null then return p_changes; end if;
  return array(select c from unnest(p_changes) c
                where c.xid in (select o.xid from unnest(p_changes) o
                                 where (p_wanted.actor is null or o.actor = p_wanted.actor)
                                   and (p_wanted.sources is null or o.source = any (p_wanted.sources))));
end $$;

-- With the time of each, within the range. Times are looked up for as many as are given.
create function m23.timed_transactions(p_found m23.told_transaction[], p_wanted m23.transaction_filter)
returns setof m23.told_transaction
language plpgsql stable rows 100 as $$
begin
  return query execute m23.fill($sql$
    select x.xid, x.at, coalesce(($2).actor, x.actor), x.source, x.inserts, x.updates, x.deletes, x.tables
      from (select l.xid, coalesce(l.at, {at}, clock_timestamp()) as at, l.actor, l.source,
                   l.inserts, l.updates, l.deletes, l.tables
              from (select * from unnest($1) with ordinality
                           u (xid, at, actor, source, inserts, updates, deletes, tables, n) order by u.n offset 0) l
            offset 0) x
     where (($2).since is null or x.at >= ($2).since) and (($2).until is null or x.at < ($2).until)
     limit ($2).most$sql$,
    'at', m23.committed_at()) using p_found, p_wanted;
end $$;
