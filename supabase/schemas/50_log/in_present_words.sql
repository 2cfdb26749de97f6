-- A value's text in present words. Of a multirange the words are as they were.
create function m23.in_present_words(p_value text, p_type oid, p_words jsonb) returns text
language plpgsql stable strict as $$
declare
  v_type     pg_type;
  v_elements text[];
  v_fields   text[];
  v_places   jsonb;
begin
  select * into v_type from pg_type where oid = p_type;
  if v_type.typtype = 'd' then
    return m23.in_present_words(p_value, v_type.typbasetype, p_words);
  elsif v_type.typtype = 'e' then
    return coalesce(p_words -> p_type::text ->> p_value, p_value);
  elsif v_type.typcategory = 'A' and v_type.typelem <> 0 then
    v_elements := array(select distinct e from unnest(p_value::text[]) e where e is not null);
    return m23.with_elements(p_value::text[], v_elements,
                             array(select m23.in_present_words(e, v_type.typelem, p_words)
                                     from unnest(v_elements) with ordinality u (e, n) order by n));
  elsif v_type.typtype = 'r' and p_value <> 'empty' then
    v_fields := m23.fields_of(substr(p_value, 2, length(p_value) - 2));
    return (select left(p_value, 1)
                     || string_agg(m23.quoted_field(m23.in_present_words(f, r.rngsubtype, p_words)), ',' order by n)
                     || right(p_value, 1)
              from pg_range r, unnest(v_fields) with ordinality u (f, n) where r.rngtypid = p_type);
  elsif v_type.typtype = 'c' then
    v_fields := m23.fields_of(substr(p_value, 2, length(p_value) - 2));
    v_places := coalesce(p_words -> p_type::text -> cardinality(v_fields)::text,
                         (select jsonb_agg(n) from generate_series(1, cardinality(v_fields)) n));
    return (select format('(%s)', string_agg(m23.quoted_field(
                     m23.in_present_words(v_fields[p.place::int], a.type, p_words)), ',' order by p.n))
              from jsonb_array_elements_text(v_places) with ordinality p (place, n)
              left join (select c.atttypid as type, row_number() over (order by c.attnum) as n from pg_attribute c
                          where c.attrelid = v_type.typrelid and c.attnum > 0 and not c.attisdropped) a on a.n = p.n);
  end if;
  return p_value;
end $$;
