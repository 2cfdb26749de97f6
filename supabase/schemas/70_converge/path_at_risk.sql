-- The condition that a planned row `d` would be another tenant's: by its path it refers to a parent that is there, is
-- not the tenant's, and does not become so. Such a row is left alone. No foreign key is broken by it.
create function m23.path_at_risk(
  p_tenant text, p_targets m23.target[], p_target m23.target, out other oid, out condition text
) returns setof record
language plpgsql stable rows 1 as $outer$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_parent m23.protected_tables := m23.parent_of(v_table);
  v_plan   text := m23.diff_name((m23.planned_target(p_targets, v_parent.relid)).tbl);
begin
  if v_table.parent_id is null then return; end if;
  other := v_parent.relid;
  condition := m23.fill($sql$d.m23_op <> 'D' and exists (
      select from {parent} p where {is_child} and ({is_its}) is not true{comes}){owned}$sql$,
    'parent', m23.qualified_name(v_parent.relid), 'is_child', m23.is_child_of(v_table, 'd', 'p'),
    'is_its', m23.is_tenants(v_parent, 'p', quote_literal(p_tenant)),
    'comes', case when v_plan is null then ''
                  else m23.fill(' and not exists (select from {plan} x where x.m23_op <> ''D'' and {same_key})',
                                'plan', v_plan, 'same_key', m23.key_match(v_parent.relid, 'x', 'p')) end,
    'owned', case when not m23.may_be_shared(v_table) then ''  -- one of its own points at it, too: m23.keep_shared
                  else m23.fill(' and not exists (select from {parent} o where {is_child} and {is_its})',
                                'parent', m23.qualified_name(v_parent.relid),
                                'is_child', m23.is_child_of(v_table, 'd', 'o'),
                                'is_its', m23.is_tenants(v_parent, 'o', quote_literal(p_tenant))) end);
  return next;
end $outer$;

-- Notes, before rows of a table are written, that those whose parents are not there (yet) are the tenant's.
create function m23.note_parents_to_come(p_target m23.target, p_tenant text) returns void
language plpgsql as $outer$
declare v_table m23.protected_tables := p_target.tbl;
begin
  if v_table.parent_id is null then return; end if;
  perform m23.run(p_target.path, m23.fill($sql$
      insert into m23.absent_parents (table_id, parent_id, key, tenant_id)
      select distinct {id}, {parent_id}, {key}, ({tenant})::text from {diff} d
       where d.m23_op <> 'D' and {has_key} and not exists (select from {parent} p where {is_child})$sql$,
    'id', v_table.id::text, 'parent_id', v_table.parent_id::text,
    'key', m23.path_key(v_table.relid, v_table.via_attnums, 'd'),
    'tenant', m23.tenant_value(v_table, quote_literal(p_tenant)), 'diff', m23.diff_name(v_table),
    'has_key', m23.has_parent_key(v_table, 'd'), 'parent', m23.qualified_name((m23.parent_of(v_table)).relid),
    'is_child', m23.is_child_of(v_table, 'd', 'p')));
end $outer$;
