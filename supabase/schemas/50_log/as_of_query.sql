-- A tenant's rows as of a moment. p_touched: m23.touched_since, whose parameters it has.
create function m23.as_of_query(p_table m23.protected_tables, p_touched text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$with {touched}
    (select {columns} from {live} r where {is_its} and {key_after} and not {is_touched})
    union all
    (select {columns} from touched r
      where (exists (select from {live} t where {is_there} and {same_key}))::int - r.m23_balance = 1)$sql$,
    variadic m23.as_of_parts(p_table, p_touched));
end $outer$;

-- What both queries as of a moment say of a table.
create function m23.as_of_parts(p_table m23.protected_tables, p_touched text) returns text[]
language plpgsql stable as $$
begin
  return array[
    'touched', p_touched,
    'columns', m23.select_list(p_table.relid, 'r'), 'live', m23.qualified_name(p_table.relid),
    'is_its', m23.belongs_to(p_table, 'r', '$1'), 'is_there', m23.is_there(p_table, 't', '$1'),
    'key_after', m23.key_after(p_table.relid),
    'is_touched', m23.key_in(p_table.relid, 'r', 'touched'),
    'same_key', m23.key_match(p_table.relid, 't', 'r')];
end $$;
