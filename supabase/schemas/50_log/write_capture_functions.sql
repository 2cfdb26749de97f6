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
      ('truncate', v_head || 'set row_security = off', m23.truncate_function(p_table))) f (name, attributes, body)
  loop
    perform m23.write_capture_function(p_table, v_function.name, v_function.attributes, v_function.body);
  end loop;
  perform m23.write_leaving_function(p_table);
  execute format('revoke execute on function %s from public', m23.capture_functions(p_table.id));
end $outer$;

-- Writes the one before a row leaves.
create function m23.write_leaving_function(p_table m23.protected_tables) returns void
language plpgsql as $outer$
begin
  perform m23.write_capture_function(p_table, 'leaving',
    'security definer set search_path = '''' set row_security = off', m23.leaving_function(p_table));
end $outer$;

-- Writes one of them.
create function m23.write_capture_function(
  p_table m23.protected_tables, p_name text, p_attributes text, p_body text
) returns void
language plpgsql as $outer$
begin
  execute m23.fill('create or replace function m23_log.{name}_{id}() returns trigger
                      language plpgsql {attributes} as {body}',
    'name', p_name, 'id', p_table.id::text, 'attributes', p_attributes, 'body', quote_literal(p_body));
end $outer$;

-- Writes what captures a table when another one has come to find its tenants through it. Only what is done before a row
-- leaves knows each of those; all else knows by which columns they refer to it.
create function m23.write_parent_capture(p_child m23.protected_tables) returns void
language plpgsql as $outer$
declare v_parent m23.protected_tables := m23.parent_of(p_child);
begin
  if not m23.capture_is_stale(v_parent)
     and exists (select from m23.protected_tables c where c.parent_id = v_parent.id and c.id <> p_child.id
                    and c.parent_attnums = p_child.parent_attnums) then
    perform m23.write_leaving_function(v_parent);
  else
    perform m23.write_capture(v_parent);
  end if;
end $outer$;
