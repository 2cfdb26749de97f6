declare r public.comments;
begin
  if p_layout <> '7435c894d342f94afb92b4b3604eed81' or has_column_privilege(OID::oid, 4::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::public.comments, '{}'))::text <> '{"id":null,"task_id":null,"body":null}'
     or pg_get_constraintdef(OID) is distinct from 'PRIMARY KEY (id)' then
    return false;
  end if;
  return array[pg_typeof(r.id), pg_typeof(r.task_id), pg_typeof(r.body)]::oid[] = '{23,23,25}'::oid[];
exception when others then return false;  -- it was renamed, say
end
