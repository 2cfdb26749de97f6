declare v_is boolean;
begin
  if p_layout <> '899d4cb4a211138090c162c0075802d3' or has_column_privilege(OID::oid, 6::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public."ta{b}le $1 %s", '{}'))::text <> E'{"tenant_id":null,"i d":null,"co\\"st$2":null,"it''s {value}":null,"select":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY ("i d")' then
    return false;
  end if;
  execute 'select array[pg_typeof((null::public."ta{b}le $1 %s").tenant_id), pg_typeof((null::public."ta{b}le $1 %s")."i d"), pg_typeof((null::public."ta{b}le $1 %s")."co""st$2"), pg_typeof((null::public."ta{b}le $1 %s")."it''s {value}"), pg_typeof((null::public."ta{b}le $1 %s")."select")]::oid[] = ''{2950,23,1700,25,1184}''::oid[]' into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end
