-- What a plan takes away: rows that would go or get other values, by who has written them after the moment, and from
-- where. The entries of the log that the plan has read say it. A row that two have written counts for both. Who has
-- written what the log does not know, and all beyond the hundred with most rows, are told as one: nobody in particular.

create type m23.writers_rows as (table_name text, actor uuid, source bigint, row_count bigint);

-- Such a share, by its fields.
create function m23.new_writers_rows(p_table text, p_actor uuid, p_source bigint, p_rows bigint)
returns m23.writers_rows
language plpgsql immutable as $$
declare v_share m23.writers_rows;
begin
  v_share.table_name := p_table;
  v_share.actor := p_actor;
  v_share.source := p_source;
  v_share.row_count := p_rows;
  return v_share;
end $$;

-- Of all targets, as a list of `{"actor", "source", "tables", "rows"}`, most rows first.
create function m23.rows_lost(p_tenant text, p_targets m23.target[]) returns jsonb
language plpgsql as $$
declare
  v_target m23.target;
  v_rows   m23.writers_rows[] := '{}';
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    continue when not exists (select from m23.plan p
                               where p.table_id = (v_target.tbl).id and p.updates + p.deletes > 0);
    v_rows := v_rows || m23.rows_lost_of(p_tenant, v_target);
  end loop;
  return (
    with writers as (
      select r.actor, r.source, sum(r.row_count) as rows,
             row_number() over (order by sum(r.row_count) desc, r.actor, r.source) as nth
        from unnest(v_rows) r group by r.actor, r.source)
    select coalesce(jsonb_agg(jsonb_build_object('actor', t.actor, 'source', t.source, 'tables', t.tables,
                                                 'rows', t.rows) order by t.rows desc, t.actor, t.source), '[]')
      from (select n.actor, m23.source_of(n.source) as source, array_agg(distinct r.table_name) as tables,
                   sum(r.row_count) as rows
              from unnest(v_rows) r
              join writers w on (w.actor, w.source) is not distinct from (r.actor, r.source)
             cross join lateral (select case when w.nth <= 100 then w.actor end,
                                        case when w.nth <= 100 then w.source end) n (actor, source)
             group by n.actor, m23.source_of(n.source)) t);
end $$;

-- Of one table.
create function m23.rows_lost_of(p_tenant text, p_target m23.target) returns m23.writers_rows[]
language plpgsql as $outer$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_floor xid8 := (p_target.moment).floor;
  v_query text := m23.fill($sql$
    with keys as materialized (select {diff_keys} from {diff} d where d.m23_op in ('U', 'R', 'D')),
    later as materialized (
      select x.xid from (select distinct l.xid from {log} l where l.tenant_id = {tenant} and l.xid >= ($2).floor) x
       where {lies_after}),
    told as materialized (
      select distinct {key_of_e}, e.m23_actor, e.m23_source
        from (select {key_values}, l.actor as m23_actor, l.source as m23_source from {log} l
               where l.tenant_id = {tenant} and l.xid >= ($2).floor and l.op in ('I', 'U', 'n', 'a')
                 and l.xid in (select xid from later) and {is_among_keys}) e)
    select pg_catalog.array_agg(m23.new_writers_rows($3, c.m23_actor, c.m23_source, c.n)) from (
      select t.m23_actor, t.m23_source, pg_catalog.count(*) as n from told t group by 1, 2
      union all
      select null, null, pg_catalog.count(*)
        from (select {key_of_k} from keys k except select {key_of_t} from told t) r
      having pg_catalog.count(*) > 0) c$sql$,
    'diff_keys', (select string_agg(format('d.%I as m23_k%s', c.name, c.key_ord), ', ' order by c.key_ord)
                    from m23.columns_of(v_table.relid, p_of_key => true) c),
    'diff', m23.diff_name(v_table),
    'log', case when v_floor is null then format('(select * from %s where false)', m23.log_name(v_table.id))
                else m23.log_of(v_table.id, p_tenant, v_floor) end,
    'tenant', m23.tenant_value(v_table, '$1'), 'lies_after', m23.lies_after('x.xid'),
    'key_of_e', m23.numbered_key(v_table.relid, 'e'), 'key_of_k', m23.numbered_key(v_table.relid, 'k'),
    'key_of_t', m23.numbered_key(v_table.relid, 't'), 'key_values', m23.key_values(v_table),
    'is_among_keys', m23.is_among_keys(v_table));
  v_rows  m23.writers_rows[];
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_rows using p_tenant, p_target.moment, m23.public_name(v_table.relid);
  return coalesce(v_rows, '{}');
end $outer$;
