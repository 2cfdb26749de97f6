-- The value of a field of a line, in the type that its column has now. A text of another type, or of before a type was
-- altered, is read as what it was then: p_type is the column's type then, by name, and p_then the backup's position,
-- where that is of this life.
create function m23.field_value(
  p_table m23.protected_tables, p_column m23.column_shape, p_field text, p_type text, p_then pg_snapshot)
returns text
language plpgsql stable as $$
declare
  v_type oid := (select a.atttypid from pg_attribute a where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_now  text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_text text := format('(case when pg_catalog.strpos(%1$s, ''\'') = 0 then %1$s else m23.copy_unescape(%1$s) end)',
                        p_field);
begin
  return case
    when p_column.plain and p_type = v_now then format('%s::%s', p_field, v_now)
    -- a cast from text would not know "-", nor the number of what has been dropped
    when p_column.type_name = 'regclass' then format('regclassin(textout(%s))', p_field)
    when v_now in ('json', 'jsonb') and to_regtype(p_type) is not null
    then m23.converted(format('(%s)::%s', v_text, to_regtype(p_type)), p_type, v_now)
    else format('(%s)::%s', m23.present_words(v_text, v_type, case when p_then is null then '{}'
                                                                   else m23.former_words(v_type, null, p_then) end),
                v_now) end;
end $$;
