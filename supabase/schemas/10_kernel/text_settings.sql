-- A database, a role or a session may have any settings. As pg_dump does, whoever reads or writes values, or puts names
-- into SQL, has these.

-- The settings, and the value of each; prints: how a value is printed depends on it.
create function m23.text_settings() returns table (name text, value text, prints boolean)
language sql stable rows 12 as $$
  select t.name, t.value, t.prints
    from (values
      ('datestyle', 'ISO, YMD', true), ('intervalstyle', 'postgres', true), ('timezone', 'UTC', true),
      ('extra_float_digits', '1', true), ('bytea_output', 'hex', true), ('lc_monetary', 'C', true),
      ('standard_conforming_strings', 'on', false), ('xmloption', 'content', false), ('array_nulls', 'on', false),
      ('quote_all_identifiers', 'off', false), ('transform_null_equals', 'off', false),
      ('restrict_nonsystem_relation_kind', '', false)) t (name, value, prints)
   where current_setting(t.name, true) is not null  -- the last one came with a minor version
$$;

create function m23.pin_text(variadic p_functions regprocedure[]) returns void
language plpgsql as $$
declare v_change text;
begin
  for v_change in
    select format('alter function %s set %s = %L', f, s.name, s.value) from unnest(p_functions) f, m23.text_settings() s
  loop
    execute v_change;
  end loop;
end $$;
comment on function m23.pin_text(regprocedure[]) is 'Lets these functions run under the settings that text depends on.';
