-- A backup has the names that tables had then. What a table is called now is known where it has been protected ever
-- since.

-- The table that a backup's is now. One that has taken its name since, and is protected, stands for it: that is how an
-- exchange for a copy is meant. No such table has been in the backup itself: two have only exchanged their names then.
create function m23.table_now(p_part m23.backup_tables) returns m23.protected_tables
language plpgsql volatile as $$
declare
  v_life  uuid := m23.incarnation();
  v_named m23.protected_tables := m23.find_table(p_part.schema_name || '.' || p_part.table_name);
  v_known m23.protected_tables;
begin
  select t.* into v_known from m23.protected_tables t join pg_class c on c.oid = t.relid
   where t.id = p_part.table_id and t.incarnation = v_life;
  return case when v_known.id is null then v_named
              when v_named.id is null then v_known
              when exists (select from m23.backup_tables o where o.job_id = p_part.job_id and o.table_id = v_named.id)
              then v_known
              else v_named end;
end $$;

-- Why a table of a backup is left out.
create function m23.left_out_sentence(p_part m23.backup_tables) returns text
language plpgsql stable as $$
begin
  return format(case when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
                     then '%s.%s does not exist any more and was left out; make it again and protect it'
                     else '%s.%s is not protected any more and was left out' end,
                p_part.schema_name, p_part.table_name);
end $$;
