-- What the upkeep logs of rows whose parent came or moved in a transaction that those who wrote them did not see: they
-- left and arrived, and nobody has logged it.

-- The statements for a table and those below it. p_changes: the parents (m23.parent_changes), each with the transaction
-- (m23_since) that brought or moved it. p_notes: the same by the table's own columns, with the tenant of after.
create function m23.late_moves(p_table m23.protected_tables, p_changes text, p_notes text) returns text[]
language plpgsql stable as $$
begin
  return m23.moves_by_images(p_table, p_notes) || m23.moves_below(p_table, p_changes, '', 'r', true);
end $$;

-- The statements for rows that were changed or deleted since: what the first image of such a row says, it was before.
-- Images that leave out columns say too little.
create function m23.moves_by_images(p_table m23.protected_tables, p_notes text) returns text[]
language plpgsql stable as $outer$
declare
  v_all  text := (m23.log_fields(p_table, false)).names;
  v_keys text := (m23.log_fields(p_table, true)).names;
  v_rows text := m23.fill($sql$(select distinct on (l.tenant_id, {keys}) l.*, k.m23_before::{type} as m23_before
        from ({notes}) k
        join {log} l on l.tenant_id = k.m23_after::{type} and l.xid >= k.m23_since and l.op in ('U', 'D')
                    and coalesce(l.unchanged, 0) = 0
        cross join lateral (select {path}) v
       where {same_path} and k.m23_before::{type} is distinct from l.tenant_id
         and not exists (select from {log} d
                          where d.tenant_id = l.tenant_id and ({keys_of_d}) = ({keys}) and d.xid >= k.m23_since
                            and d.op in ('I', 'n', 'a') and d.change_id < l.change_id)
       order by l.tenant_id, {keys}, l.change_id) r$sql$,
    'keys', m23.prefixed(v_keys, 'l'), 'keys_of_d', m23.prefixed(v_keys, 'd'), 'type', p_table.tenant_type,
    'notes', p_notes, 'log', m23.log_name(p_table.id), 'same_path', m23.same_path_columns(p_table, 'v', 'k'),
    'path', (select string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.attnum)
               from m23.columns_of(p_table.relid) c where c.attnum = any (p_table.via_attnums)));
begin
  return (select array_agg(m23.fill($sql$insert into {log} (tenant_id, op, actor, {names})
      select {tenant}, {op}, {actor}, {values} from {rows} where {tenant} is not null and {shares_fence}$sql$,
      'log', m23.log_part(p_table.id), 'names', s.names, 'tenant', s.tenant, 'op', s.op,
      'actor', m23.logged_actor(), 'values', m23.prefixed(s.names, 'r'), 'rows', v_rows,
      'shares_fence', m23.shares_fence(s.tenant, p_table.tenant_type, m23.log_part(p_table.id))) order by s.n)
    from (values (1, v_all, '''U''', 'r.m23_before'), (2, v_keys, '''l''', 'r.m23_before'),
                 (3, v_keys, '''a''', 'r.tenant_id')) s (n, names, op, tenant));
end $outer$;

-- The condition that what was logged of a row `r` since then does not end with its arrival or, where it is nobody's
-- now, with its leaving.
create function m23.is_unmoved(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
declare v_key record := m23.log_fields(p_table, true);
begin
  return m23.fill($sql$coalesce((
      select (d.op in ('I', 'n', 'a')) = (r.m23_after is null)
        from {log} d where ({names}) = ({expressions}) and d.xid >= r.m23_since
         and d.tenant_id = coalesce(r.m23_after, r.m23_before) and d.op in ('I', 'n', 'a', 'D', 'o', 'l')
       order by d.change_id desc limit 1), true)$sql$,
    'log', m23.log_name(p_table.id), 'names', m23.prefixed(v_key.names, 'd'), 'expressions', v_key.expressions);
end $outer$;
