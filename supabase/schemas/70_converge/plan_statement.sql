-- The statement that plans a table: wanted rows `w` against live rows `l`, in one statement and so of one moment. It
-- takes the parameters of m23.touched_since. One that wants all of the table's columns, and keeps none of them as they
-- are, is written already (m23.table_statements).
create function m23.plan_statement(p_target m23.target, p_tenant text, p_lock boolean) returns text
language plpgsql volatile as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_whole boolean := p_target.kept = '{}' and p_target.columns = m23.stored_columns(v_table.relid);
  v_log   text;
begin
  if p_target.wanted is not null then
    return case when v_whole then m23.statement(v_table, 'plan_staged', 'wanted', p_target.wanted)
                else m23.plan_staged(p_target, p_target.wanted) end;
  end if;
  v_log := m23.log_of(v_table.id, p_tenant, (p_target.moment).floor);
  if p_lock then
    return case when v_whole then m23.statement(v_table, 'plan_moment_locking', 'log', v_log,
                                                'lock', m23.lock_to_change(v_table))
                else m23.plan_moment_locking(p_target, m23.touched_since(v_table, v_log),
                                              m23.lock_to_change(v_table)) end;
  end if;
  return case when v_whole then m23.statement(v_table, 'plan_moment', 'log', v_log)
              else m23.plan_moment(p_target, m23.touched_since(v_table, v_log)) end;
end $$;

-- What every such statement says of its table. p_is_wanted: the condition that there is a wanted row; it is not null
-- where a column looks like no row.
create function m23.plan_parts(p_target m23.target, p_is_wanted text) returns text[]
language plpgsql stable as $$
declare v_values text[] := m23.wanted_values(p_target);
begin
  return array[
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid), 'is_wanted', p_is_wanted,
    'fixed_differ', coalesce(m23.fixed_differ(p_target, 'w'), 'false'),
    'values', (select string_agg(format('case when %s then %s else l.%I end', p_is_wanted, v_values[n], c), ', '
                                 order by n) from unnest(p_target.columns) with ordinality u (c, n)),
    'differs', m23.differs(p_target.tbl, p_target.columns, v_values)];
end $$;
