-- The statement that logs what the transition table of an event holds: the keys that came, or the images that went. An
-- update's images carry all columns, none of those that are in a group, or (some) the groups that were changed.
create function m23.log_statement(
  p_table m23.protected_tables, p_event text, p_groups text default 'all', p_rows text default null
) returns text
language plpgsql stable as $outer$
declare
  v_bits   text := case p_groups when 'some' then m23.unchanged_bits(p_table)
                                 when 'none' then (select sum(1 << g.bit)::text from m23.log_groups g
                                                    where g.table_id = p_table.id and g.in_use) end;
  v_fields record := m23.log_fields(p_table, p_event = 'insert', case when v_bits is null then 'all' else p_groups end);
  v_log    text := m23.log_part(p_table.id);
  v_tenant text := m23.captured_tenant(p_table);
begin
  return m23.fill($sql$insert into {log} (tenant_id, op, actor, source, request, {names}{unchanged})
    select {tenant}, '{op}', {actor},
           {source},
           {expressions}{bits}
      from {groups}{rows} r where {tenant} is not null and {shares_fence}$sql$,
    'groups', case when v_bits is not null and p_groups = 'some' then m23.changed_groups(p_table.id) || ', '
                   else '' end,
    'log', v_log, 'tenant', v_tenant, 'op', upper(left(p_event, 1)), 'actor', m23.logged_actor(),
    'source', m23.logged_source(p_table.id),
    'unchanged', case when v_bits is null then '' else ', unchanged' end, 'bits', coalesce(', ' || v_bits, ''),
    'names', v_fields.names, 'expressions', v_fields.expressions,
    'rows', m23.captured_rows(
      p_table, coalesce(p_rows, case p_event when 'insert' then 'new_rows' else 'old_rows' end)),
    'shares_fence', m23.shares_fence(v_tenant, p_table.tenant_type, v_log));
end $outer$;

-- The expression of the tenant of a row `r` of m23.captured_rows: looked up once, where a path leads to it.
create function m23.captured_tenant(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return case when p_table.parent_id is null then m23.row_tenant(p_table, 'r') else 'r.m23_tenant' end;
end $$;

-- The rows of a relation of a table, with their tenants where a path leads to them.
create function m23.captured_rows(p_table m23.protected_tables, p_rows text) returns text
language plpgsql stable as $$
begin
  return case when p_table.parent_id is null then p_rows
              else format('(select r.*, %s as m23_tenant from %s r offset 0)', m23.row_tenant(p_table, 'r'),
                          p_rows) end;
end $$;
