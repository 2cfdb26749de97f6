-- A sum over the planned rows of a table and those that they would replace. What live rows keep is among the latter; a
-- default or a function that fills may give another value each time.
create function m23.digest_of(p_target m23.target, p_tenant text) returns text
language plpgsql as $$
declare
  v_query text := m23.fill($sql$
    select pg_catalog.concat_ws(':', count(*), sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(
             chr(30), row(m23_d.m23_op, {columns})::text, m23_l::text), 0::bigint)::numeric))
      from {diff} m23_d left join (select * from {live} r where {is_tenants}) m23_l on {same_key}$sql$,
    'columns', (select string_agg(format('m23_d.%I', c), ', ') from unnest(p_target.columns) c
                 where c <> all (p_target.kept || m23.filled_columns(p_target.tbl))),
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'is_tenants', m23.is_tenants(p_target.tbl, 'r', quote_literal(p_tenant)),
    'same_key', m23.key_match((p_target.tbl).relid, 'm23_l', 'm23_d'));
  v_sum text;
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_sum;
  return v_sum;
end $$;
