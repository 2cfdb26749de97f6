-- Which functions this database works with. They send their version as a header with each call. A database that is
-- newer by a minor version works with them, so that it can be upgraded first.

-- The version in a text `major.minor.patch`, as numbers; null for any other text.
create function m23.version_numbers(p_version text) returns int[]
language sql immutable as $$
  select case when p_version ~ '^\d{1,5}\.\d{1,5}\.\d{1,5}$' then string_to_array(p_version, '.')::int[] end
$$;

-- Whether functions of a version work with this database.
create function m23.works_with(p_functions text) returns boolean
language sql immutable as $$
  select coalesce(d.n[1] = f.n[1] and d.n[2] - f.n[2] between 0 and 1, false)
    from (select m23.version_numbers(m23.version())) d (n), (select m23.version_numbers(p_functions)) f (n)
$$;
comment on function m23.works_with(text) is
  'Whether functions of a version (major.minor.patch) are of this database''s minor version, or of the one before.';

-- The version that the calling function has sent. A call without one is made by SQL or by a client.
create function m23.calling_version() returns text
language sql stable as $$
  select nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-m23-version'
$$;

-- Refuses functions that this database does not work with, where they begin something or get something to do.
create function m23.refuse_other_versions() returns void
language plpgsql stable as $$
declare
  v_functions text := m23.calling_version();
  v_numbers   int[] := m23.version_numbers(v_functions);
begin
  if v_functions is null or m23.works_with(v_functions) then
    return;
  elsif v_numbers > m23.version_numbers(m23.version()) then
    perform m23.refuse('UNAVAILABLE', format(
      'M23 is being upgraded: its database is of release %s, and too old for its functions of release %s. '
      'The operator has to upgrade the database', m23.version(), v_functions));
  end if;
  perform m23.refuse('UNAVAILABLE', format(
    'M23 is being upgraded: its functions are of release %s, and too old for its database of release %s. '
    'The operator has to deploy the functions of that release',
    case when v_numbers is null then 'unknown' else v_functions end, m23.version()));
end $$;
