-- What is wrong with the value of a field; null for nothing.
create function m23.value_fault(p_kind text, p_most int, p_words text[], p_value jsonb) returns text
language plpgsql stable as $$
declare
  v_is_text boolean := jsonb_typeof(p_value) = 'string';
  v_text    text := p_value #>> '{}';
begin
  return case p_kind
    when 'boolean' then case when jsonb_typeof(p_value) <> 'boolean' then 'must be true or false' end
    when 'tables' then m23.tables_fault(p_value)
    when 'keys' then m23.by_table_fault(p_value, 'array', p_most)
    when 'filters' then m23.by_table_fault(p_value, 'object', p_most)
    when 'words' then m23.words_fault(p_value, p_words)
    when 'transaction' then m23.transaction_fault(p_value)
    when 'undo' then m23.undo_fault(p_value)
    when 'uuid' then case when not v_is_text or v_text !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      then 'must be a UUID' end
    when 'word' then case when not v_is_text or v_text <> all (p_words)
      then 'must be one of ' || array_to_string(p_words, ', ') end
    when 'moment' then case when not v_is_text or not m23.is_moment(v_text)
      then 'must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z' end
    when 'schema' then case when not v_is_text then 'must be a string' when v_text !~ '^[A-Za-z_][A-Za-z0-9_-]{0,62}$'
      then format('"%s" must be letters, digits, _ and -, and start with a letter or _', left(v_text, 80)) end
    else case when not v_is_text then 'must be a string'
              when char_length(v_text) > p_most then format('must have at most %s characters', p_most)
              when p_kind = 'line' then m23.line_fault(v_text) end end;
end $$;
