-- Writes the functions that a table's triggers call.
create function m23.write_capture_functions(p_table m23.protected_tables) returns void
language plpgsql as $outer$
declare
  -- Those after a statement insert into tables of their own owner, whom row-level security passes over. A setting more
  -- would cost a tenth of what a single row's capture does.
  v_head     constant text := 'security definer set search_path = '''' ';
  v_function record;
begin
  execute m23.layout_function(p_table);
  for v_function in
    select * from (values
      ('insert', v_head || m23.text_settings(p_table), m23.insert_function(p_table)),
      ('update', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'update')),
      ('delete', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'delete')),
      ('row', '', m23.row_function(p_table)),
      ('replicated', v_head || 'set row_security = off ' || m23.text_settings(p_table),
       m23.replicated_function(p_table)),
      ('leaving', v_head || 'set row_security = off', m23.leaving_function(p_table)),
      ('truncate', v_head || 'set row_security = off', m23.truncate_function(p_table))) f (name, attributes, body)
  loop
    execute m23.fill('create or replace function m23_log.{name}_{id}() returns trigger
                        language plpgsql {attributes} as {body}',
      'name', v_function.name, 'id', p_table.id::text, 'attributes', v_function.attributes,
      'body', quote_literal(v_function.body));
  end loop;
  execute format('revoke execute on function %s from public', m23.capture_functions(p_table.id));
end $outer$;
