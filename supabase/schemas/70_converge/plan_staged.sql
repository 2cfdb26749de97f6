-- Plans a table by the rows of a query. p_wanted: the query.
create function m23.plan_staged(p_target m23.target, p_wanted text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into {diff}
      select case when not {is_wanted} then 'D' when l.m23_place is null then 'I' when {fixed_differ} then 'R'
                  else 'U' end,
             l.m23_place, {values}
        from (select true as m23_wanted, w.* from ({wanted}) w) w
        full join (select ctid as m23_place, r.* from {live} r where {is_its}) l on {same_key}
       where {is_wanted} <> (l.m23_place is not null) or {is_wanted} and {differs}$sql$,
    variadic m23.plan_parts(p_target, '(w.m23_wanted is not null)') || array[
      'wanted', p_wanted, 'is_its', m23.belongs_to(p_target.tbl, 'r', '$1'),
      'same_key', m23.key_match((p_target.tbl).relid, 'w', 'l')]);
end $outer$;
