declare v_is boolean;
begin
  if p_layout <> '22b3a79d2338aecc6b658d5fa8dfe347' or has_column_privilege(OID::oid, 4::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public.comments, '{}'))::text <> '{"id":null,"task_id":null,"body":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY (id)' then
    return false;
  end if;
  execute 'select array[pg_typeof((null::public.comments).id), pg_typeof((null::public.comments).task_id), pg_typeof((null::public.comments).body)]::oid[] = ''{23,23,25}''::oid[]' into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end
