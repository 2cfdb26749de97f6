-- Makes the copy of a table: everything that a row of it has to fit, but for foreign keys.
create function m23.make_scratch(p_schema text, p_staged m23.staged_tables) returns m23.scratch
language plpgsql as $$
declare
  v_made m23.scratch;
  v_live m23.protected_tables;
  v_copy m23.protected_tables;
  v_name text := format('%I.%I', p_schema, 't' || p_staged.ordinal);
  v_path text;
begin
  select * into v_live from m23.protected_tables where id = p_staged.table_id;
  v_path := m23.path_of(v_live.relid);
  perform m23.make_like(v_name, v_live.relid,
                        'including defaults including generated including identity including constraints', v_path);
  perform m23.without_fills(v_name, v_live, p_staged);
  perform m23.close_table(v_name::regclass);
  v_copy := v_live;
  v_copy.id := 2000000000 + p_staged.ordinal;
  v_copy.relid := v_name::regclass;
  v_copy.parent_id := null;  -- it holds rows of one tenant only
  v_copy.via_attnums := null;
  v_copy.parent_attnums := null;
  v_copy.tenant_attnum := (select attnum from pg_attribute
                            where attrelid = v_copy.relid and attname = m23.tenant_column(v_live));
  v_made.staged := p_staged;
  v_made.live := v_live;
  v_made.copy := v_copy;
  v_made.name := m23.public_name(v_live.relid);
  v_made.path := v_path;
  return v_made;
end $$;
