-- How far the numbers of a sequence go in a column that has them within a text, as by 'INV-' || nextval(…): of the
-- numbers that a value could hold, the last one that gives the same value again.
create function m23.furthest_within(p_rows text, p_path text, p_feed m23.feed, p_sequence pg_sequence) returns numeric
language plpgsql as $$
begin
  return m23.number_of(p_path, m23.fill($sql$
    select c.n from (
        select n.n, v.v from (select {column}::{type}::text as v from {rows}) v, lateral (
               select distinct right(m.digits[1], k)::numeric as n
                 from regexp_matches(v.v, '[0-9]+', 'g') m (digits), generate_series(1, length(m.digits[1])) k) n
         where n.n between {least} and {greatest} order by n.n {order} offset 0) c
     where ({before}(c.n::bigint){after})::{type}::text = c.v limit 1$sql$,
    'column', quote_ident(p_feed.column_name), 'type', p_feed.type_name, 'rows', p_rows,
    'least', p_sequence.seqmin::text, 'greatest', p_sequence.seqmax::text,
    'order', case when p_sequence.seqincrement > 0 then 'desc' else 'asc' end,
    'before', p_feed.around[1], 'after', p_feed.around[2]));
exception when data_exception then return null;  -- a number that the default was not made for
end $$;
