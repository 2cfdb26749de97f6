-- The statement that plans a table: wanted rows `w` against live rows `l`, in one statement and so of one moment.
-- For the log's wanted rows only keys that have changed since are looked at, so that it takes the time of the
-- changes, not of the table; with p_lock their live rows are taken as they are read, without waiting (m23.lock_rows
-- says why). It takes the parameters of m23.touched_since.
create function m23.plan_statement(p_target m23.target, p_tenant text, p_lock boolean) returns text
language plpgsql as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_logged boolean := p_target.wanted is null;
  v_takes  boolean := v_logged and p_lock;
  -- null where there is no live row; a composite key can look like it
  v_key    text := quote_ident(m23.tenant_column(v_table));
  v_values text[] := m23.wanted_values(p_target);
  v_there  text := case when v_logged then format('((l.%s is not null)::int - w.m23_balance = 1)', v_key)
                        else format('(w.%s is not null)', v_key) end;
begin
  return format('insert into %1$s %2$s
      select case when not %3$s then ''D'' when l.%4$s is null then ''I'' when %5$s then ''R'' else ''U'' end,
             l.m23_place, %6$s
        from %7$s w
        %8$s join %14$s (select ctid as m23_place, r.* from %9$s r where %10$s %13$s) l on %11$s
       where %3$s <> (l.%4$s is not null) or %3$s and %12$s',
    m23.diff_name(v_table),
    case when v_logged
         then 'with ' || m23.touched_since(v_table, m23.log_of(v_table.id, p_tenant, (p_target.moment).floor)) end,
    v_there, v_key, coalesce(m23.fixed_differ(p_target, 'w'), 'false'),
    (select string_agg(format('case when %s then %s else l.%I end', v_there, v_values[n], c), ', ' order by n)
       from unnest(p_target.columns) with ordinality u (c, n)),
    case when v_logged then 'touched' else format('(%s)', p_target.wanted) end,
    case when v_logged then 'left' else 'full' end,
    m23.qualified_name(v_table.relid),
    case when v_logged then m23.is_tenants(v_table, 'r', '$1')
         else m23.belongs_to(v_table, 'r', '$1') end,
    case when v_takes then 'true' else m23.key_match(v_table.relid, 'w', 'l') end,
    m23.differs(v_table, p_target.columns, v_values),
    case when v_takes
         then format('and %s for %s nowait', m23.key_match(v_table.relid, 'w', 'r'), m23.lock_to_change(v_table)) end,
    case when v_takes then 'lateral' end);
end $$;
