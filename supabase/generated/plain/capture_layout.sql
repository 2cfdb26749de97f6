declare v_is boolean;
begin
  if p_layout <> 'f93de1db7943d94768f432431a389f09' or has_column_privilege(OID::oid, 8::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public.tasks, '{}'))::text <> '{"id":null,"tenant_id":null,"project_id":null,"Title":null,"body":null,"labels":null,"done":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY (id)' then
    return false;
  end if;
  execute 'select array[pg_typeof((null::public.tasks).id), pg_typeof((null::public.tasks).tenant_id), pg_typeof((null::public.tasks).project_id), pg_typeof((null::public.tasks)."Title"), pg_typeof((null::public.tasks).body), pg_typeof((null::public.tasks).labels), pg_typeof((null::public.tasks).done)]::oid[] = ''{23,2950,23,25,25,1009,16}''::oid[]' into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end
