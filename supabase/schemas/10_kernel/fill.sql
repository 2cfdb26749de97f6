-- Fills the holes of a template, `{name}`, in one pass: what is filled in is never looked at again. p_holes
-- are names and texts by turns.
create function m23.fill(p_template text, variadic p_holes text[]) returns text
language plpgsql immutable as $$
declare
  v_parts text[] := string_to_array(p_template, '{');  -- a regular expression takes twice the time
  v_text  text := coalesce(v_parts[1], '');
  v_name  text;
  v_at    int;
begin
  for n in 2..cardinality(v_parts) loop
    v_name := split_part(v_parts[n], '}', 1);
    if v_name !~ '^[a-z_]+$' or v_name = v_parts[n] then  -- a brace of the template's own
      v_text := v_text || '{' || v_parts[n];
      continue;
    end if;
    v_at := array_position(p_holes, v_name);
    while v_at % 2 = 0 loop v_at := array_position(p_holes, v_name, v_at + 1); end loop;  -- that was a text
    if v_at is null or p_holes[v_at + 1] is null then
      raise exception 'nothing was given for {%} of a template', v_name using errcode = 'null_value_not_allowed';
    end if;
    v_text := v_text || p_holes[v_at + 1] || substr(v_parts[n], length(v_name) + 2);
  end loop;
  return v_text;
end $$;
comment on function m23.fill(text, text[]) is
  'A template with its holes filled: m23.fill(''select {what}'', ''what'', ''1'').';
