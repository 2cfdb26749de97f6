create function m23.setting(p_name text) returns text
language plpgsql stable as $$
begin
  return (select value from m23.settings where name = p_name);
end $$;
comment on function m23.setting(text) is 'The value of a row of m23.settings.';
