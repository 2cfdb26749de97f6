-- Fills the holes of a template, `{name}`, in one pass: what is filled in is never looked at again. p_holes
-- are names and texts by turns.
create function m23.fill(p_template text, variadic p_holes text[]) returns text
language plpgsql immutable as $$
declare
  v_parts text[] := regexp_split_to_array(p_template, '\{[a-z_]+\}');
  v_names text[] := array(select m[1] from regexp_matches(p_template, '\{([a-z_]+)\}', 'g') m);
  v_at    int;
  v_text  text := v_parts[1];
begin
  for n in 1..cardinality(v_names) loop
    v_at := array_position(p_holes, v_names[n]);
    while v_at % 2 = 0 loop v_at := array_position(p_holes, v_names[n], v_at + 1); end loop;  -- that was a text
    if v_at is null or p_holes[v_at + 1] is null then
      raise exception 'nothing was given for {%} of a template', v_names[n] using errcode = 'null_value_not_allowed';
    end if;
    v_text := v_text || p_holes[v_at + 1] || v_parts[n + 1];
  end loop;
  return v_text;
end $$;
comment on function m23.fill(text, text[]) is
  'A template with its holes filled: m23.fill(''select {what}'', ''what'', ''1'').';
