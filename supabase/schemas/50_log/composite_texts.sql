-- The texts of composite values, ranges and arrays, taken apart and put together as the server prints them.

-- The fields of a row or a range as the server prints it, without its brackets; null for an empty one.
create function m23.fields_of(p_text text) returns text[]
language sql immutable strict as $$
  select array_agg(case when f.raw[1] = '' then null
                        when f.raw[1] like '"%'
                        then replace(replace(substr(f.raw[1], 2, length(f.raw[1]) - 2), '""', '"'), '\\', '\')
                        else f.raw[1] end order by f.n)
    from regexp_matches(p_text || ',', '("(?:[^"\\]|""|\\\\)*"|[^",]*),', 'g') with ordinality f (raw, n)
$$;

-- A field of a composite value or a range, quoted; nothing for null.
create function m23.quoted_field(p_field text) returns text
language sql immutable as
$$ select coalesce('"' || replace(replace(p_field, '\', '\\'), '"', '""') || '"', '') $$;

-- An array's text with other elements in the places of some. Its dimensions and bounds stay.
create function m23.with_elements(p_array text[], p_these text[], p_those text[]) returns text
language plpgsql immutable as $$
declare v_mark text := md5(p_array::text);  -- is no part of it: two elements can change places
begin
  for n in 1..cardinality(p_these) loop p_array := array_replace(p_array, p_these[n], v_mark || n); end loop;
  for n in 1..cardinality(p_these) loop p_array := array_replace(p_array, v_mark || n, p_those[n]); end loop;
  return p_array::text;
end $$;
