-- What to say of a table that is called otherwise now; null for nothing.
create function m23.renamed_sentence(p_part m23.backup_tables, p_now m23.protected_tables) returns text
language plpgsql stable as $$
declare
  v_then  text := case p_part.schema_name when 'public' then '' else p_part.schema_name || '.' end || p_part.table_name;
  v_known text := (select m23.public_name(t.relid) from m23.protected_tables t where t.id = p_part.table_id);
begin
  return case
    when p_now.id is null then null
    when p_now.id <> p_part.table_id and v_known <> v_then
      then format('%1$s was another table then, which is called %2$s now; the rows went to the present %1$s', v_then,
                  v_known)
    when m23.public_name(p_now.relid) = v_then then null
    when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
      then format('%s is called %s now', v_then, m23.public_name(p_now.relid))
    else format('%1$s was another table then, which is called %2$s now; the present %1$s is left as it is', v_then,
                m23.public_name(p_now.relid)) end;
end $$;
