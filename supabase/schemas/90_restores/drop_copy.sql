-- Drops a copy, or says what keeps it: looked at once more when nobody can add to it.
create function m23.drop_copy(p_copy m23.copies) returns text[]
language plpgsql volatile set lock_timeout = '1s' as $$
declare
  v_tables text := m23.tables_of_copy(p_copy);
  v_added  text[] := m23.added_to_copy(p_copy);
begin
  if cardinality(v_added) > 0 then return v_added; end if;
  begin
    if v_tables is not null then
      execute format('lock table %s in access exclusive mode', v_tables);
    end if;
    v_added := m23.added_to_copy(p_copy);
    if cardinality(v_added) > 0 then return v_added; end if;
    if v_tables is not null then
      execute format('drop table %s', v_tables);
    end if;
    if p_copy.made then
      execute format('drop schema if exists %I', p_copy.schema_name);
    end if;
  exception
    when lock_not_available or deadlock_detected then return array['somebody is using it'];
    when insufficient_privilege then return array['it belongs to another role now'];
    when dependent_objects_still_exist or undefined_table then return array['it is being changed'];
  end;
  delete from m23.copies where restore_log_id = p_copy.restore_log_id;
  update public.restore_logs set metadata = jsonb_set(metadata, '{copy,dropped_at}', to_jsonb(clock_timestamp()))
   where id = p_copy.restore_log_id;
  return '{}';
end $$;
