-- Seals a part that was closed. The lock that making a trigger takes waits until nobody is writing into it, and whoever
-- comes after finds the trigger. What its statement sees must be newer than that lock.
create function m23.seal_log_part(p_table_id int, p_part int) returns boolean
language plpgsql as $$
declare v_name text := m23.part_name(p_table_id, p_part);
begin
  if current_setting('transaction_isolation') not like 'read %' then return false; end if;
  perform set_config('m23.writing_capture', 'yes', true);
  execute m23.fill($ddl$create or replace trigger m23_note_late after insert on {part} referencing new table as new_rows
      for each statement execute function m23_log.note_late({table}, {number})$ddl$,
    'part', v_name, 'table', p_table_id::text, 'number', p_part::text);
  perform set_config('m23.writing_capture', '', true);
  execute format('insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
      select l.tenant_id::text, $1, $2, max(l.xid) from %s l group by l.tenant_id', v_name) using p_table_id, p_part;
  update m23.log_parts set sealed = true where table_id = p_table_id and part = p_part;
  return true;
end $$;
