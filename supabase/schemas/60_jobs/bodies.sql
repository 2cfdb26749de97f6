-- Bodies of requests, looked at again by the database: whoever calls it without an edge function, with the id of an
-- admitted request, gets no further than they would through it. The words are those of the edge functions.

-- Whether a text is a time with a time zone, as ISO 8601 has it.
create function m23.is_moment(p_text text) returns boolean
language plpgsql stable as $$
begin
  return p_text ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$'
     and p_text::timestamptz is not null;
exception when data_exception then return false;
end $$;

-- What is wrong with a text as a line for people; null for nothing.
create function m23.line_fault(p_text text) returns text
language sql immutable as $$
  select case when p_text !~ '[^[:space:][:cntrl:]]' then 'must not be blank'
              when p_text ~ '[[:cntrl:]]' then 'must not contain control characters' end
$$;

-- What is wrong with a list of words; null for nothing.
create function m23.words_fault(p_list jsonb, p_words text[]) returns text
language sql immutable as $$
  select case when jsonb_typeof(p_list) <> 'array' or p_list = '[]'
                or exists (select from jsonb_array_elements(p_list) w
                            where jsonb_typeof(w) <> 'string' or w #>> '{}' <> all (p_words))
                or (select count(*) > count(distinct w) from jsonb_array_elements(p_list) w)
              then format('must be a list of %s, each once', array_to_string(p_words, ', ')) end
$$;

-- What is wrong with a list of tables' names; null for nothing. Whether there are such tables is not asked.
create function m23.tables_fault(p_tables jsonb) returns text
language sql immutable as $$
  select case
    when jsonb_typeof(p_tables) <> 'array' then 'must be a list of table names'
    when p_tables = '[]' then 'must name at least one table; leave it out for every protected table'
    else (select case when jsonb_typeof(t.name) <> 'string' then format('entry %s must be a string', t.n)
                      when count(*) over (partition by t.name) > 1 then format('%s is named twice', t.name) end
            from jsonb_array_elements(p_tables) with ordinality t (name, n)
           order by jsonb_typeof(t.name) = 'string', count(*) over (partition by t.name) desc limit 1) end
$$;

-- Refuses a body that an edge function would not have let through.
create function m23.refuse_body(p_function text, p_body jsonb, p_dry_run boolean default null) returns void
language plpgsql volatile as $$
declare v_faults text[] := m23.body_faults(p_function, p_body, p_dry_run);
begin
  if v_faults = '{}' then
    v_faults := m23.table_faults(m23.list_of(p_body -> 'tables')) || m23.selection_faults(p_body);
  end if;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid', v_faults);
  end if;
end $$;
