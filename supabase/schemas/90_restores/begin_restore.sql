-- Accepts a restore of a backup as a request's body asks for it; gives the order for its worker.
create function m23.begin_restore(p_tenant text, p_restore jsonb) returns json
language plpgsql as $$
declare
  v_job   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'backupJobId')::uuid);
  v_work  m23.restore_work;
  v_begun json;
begin
  p_restore := m23.with_choice(p_restore);
  v_work := m23.new_work(p_tenant, 'backup',
    p_job => v_job.id,
    p_tables => m23.parts_of_choice(v_job.id, p_restore),
    p_plan_hash => p_restore ->> 'planHash',
    p_dry_run => coalesce((p_restore ->> 'dryRun')::boolean, false),
    p_on_blocked => p_restore ->> 'onBlocked',
    p_selection => m23.selection_of(v_job.id, p_restore));
  v_work.named := m23.tables_named_by(v_job.id, m23.list_of(p_restore -> 'tables'));
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  if v_job.job_type = 'snapshot' then
    v_work := m23.from_snapshot(v_work);
  end if;
  v_begun := case when v_work.dry_run then m23.begin_work(v_work)
                  else m23.log_restore(p_tenant, v_work, null, p_restore ->> 'targetSchema') end;
  perform m23.add_staging_warning(v_work.work_id, w)
     from unnest(m23.access_warnings(v_job.id, m23.list_of(p_restore -> 'tables'))
                 || m23.choice_warnings(p_restore)) w;
  if v_work.dry_run then return v_begun; end if;
  update public.restore_logs set backup_job_id = v_job.id,
         metadata = metadata || jsonb_build_object('mode', coalesce(p_restore ->> 'mode', 'exact'))
   where id = v_work.work_id;
  return v_begun;
end $$;
