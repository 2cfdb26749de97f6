-- A page of a planned table, by key: `{"operation", "key", "now", "then", "because"}`. Of an update only
-- the columns that differ are shown.
-- It ends where it would have more than p_bytes; with p_some it has one row at least. p_rows: a relation like the
-- plan, to be shown in its place; p_operation, p_search: only rows with that operation, or that text in a value.
create function m23.preview_rows(
  p_target m23.target, p_tenant text, p_offset int, p_limit int, p_bytes bigint, p_some boolean default false,
  p_rows text default null, p_operation text default null, p_search text default null
) returns jsonb
language plpgsql as $$
declare
  v_rows  jsonb;
  v_query text := m23.fill($sql$
    select pg_catalog.jsonb_agg(y.change order by y.n)
      from (select s.n, s.change, sum(octet_length(s.change::text) + 2) over (order by s.n) as bytes
              from (select x.n, m23.double_safe(pg_catalog.jsonb_build_object('operation', x.operation, 'key', x.key,
                             'now', case x.operation when 'insert' then null when 'delete' then x.live
                                    else m23.only_different(x.live, x.wanted) end,
                             'then', case x.operation when 'insert' then x.wanted when 'delete' then null
                                     else m23.only_different(x.wanted, x.live) end, 'because', x.because)) as change
                      from (select row_number() over (order by {key_list}) as n,
                                   {key} as key, coalesce({because}, '"chosen"') as because,
                                   case when m23_d.m23_op in ('I', 'T') then 'insert'
                                        when m23_d.m23_op = 'D' then 'delete' else 'update' end as operation,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {planned}) m23_s) as wanted,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {live_columns}) m23_s) as live
                              from {diff} m23_d
                              left join (select * from {live} r where {is_tenants}) m23_l on {same_key}
                             where {is_shown} and ($5 is null or {has_text})
                             order by {key_list} offset $1 limit $2) x offset 0) s) y
     where y.bytes <= $3 or $4 and y.n = $1 + 1$sql$,
    'key_list', m23.key_list((p_target.tbl).relid, 'm23_d'),
    'key', m23.key_object((p_target.tbl).relid, 'm23_d'), 'because', m23.because_of(p_target, 'm23_d'),
    'planned', m23.shown_columns((p_target.tbl).relid, p_target.columns, 'm23_d'),
    'live_columns', m23.shown_columns((p_target.tbl).relid, p_target.columns, 'm23_l'),
    'is_shown', case p_operation when 'insert' then 'm23_d.m23_op in (''I'', ''T'')'
                                 when 'update' then 'm23_d.m23_op in (''U'', ''R'')'
                                 when 'delete' then 'm23_d.m23_op = ''D''' else 'true' end,
    'has_text', (select format('exists (select from unnest(array[%s]) v where strpos(lower(v), lower($5)) > 0)',
                               string_agg(format('concat(m23_d.%1$I), concat(m23_l.%1$I)', c), ', '))
                   from unnest(p_target.columns) c),
    'diff', coalesce(p_rows, m23.diff_name(p_target.tbl)), 'live', m23.qualified_name((p_target.tbl).relid),
    'is_tenants', m23.is_tenants(p_target.tbl, 'r', quote_literal(p_tenant)),
    'same_key', m23.key_match((p_target.tbl).relid, 'm23_l', 'm23_d'));
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_rows using p_offset, p_limit, p_bytes, p_some, p_search;
  return coalesce(v_rows, '[]');
end $$;
