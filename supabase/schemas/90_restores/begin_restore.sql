create function m23.begin_restore(p_tenant uuid, p_restore jsonb) returns json
language plpgsql as $$
declare
  v_job   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'backupJobId')::uuid);
  v_work  m23.restore_work;
  v_begun json;
begin
  v_work := row(gen_random_uuid(), p_tenant, 'backup', v_job.id, null,
                m23.tables_in_backup(v_job.id, m23.list_of(p_restore -> 'tables')),
                p_restore ->> 'planHash', null, coalesce(p_restore ->> 'mode', 'exact'), coalesce((p_restore ->> 'dryRun')::boolean, false), false)::m23.restore_work;
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  if v_job.job_type = 'snapshot' then
    v_work := m23.from_snapshot(v_work);
  end if;
  if v_work.dry_run then
    return m23.begin_work(v_work);
  end if;
  v_begun := m23.log_restore(p_tenant, v_work, null, p_restore ->> 'targetSchema');
  update public.restore_logs set backup_job_id = v_job.id, metadata = metadata || jsonb_build_object('mode', v_work.mode) where id = v_work.work_id;
  return v_begun;
end $$;
