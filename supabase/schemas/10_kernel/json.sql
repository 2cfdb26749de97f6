-- A JSON array of texts as an array; null where it is empty, or no array.
create function m23.list_of(p_json jsonb) returns text[]
language plpgsql immutable as $$
begin
  return (select array_agg(t)
            from jsonb_array_elements_text(case jsonb_typeof(p_json) when 'array' then p_json end) t);
end $$;
