-- Makes a job the next member of its parent's chain, with the parent's tables; gives the parent.
create function m23.join_chain(p_job public.backup_jobs) returns m23.backup_work
language plpgsql volatile as $$
declare
  v_parent public.backup_jobs := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_work   m23.backup_work;
  v_gaps   text[];
begin
  if array(select t.id from m23.tables_named(p_job.tables) t order by 1)
       <> array(select t.id from m23.tables_named(m23.tables_of_job(v_parent)) t order by 1)
     and p_job.tables is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the backup cannot be made as asked',
      array['tables: an incremental has the tables of the backup that it builds on; '
            'leave this out, or make a full backup']);
  end if;
  -- Nobody deletes it meanwhile, or has done so just now.
  perform from public.backup_jobs where id = v_parent.id for share;
  v_parent := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_parent.tables := m23.tables_of_job(v_parent);
  select * into v_work from m23.backup_work where job_id = v_parent.id;
  v_gaps := m23.gaps_since(v_work, v_parent.tables);
  if cardinality(v_gaps) > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup; make a full one',
                       array(select 'baseBackupId: ' || g from unnest(v_gaps) g));
  end if;
  update public.backup_jobs set parent_backup_id = v_parent.id,
         base_backup_id = coalesce(v_parent.base_backup_id, v_parent.id), tables = v_parent.tables
   where id = p_job.id;
  return v_work;
end $$;
