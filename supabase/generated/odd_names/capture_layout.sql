declare r public."ta{b}le $1 %s";
begin
  if p_layout <> '899d4cb4a211138090c162c0075802d3' or has_column_privilege(OID::oid, 6::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public."ta{b}le $1 %s", '{}'))::text <> E'{"tenant_id":null,"i d":null,"co\\"st$2":null,"it''s {value}":null,"select":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY ("i d")' then
    return false;
  end if;
  return array[pg_typeof(r.tenant_id), pg_typeof(r."i d"), pg_typeof(r."co""st$2"), pg_typeof(r."it's {value}"), pg_typeof(r."select")]::oid[] = '{2950,23,1700,25,1184}'::oid[];
exception when others then return false;  -- it was renamed, say
end
