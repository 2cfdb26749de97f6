-- Drops all copies of a tenant; gives how many. One that somebody has added to is refused.
create function m23.forget_copies(p_tenant text) returns bigint
language plpgsql volatile as $$
declare
  v_copy    m23.copies;
  v_kept    text[];
  v_dropped bigint := 0;
begin
  for v_copy in select * from m23.copies where tenant_id = p_tenant for update loop
    v_kept := m23.drop_copy(v_copy);
    if v_kept <> '{}' then
      raise exception 'the copy "%" of this tenant cannot be dropped: %',
          v_copy.schema_name, array_to_string(v_kept, ', ')
        using errcode = 'dependent_objects_still_exist',
              hint = 'Move or drop what was added to it, then forget the tenant.';
    end if;
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end $$;
