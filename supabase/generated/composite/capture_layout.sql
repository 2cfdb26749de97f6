declare v_is boolean;
begin
  if p_layout <> '4a7f79015b640b74b365459a1d61476d' or has_column_privilege(OID::oid, 6::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public.order_lines, '{}'))::text <> '{"tenant_id":null,"order_no":null,"line":null,"sku":null,"price":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY (tenant_id, order_no, line)' then
    return false;
  end if;
  execute 'select array[pg_typeof((null::public.order_lines).tenant_id), pg_typeof((null::public.order_lines).order_no), pg_typeof((null::public.order_lines).line), pg_typeof((null::public.order_lines).sku), pg_typeof((null::public.order_lines).price)]::oid[] = ''{2950,20,23,1043,1700}''::oid[]' into v_is;  -- a variable of the table's type would fail before all this where it was renamed
  return v_is;
exception when others then return false;  -- it was renamed, say
end
