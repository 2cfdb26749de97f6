-- What to say of values that a column's type does not take. p_then: the type that it had; p_message: what the server
-- says.
create function m23.unfit_sentence(
  p_table m23.protected_tables, p_column m23.column_shape, p_then text, p_message text, p_constraint text default null)
returns text
language plpgsql stable as $$
declare
  v_type text := (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_more text[] := array_remove(array[
    nullif(p_constraint, ''),
    case when p_then <> p_column.type_name then format('it was %s then', p_then) end,
    'it has no value ' || substring(p_message from '^invalid input value for enum [^:]*: (".*")$')], null);
begin
  return format('%s.%I: values of then do not fit the type %s, as it is now%s; they can come back once it takes them',
                m23.public_name(p_table.relid), p_column.name, v_type,
                case when v_more <> '{}' then format(' (%s)', array_to_string(v_more, ', ')) end);
end $$;
