-- The statement that plans a table: wanted rows `w` against live rows `l`, in one statement and so of one moment.
-- For the log's wanted rows only keys that have changed since are looked at, so that it takes the time of the
-- changes, not of the table; with p_lock their live rows are taken as they are read, without waiting (m23.lock_rows
-- says why). It takes the parameters of m23.touched_since.
create function m23.plan_statement(p_target m23.target, p_tenant text, p_lock boolean) returns text
language plpgsql as $outer$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_logged boolean := p_target.wanted is null;
  v_takes  boolean := v_logged and p_lock;
  v_values text[] := m23.wanted_values(p_target);
  -- null where there is no row: a column can look like it
  v_there  text := case when v_logged then '((l.m23_place is not null)::int - w.m23_balance = 1)'
                        else '(w.m23_wanted is not null)' end;
begin
  return m23.fill($sql$insert into {diff} {touched}
      select case when not {is_wanted} then 'D' when l.m23_place is null then 'I' when {fixed_differ} then 'R'
                  else 'U' end,
             l.m23_place, {values}
        from {wanted} w
        {join} (select ctid as m23_place, r.* from {live} r where {is_its} {lock}) l on {same_key}
       where {is_wanted} <> (l.m23_place is not null) or {is_wanted} and {differs}$sql$,
    'diff', m23.diff_name(v_table),
    'touched', case when v_logged then 'with ' || m23.touched_since(
                 v_table, m23.log_of(v_table.id, p_tenant, (p_target.moment).floor)) else '' end,
    'is_wanted', v_there, 'fixed_differ', coalesce(m23.fixed_differ(p_target, 'w'), 'false'),
    'values', (select string_agg(format('case when %s then %s else l.%I end', v_there, v_values[n], c), ', ' order by n)
                 from unnest(p_target.columns) with ordinality u (c, n)),
    'wanted', case when v_logged then 'touched'
                   else format('(select true as m23_wanted, w.* from (%s) w)', p_target.wanted) end,
    'join', case when v_takes then 'left join lateral' when v_logged then 'left join' else 'full join' end,
    'live', m23.qualified_name(v_table.relid),
    'is_its', case when v_logged then m23.is_tenants(v_table, 'r', '$1') else m23.belongs_to(v_table, 'r', '$1') end,
    'lock', case when v_takes then format('and %s for %s nowait', m23.key_match(v_table.relid, 'w', 'r'),
                                          m23.lock_to_change(v_table)) else '' end,
    'same_key', case when v_takes then 'true' else m23.key_match(v_table.relid, 'w', 'l') end,
    'differs', m23.differs(v_table, p_target.columns, v_values));
end $outer$;
