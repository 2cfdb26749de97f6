-- A backup that cannot begin stands there as one that failed, with its reason.
create function m23.run_backup(p_plan public.dr_plans, p_like uuid) returns uuid
language plpgsql volatile as $$
declare
  v_backup jsonb;
  v_job    public.backup_jobs;
begin
  if exists (select from public.backup_jobs j join m23.plan_runs r on r.work_id = j.id and r.plan_id = p_plan.id
      and r.kind = 'backup'
              where j.tenant_id = p_plan.tenant_id and j.status in ('pending', 'in_progress')) then
    update m23.plan_runs set note = 'the backup before it was still running'
     where plan_id = p_plan.id and kind = 'backup' and due_at = p_plan.next_backup_date;
    return null;
  end if;
  v_backup := m23.scheduled_backup(p_plan);
  v_job := m23.planned_job(p_plan, v_backup);
  perform m23.start_backup(v_job, p_like);
  return v_job.id;
exception when others or query_canceled then
  v_job := m23.planned_job(p_plan, coalesce(v_backup, jsonb_build_object('backupName', m23.name_of_run(p_plan),
      'jobType', p_plan.backup_types[1])));
  perform m23.fail_backup(v_job.id, m23.said(sqlstate, sqlerrm));
  return v_job.id;
end $$;
