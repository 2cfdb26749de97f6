-- The same as m23.plan_moment; the live rows are taken as they are read, without waiting (m23.lock_rows says why).
-- p_lock: how.
create function m23.plan_moment_locking(p_target m23.target, p_touched text, p_lock text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into {diff} with {touched}
      select case when not {is_wanted} then 'D' when l.m23_place is null then 'I' when {fixed_differ} then 'R'
                  else 'U' end,
             l.m23_place, {values}
        from touched w
        left join lateral (select ctid as m23_place, r.* from {live} r
                            where {is_its} and {same_key} for {lock} nowait) l on true
       where {is_wanted} <> (l.m23_place is not null) or {is_wanted} and {differs}$sql$,
    variadic m23.plan_parts(p_target, '((l.m23_place is not null)::int - w.m23_balance = 1)') || array[
      'touched', p_touched, 'is_its', m23.is_tenants(p_target.tbl, 'r', '$1'),
      'same_key', m23.key_match((p_target.tbl).relid, 'w', 'r'), 'lock', p_lock]);
end $outer$;
