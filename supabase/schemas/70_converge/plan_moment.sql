-- Plans a table as of a moment. Only keys that have changed since are looked at, so that it takes the time of the
-- changes, not of the table. p_touched: m23.touched_since, whose parameters it has.
create function m23.plan_moment(p_target m23.target, p_touched text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into {diff} with {touched}
      select case when not {is_wanted} then 'D' when l.m23_place is null then 'I' when {fixed_differ} then 'R'
                  else 'U' end,
             l.m23_place, {values}
        from touched w
        left join (select ctid as m23_place, r.* from {live} r where {is_its}) l on {same_key}
       where {is_wanted} <> (l.m23_place is not null) or {is_wanted} and {differs}$sql$,
    variadic m23.plan_parts(p_target, '((l.m23_place is not null)::int - w.m23_balance = 1)') || array[
      'touched', p_touched, 'is_its', m23.is_tenants(p_target.tbl, 'r', '$1'),
      'same_key', m23.key_match((p_target.tbl).relid, 'w', 'l')]);
end $outer$;
