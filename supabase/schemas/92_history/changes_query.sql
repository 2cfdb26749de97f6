-- The entries of a log that are picked ($2) of a tenant's ($1), and those of their keys since, each key's from the last
-- to the first, with the live row beside the last. Parts with an index by key are asked key by key, the others are read
-- once for all keys.
create function m23.changes_query(p_table m23.protected_tables, p_tenant text, p_pick m23.pick, p_shown boolean)
returns text
language plpgsql stable as $outer$
declare
  v_from   xid8 := m23.floor_of(coalesce(p_pick.xid, p_pick.from_xid));
  v_parts  int[] := m23.hold_parts(p_table.id, m23.parts_of(p_table.id, p_tenant, v_from));
  v_plain  text[] := m23.plain_key(p_table);
  v_keyed  int[] := array(select s.part from m23.part_summaries s
                           where s.table_id = p_table.id and s.part = any (v_parts) and s.keyed
                             and v_plain is not null order by s.part);
  v_tenant text := m23.tenant_value(p_table, '$1');
begin
  return m23.fill($sql$
    with picked as materialized (
      select l.* from {log} l where {is_picked} order by {order} limit ($2).most),
    keys as materialized (
      select {key_of_k}, min(k.m23_id) as m23_first
        from (select l.change_id as m23_id, {key_values} from picked l) k group by {key_of_k}),
    logged as materialized (
      {indexed}select l.* from {others} l
       where l.tenant_id = {tenant} and l.xid >= {from} and l.change_id >= (select min(k.m23_first) from keys k)
         and {is_among_keys}),
    entries as (
      select l.change_id as m23_id, l.xid as m23_xid, l.op as m23_op, l.actor as m23_actor,
             l.source as m23_source, l.request as m23_request, {key_values},
             coalesce(u.names, '{}') as m23_missing,
             case when l.op in ('U', 'D')
                  then (select to_jsonb(m23_v) from (select {images}) m23_v) - coalesce(u.names, '{}') end as m23_image,
             (select to_jsonb(m23_k) from (select {key}) m23_k) as m23_key,
             exists (select from picked p where p.change_id = l.change_id and p.xid = l.xid) as m23_picked
        from logged l, lateral (select {unchanged}) u (names)
       where l.op <> 'a' or l.xid >= {pruned}),
    ordered as (
      select r.*, dense_rank() over (order by {key_of_r}) as m23_key_no,
             row_number() over (partition by {key_of_r} order by r.m23_id desc) as m23_nth
        from entries r)
    select r.m23_key_no as key_no, (r.m23_id - '0/0')::bigint as id, r.m23_xid as xid,
           case when r.m23_picked then (select {at} from (select r.m23_xid as xid) l) end as at, r.m23_actor as actor,
           r.m23_op as op, case when r.m23_picked then m23.source_of(r.m23_source) end as source,
           r.m23_request as request, r.m23_key as row_key, r.m23_image as image, r.m23_missing as missing,
           r.m23_picked as picked,
           case when r.m23_nth = 1
                then (select to_jsonb(m23_t)
                        from (select {columns} from {live} t where {is_its} and {has_key}) m23_t) end as live
      from ordered r order by r.m23_key_no, r.m23_nth$sql$,
    'log', m23.parts_as_log(p_table.id, v_parts, v_parts, p_tenant, v_from),
    'is_picked', m23.pick_condition(p_table, p_pick, p_shown),
    'order', case when coalesce(p_pick.xid, p_pick.from_xid) is null or p_pick.xid is not null
                  then 'l.change_id desc' else 'l.xid desc, l.change_id desc' end,
    'key_of_k', m23.numbered_key(p_table.relid, 'k'), 'key_of_r', m23.numbered_key(p_table.relid, 'r'),
    'key_values', m23.key_values(p_table),
    'indexed', case when v_keyed = '{}' then '' else m23.fill($sql$
      select l.* from keys k cross join lateral (
        select l.* from {parts} l
         where l.tenant_id = {tenant} and l.change_id >= k.m23_first and {same_key} offset 0) l
      union all
      $sql$, 'parts', m23.parts_as_log(p_table.id, v_keyed), 'tenant', v_tenant, 'same_key', (
        select string_agg(format('l.%s operator(pg_catalog.=) k.m23_k%s', p.name, p.n), ' and ' order by p.n)
          from unnest(v_plain) with ordinality p (name, n))) end,
    'others', m23.parts_as_log(p_table.id, array(select p from unnest(v_parts) p where p <> all (v_keyed)), v_parts,
                               p_tenant, v_from),
    'tenant', v_tenant, 'from', quote_literal(v_from) || '::xid8', 'is_among_keys', m23.is_among_keys(p_table),
    'images', m23.log_images(p_table, p_shown), 'unchanged', m23.unchanged_names(p_table),
    'key', (select string_agg(format('%s as %I', m23.log_value(p_table, c, p_shown), c.name), ', ' order by c.key_ord)
              from m23.columns_of(p_table.relid, p_of_key => true) c),
    'pruned', quote_literal(p_table.pruned_below), 'at', m23.committed_at(),
    'columns', m23.select_list(p_table.relid, 't'), 'live', m23.qualified_name(p_table.relid),
    'is_its', m23.is_tenants(p_table, 't', '$1'), 'has_key', m23.has_numbered_key(p_table.relid));
end $outer$;

-- Parts of a log as a relation; with what came into others since p_known were listed, if a tenant is given.
create function m23.parts_as_log(p_table_id int, p_parts int[], p_known int[] default null, p_tenant text default null,
                                 p_from xid8 default null)
returns text
language plpgsql stable as $$
declare
  v_parts text[] := array(select 'select * from ' || m23.part_name(p_table_id, p) from unnest(p_parts) p);
begin
  if p_tenant is not null then
    v_parts := v_parts || m23.fill('select * from m23.entries_beside(null::{log}, {table}, {known}, {tenant}, {from})',
      'log', m23.log_name(p_table_id), 'table', p_table_id::text, 'known', quote_literal(p_known) || '::int[]',
      'tenant', quote_literal(p_tenant), 'from', quote_nullable(p_from) || '::xid8');
  end if;
  return format('(%s)', array_to_string(v_parts, ' union all '));
end $$;
