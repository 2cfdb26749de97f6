-- The first of a tenant's rows as of a moment by key, read in the order of an index where there is one. p_touched:
-- m23.touched_since, whose parameters it has.
create function m23.as_of_page(p_table m23.protected_tables, p_touched text, p_limit text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$with {touched}
    (select {columns} from {live} r where {is_its} and {key_after} and not {is_touched}
      order by {keys} limit {limit})
    union all
    (select {columns} from touched r
      where (exists (select from {live} t where {is_there} and {same_key}))::int - r.m23_balance = 1
      order by {keys} limit {limit})$sql$,
    variadic m23.as_of_parts(p_table, p_touched)
             || array['keys', m23.key_list(p_table.relid, 'r'), 'limit', p_limit]);
end $outer$;
