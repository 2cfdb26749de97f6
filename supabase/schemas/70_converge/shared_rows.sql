-- Rows that rows of several tenants point at (`<- orgs (settings_id)`, without a unique constraint). Whose such a row
-- is nobody can say: a restore does not change it, nor does it make one.

-- Whether rows of several tenants can point at a row of a table.
create function m23.may_be_shared(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  if p_table.parent_id is null then return false; end if;
  return not m23.is_unique((m23.parent_of(p_table)).relid, p_table.parent_attnums);
end $$;

-- The condition that a row is so, or hangs on one that is; null where its path allows none.
create function m23.is_shared(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as $outer$
declare
  v_parent m23.protected_tables := m23.parent_of(p_table);
  v_alias  text := 'm23_s' || v_parent.id;
  v_holes  text[] := array['parent', m23.qualified_name(v_parent.relid), 'alias', v_alias,
                           'is_child', m23.is_child_of(p_table, p_row, v_alias)];
  v_above  text;
begin
  if p_table.parent_id is null then return null; end if;
  if m23.may_be_shared(p_table) then
    return m23.fill('(select count(distinct {tenant}) > 1 from {parent} {alias} where {is_child})',
                    variadic v_holes || array['tenant', m23.row_tenant(v_parent, v_alias)]);
  end if;
  v_above := m23.is_shared(v_parent, v_alias);
  return case when v_above is not null
              then m23.fill('exists (select from {parent} {alias} where {is_child} and {above})',
                            variadic v_holes || array['above', v_above]) end;
end $outer$;

-- The condition that a planned row `d` would change a shared row, or one that hangs on it; null where its path allows
-- none.
create function m23.changes_shared(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
declare v_planned text := m23.is_shared(p_table, 'd');
begin
  if v_planned is null then return null; end if;
  return m23.fill($sql$(case when d.m23_op = 'D' then exists (select from {live} l where {same_key} and {is_shared})
                             else {planned} end)$sql$,
    'live', m23.qualified_name(p_table.relid), 'same_key', m23.key_match(p_table.relid, 'l', 'd'),
    'is_shared', m23.is_shared(p_table, 'l'), 'planned', v_planned);
end $outer$;

-- The conditions that a planned row `d` comes to point at a row that another tenant's points at. Such a row is left
-- alone.
create function m23.sharing_at_risk(p_tenant text, p_target m23.target)
returns table (other oid, condition text)
language plpgsql stable rows 1 as $outer$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_child m23.protected_tables;
begin
  for v_child in select c.* from m23.protected_tables c where c.parent_id = v_table.id order by c.id loop
    continue when not m23.may_be_shared(v_child);
    other := v_child.relid;
    condition := m23.fill($sql$d.m23_op <> 'D'
        and exists (select from {live} l where {as_planned} and ({is_tenants}) is not true)
        and not exists (select from {live} m where {same_key} and {as_before})$sql$,
      'live', m23.qualified_name(v_table.relid), 'same_key', m23.key_match(v_table.relid, 'm', 'd'),
      'is_tenants', m23.is_tenants(v_table, 'l', quote_literal(p_tenant)),
      'as_planned', m23.points_alike(v_table, v_child, 'l'), 'as_before', m23.points_alike(v_table, v_child, 'm'));
    return next;
  end loop;
end $outer$;

-- The condition that a live row and a planned row `d` point at the same row of another table.
create function m23.points_alike(
  p_table m23.protected_tables, p_child m23.protected_tables, p_live text
) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(m23.equalities(p_table.relid, p_child.parent_attnums, p_table.relid, p_child.parent_attnums),
                           p_live, p_table.relid, p_child.parent_attnums, 'd', p_table.relid, p_child.parent_attnums);
end $$;

-- Keeps a plan from changing shared rows: they are blocked, or left alone. Gives how many left the plan.
create function m23.keep_shared(
  p_targets m23.target[], p_target m23.target, p_on_blocked text, inout blocked text[], out moved bigint
)
language plpgsql as $$
declare
  v_condition text := m23.changes_shared(p_target.tbl);
  v_path      text;
  v_rows      bigint;
begin
  moved := 0;
  if v_condition is null then return; end if;
  v_path := m23.path_with(p_targets, p_target, (p_target.tbl).relid);
  if p_on_blocked <> 'refuse' then
    moved := m23.note_left(p_target, m23.leave_alone(p_target, v_condition, v_path));
    return;
  end if;
  v_rows := m23.number_of(v_path, format('select count(*) from %s d where %s', m23.diff_name(p_target.tbl),
                                         v_condition));
  if v_rows > 0 then
    blocked := blocked || format('%s: %s row(s) hang on rows of several tenants: give each tenant rows of its own, or '
                                 'set onBlocked: "skip" leaves these rows as they are',
                                 m23.public_name((p_target.tbl).relid), v_rows);
  end if;
end $$;
