-- What would make the rest of a backup another moment, or another shape, than its beginning.
create function m23.check_part(
  p_part m23.backup_tables, p_table m23.protected_tables, p_work m23.backup_work
) returns void
language plpgsql stable as $$
declare
  v_name text := p_part.schema_name || '.' || p_part.table_name;
  v_gap  text;
begin
  if p_table.id is null or not exists (select from pg_class where oid = p_table.relid) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s was dropped or unprotected while it was backed up', v_name));
  end if;
  if m23.shape_of(p_table.relid) <> p_part.columns or m23.key_of(p_table.relid) <> p_part.key then
    perform m23.refuse('BACKUP_UNUSABLE', format('the columns of %s changed while it was backed up', v_name));
  end if;
  if p_work.incarnation <> m23.incarnation() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the database was restored or copied while the backup ran');
  end if;
  v_gap := m23.reading_fault(p_table, p_work);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
end $$;
