-- What stands for a log in a query: its parts that can have changes of a tenant from a transaction on. They are held
-- until the transaction ends, so that none is dropped before it is read. Whoever makes the query long before it runs,
-- and has not taken the table itself, holds nothing: an ALTER TABLE takes the table before its log.
create function m23.log_of(p_table_id int, p_tenant text, p_from xid8, p_held boolean default true) returns text
language plpgsql volatile as $$
declare v_parts int[];
begin
  loop
    begin
      v_parts := m23.parts_of(p_table_id, p_tenant, p_from);
      exit when not p_held or v_parts = '{}';
      execute format('lock table %s in access share mode',
                     (select string_agg(m23.part_name(p_table_id, p), ', ' order by p) from unnest(v_parts) p));
      exit;
    exception when undefined_table then null;  -- one was dropped meanwhile
    end;
  end loop;
  return m23.fill('({parts} select * from m23.entries_beside(null::{log}, {table}, {numbers}, {tenant}, {from}))',
    'parts', coalesce((select string_agg(format('select * from %s union all', m23.part_name(p_table_id, p)),
                                         ' ' order by p)
                         from unnest(v_parts) p), ''),
    'log', m23.log_name(p_table_id), 'table', p_table_id::text, 'numbers', quote_literal(v_parts) || '::int[]',
    'tenant', quote_literal(p_tenant), 'from', quote_nullable(p_from) || '::xid8');
end $$;
