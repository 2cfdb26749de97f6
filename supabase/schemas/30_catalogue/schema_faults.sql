-- Why rows cannot be restored into a new schema of that name; empty where they can, or where none is asked for.
create function m23.schema_faults(p_schema text) returns text[]
language plpgsql stable security definer set row_security = off as $$
declare v_oid oid;
begin
  if p_schema is null then
    return '{}';
  end if;
  v_oid := (select oid from pg_namespace where nspname = p_schema);
  -- One sentence for all, which does not tell what there is.
  if m23.is_system_schema(p_schema)
     or exists (select from pg_class where relnamespace = v_oid)
     or exists (select from pg_proc where pronamespace = v_oid)
     or exists (select from pg_type where typnamespace = v_oid) then
    return array[format('targetSchema: "%s" is not free; choose another name', p_schema)];
  end if;
  return '{}';
end $$;
