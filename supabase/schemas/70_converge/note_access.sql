-- Notes, among the warnings of a plan, whose access it changes: for each table that says who has access, or looks as if
-- it did. It is asked before the plan is carried out.
create function m23.note_access(p_tenant text, p_targets m23.target[]) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_said   text[];
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    continue when not m23.is_access_table((v_target.tbl).relid)
                  and m23.likeness_to_access((v_target.tbl).relid) is null;
    v_said := m23.access_changes(v_target, p_tenant);
    update m23.plan p set warnings = p.warnings || format('%s: access changes: %s%s', p.name,
           array_to_string(v_said[1:20], ', '), ' and ' || nullif(greatest(cardinality(v_said) - 20, 0), 0) || ' more')
     where p.table_id = (v_target.tbl).id and v_said <> '{}';
  end loop;
end $$;

-- Whose access a plan changes, each as `who: before → after`: by user and role, as far as the table has such columns;
-- else by its key, and `access`.
create function m23.access_changes(p_target m23.target, p_tenant text) returns text[]
language plpgsql as $$
declare
  v_relid oid := (p_target.tbl).relid;
  v_said  text[];
begin
  perform set_config('search_path', p_target.path, true);
  execute m23.fill($q$
    select coalesce(array_agg(format('%s: %s → %s', a.who, coalesce(a.before, 'none'), coalesce(a.after, 'none'))
                              order by a.who, a.before, a.after), '{none}')
      from (select c.who, c.before, c.after
              from {diff} d left join {live} l on {same_key} and {is_tenants} and d.m23_op not in ('I', 'T')
             cross join lateral (
               values ({live_who}, {live_role}, case when {same_who} then {planned_role} end, {was} and not {same_who}),
                      ({planned_who}, case when {same_who} then {live_role} end, {planned_role}, {comes})
             ) c (who, before, after, counts)
             where c.counts and c.before is distinct from c.after) a$q$,
    'none', '{}', 'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name(v_relid),
    'same_key', m23.key_match(v_relid, 'l', 'd'),
    'is_tenants', m23.is_tenants(p_target.tbl, 'l', quote_literal(p_tenant)),
    'live_who', m23.who_has_access(v_relid, 'l'), 'planned_who', m23.who_has_access(v_relid, 'd'),
    'live_role', m23.role_of_access(v_relid, 'l'), 'planned_role', m23.role_of_access(v_relid, 'd'),
    'same_who', format('(d.m23_op in (''U'', ''R'') and %s is not distinct from %s)',
                       m23.who_has_access(v_relid, 'l'), m23.who_has_access(v_relid, 'd')),
    'was', 'd.m23_op in (''D'', ''U'', ''R'')', 'comes', 'd.m23_op <> ''D''') into v_said;
  return v_said;
end $$;

-- The expression of who gets access by a row.
create function m23.who_has_access(p_relid oid, p_row text) returns text
language plpgsql stable as $$
declare v_user text := m23.user_column(p_relid);
begin
  return (select format('concat_ws('' '', %s)', string_agg(format('%s.%I', p_row, c), ', ' order by n))
            from unnest(case when v_user is null then m23.key_of(p_relid) else array[v_user] end)
                 with ordinality u (c, n));
end $$;

-- The expression of the role that a row gives.
create function m23.role_of_access(p_relid oid, p_row text) returns text
language plpgsql stable as $$
begin
  return case when m23.role_column(p_relid) is null then '''access'''
              else format('coalesce(%s.%I::text, ''access'')', p_row, m23.role_column(p_relid)) end;
end $$;
