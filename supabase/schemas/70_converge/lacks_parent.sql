-- The condition that a planned row `d` comes to refer to a row that there will not be. One of the tenant's
-- that was left, because another tenant has its key now, is none either: nothing is hung on that tenant's row.
-- It is a set of places, found by joins: a condition with OR would be asked of one row after the other. What is null
-- (of a table that is not planned) falls away.
create function m23.lacks_parent(
  p_tenant text, p_targets m23.target[], p_target m23.target, p_key pg_constraint
) returns text
language plpgsql stable as $$
declare
  v_parent m23.target := m23.planned_target(p_targets, p_key.confrelid);
  v_comes  text := m23.planned_rows((v_parent).tbl, p_key.confrelid, '<>');
  v_goes   text := m23.diff_name((v_parent).tbl);
  v_left   text := to_regclass('pg_temp.m23_left_' || (v_parent.tbl).id);
  v_match  text := m23.refers(p_key, 'p', 'n');
  v_live   text := format('select from %s p where %s', m23.qualified_name(p_key.confrelid), v_match);
  v_needs  text := concat_ws(' and ',
    format('select n.ctid from %s n where row(%s) is not null', m23.planned_rows(p_target.tbl, p_key.conrelid, '<>'),
           m23.columns_text(p_key.conrelid, p_key.conkey, 'n')),
    format('not exists (select from %s l where %s and %s)', m23.qualified_name(p_key.conrelid),
           m23.key_match(p_key.conrelid, 'l', 'n'), m23.alike_children(p_key, 'l', 'n')),
    'not exists (select from ' || v_comes || ' p where ' || v_match || ')');
begin
  return format('d.ctid in (%s)', concat_ws(' union all ',
    format('%s and not exists (%s)', v_needs, concat_ws(' and ', v_live,
      'not exists (select from ' || v_goes || ' x where x.m23_op = ''D'' and '
        || m23.key_match(p_key.confrelid, 'x', 'p') || ')')),
    v_needs || ' and exists (select from (select * from ' || v_left || ' where m23_op <> ''D'' and '
      || m23.partition_condition(p_key.confrelid) || ') p where ' || v_match || ') and not exists (' || v_live
        || ' and '
      || m23.is_tenants(v_parent.tbl, 'p', quote_literal(p_tenant)) || ')'));
end $$;

-- The condition that a planned row `d` refers to a row of the tenant's that was left for another tenant's sake; null
-- where none was.
create function m23.hangs_on_left(p_targets m23.target[], p_target m23.target, p_key pg_constraint) returns text
language plpgsql stable as $$
declare
  v_left text := to_regclass('pg_temp.m23_left_' || ((m23.planned_target(p_targets, p_key.confrelid)).tbl).id);
begin
  if v_left is null then return null; end if;
  return format('d.ctid in (select n.ctid from %s n join (select * from %s where m23_op <> ''D'' and m23_lacks is null
                                                             and %s) p on %s)',
    m23.planned_rows(p_target.tbl, p_key.conrelid, '<>'), v_left, m23.partition_condition(p_key.confrelid),
    m23.refers(p_key, 'p', 'n'));
end $$;
