-- Notes the tables of a backup with their shapes of now, and which are read whole. p_like: see m23.start_backup.
create function m23.note_backup_tables(p_job public.backup_jobs, p_parent m23.backup_work, p_like uuid default null)
returns void
language plpgsql as $$
declare v_logged int[] := m23.logged_tables(
  array(select t.id from m23.protected_tables t where p_parent.job_id is not null), p_job.tenant_id,
  pg_snapshot_xmin(p_parent.position));
begin
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, path, columns,
                                 attnums, key, definition, whole, history_done, estimated_rows)
    select p_job.id, row_number() over (order by n.nspname, c.relname), t.id, n.nspname, c.relname,
           m23.tenant_column(t), m23.path_facts(t), m23.shape_of(t.relid),
           array(select f.attnum from m23.columns_of(t.relid) f where not f.generated order by f.attnum),
           m23.key_of(t.relid),
           coalesce((select b.definition from m23.backup_tables b where b.job_id = p_like and b.table_id = t.id),
                    m23.table_definition(t.relid)),
           chain.whole, chain.whole,
           case when chain.whole then m23.estimated_rows(t, p_job.tenant_id)
                when t.id = any (v_logged) then m23.count_changes(t, p_job.tenant_id, p_parent.position) else 0 end
      from m23.chosen((select j.tables from public.backup_jobs j where j.id = p_job.id)) t
      join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (select m23.is_whole(t, p_parent) as whole offset 0) chain;
end $$;
