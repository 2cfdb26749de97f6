-- A tenant's rows as of a moment, with the parameters of m23.touched_since; with a limit the
-- first ones by key, read in the order of an index where there is one.
create function m23.as_of_query(
  p_table m23.protected_tables, p_log text, p_limit int default null,
  p_moment text default '$2', p_after text default '$3'
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$with {touched}
    (select {columns} from {live} r where {is_its} and {key_after} and not {is_touched} {limit})
    union all
    (select {columns} from touched r
      where (exists (select from {live} t where {is_there} and {same_key}))::int - r.m23_balance = 1 {limit})$sql$,
    'touched', m23.touched_since(p_table, p_log, p_moment, p_after),
    'columns', m23.select_list(p_table.relid, 'r'), 'live', m23.qualified_name(p_table.relid),
    'is_its', m23.belongs_to(p_table, 'r', '$1'), 'is_there', m23.is_there(p_table, 't', '$1'),
    'key_after', m23.key_after(p_table.relid, p_after),
    'is_touched', m23.key_in(p_table.relid, 'r', 'touched'),
    'same_key', m23.key_match(p_table.relid, 't', 'r'),
    'limit', case when p_limit is null then ''
                  else format('order by %s limit %s', m23.key_list(p_table.relid, 'r'), p_limit) end);
end $outer$;
