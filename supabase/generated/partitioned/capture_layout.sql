declare v_is boolean;
begin
  if p_layout <> 'b179e3a431cc1a334b910078aed7a388' or has_column_privilege(OID::oid, 5::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public.events, '{}'))::text <> '{"tenant_id":null,"id":null,"at":null,"body":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY (id, at)' then
    return false;
  end if;
  execute 'select array[pg_typeof((null::public.events).tenant_id), pg_typeof((null::public.events).id), pg_typeof((null::public.events).at), pg_typeof((null::public.events).body)]::oid[] = ''{2950,20,1082,3802}''::oid[]' into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end
