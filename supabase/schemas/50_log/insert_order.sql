-- A trigger of the application's for inserted rows writes before the function after the statement: what it logs comes
-- after the arrivals, which are as old as the statement. That matters only where foreign keys' actions have to be put
-- in order.
create function m23.insert_order(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$v_open := current_setting('{open}', true);
  if v_open <> '' then
    v_statement := m23.open_statement(v_open, 'I');
    if v_open not like ',%'
       and split_part(v_open, ',', 1)::pg_lsn > coalesce(split_part(v_statement, '@', 2), '0/0')::pg_lsn then
      update {log} l set change_id = coalesce(split_part(v_statement, '@', 2)::pg_lsn,
               (select min(o.change_id) - 1 from {log} o
                 where o.tenant_id = l.tenant_id and o.xid = pg_current_xact_id()))
       where l.tenant_id in (select {tenant} from new_rows r) and l.xid = pg_current_xact_id()
         and l.op = 'I' and l.change_id >= v_first;
    end if;
    perform set_config('{open}', m23.without_statement(v_open, v_statement), true);
  end if;$body$,
    'open', m23.open_setting(p_table.id), 'log', m23.log_part(p_table.id),
    'tenant', m23.row_tenant(p_table, 'r'));
end $outer$;
