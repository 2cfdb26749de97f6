-- The job that a request runs: a new one, or one that createBackupJob has left pending.
create function m23.requested_job(p_tenant text, p_backup jsonb) returns public.backup_jobs
language plpgsql as $$
declare v_job public.backup_jobs;
begin
  if p_backup ->> 'jobId' is null then
    perform m23.parent_backup(p_tenant, (p_backup ->> 'baseBackupId')::uuid);
    return m23.new_backup_job(p_tenant, p_backup);
  end if;
  select * into v_job from public.backup_jobs j
   where j.id = (p_backup ->> 'jobId')::uuid and j.tenant_id = p_tenant for update;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup job in this tenant');
  end if;
  if v_job.status <> 'pending' or exists (select from m23.backup_work w where w.job_id = v_job.id) then
    perform m23.refuse('VALIDATION_FAILED', 'the job cannot be run',
                       array[format('jobId: this job was started before and is %s', v_job.status)]);
  end if;
  return v_job;
end $$;
