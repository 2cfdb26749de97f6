-- Writes all that captures a table: its log, and its functions and triggers; and its statements.
create function m23.write_capture(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_new boolean;
begin
  perform set_config('m23.writing_capture', 'yes', true);
  perform m23.note_name(p_table);
  if m23.key_is_another(p_table) then
    p_table := m23.begin_history(p_table, 'the primary key was another');  -- by which rows of the log are told apart
  end if;
  v_new := to_regclass(m23.log_name(p_table.id)) is null;
  perform m23.note_types(m23.column_types(array[p_table.relid]));
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.follow_partitions(p_table, v_new);
  perform m23.write_capture_functions(p_table);
  perform m23.write_triggers(p_table);
  perform m23.write_statements(p_table);
  perform set_config('m23.writing_capture', '', true);
end $$;
