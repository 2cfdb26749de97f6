-- The shape of a table, as a manifest has it.

create function m23.shape_of(p_relid oid) returns jsonb
language plpgsql stable as $$
begin
  return (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.name, 'type', c.type_name,
           'not_null', c.not_null,
           'identity', nullif(c.identity::text, ''))) order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated);
end $$;
comment on function m23.shape_of(oid) is
  'The columns of a table that hold values of their own, as a manifest lists them.';

-- The names of a table's key columns, in the order of the key.
create function m23.key_of(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return (select array_agg(c.name order by c.key_ord) from m23.columns_of(p_relid, p_of_key => true) c);
end $$;
