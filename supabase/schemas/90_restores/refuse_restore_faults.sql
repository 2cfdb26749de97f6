-- Refuses a restore that cannot be made as asked. p_schema: where to, null for the live tables.
create function m23.refuse_restore_faults(p_work m23.restore_work, p_schema text) returns void
language plpgsql as $$
declare v_faults text[] := m23.schema_faults(p_schema);
begin
  if p_schema is not null then
    v_faults := v_faults
      || array(select format('tables: %s are called "%s"; restore them one at a time',
                             string_agg(schema_name || '.' || table_name, ' and ' order by schema_name), table_name)
                 from (select schema_name, table_name from m23.backup_tables
                        where job_id = p_work.job_id
                          and (p_work.tables is null or schema_name || '.' || table_name = any (p_work.tables))
                       union all
                       select n.nspname, c.relname
                         from unnest(m23.relations_named(p_work.tables)) r join pg_class c on c.oid = r
                         join pg_namespace n on n.oid = c.relnamespace where p_work.job_id is null) t
                group by table_name having count(*) > 1);
  else
    v_faults := v_faults || m23.obstacle_faults(case when p_work.job_id is null then p_work.tables
                                                     else m23.names_now(p_work.job_id, p_work.tables) end);
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;
