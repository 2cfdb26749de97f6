-- What the database's own records say of a backup: its chain, its times, its age.
create function m23.check_records(p_test public.recovery_tests) returns void
language plpgsql as $$
declare
  v_job  public.backup_jobs;
  v_last public.backup_jobs;
  v_at   timestamptz;
  v_plan public.dr_plans;
begin
  for v_job in select * from m23.chain_of(p_test.backup_job_id) loop
    perform m23.note_check('chain_broken', v_job.backup_name, case
      when v_job.status <> 'completed'
        then format('"%s", on which this backup builds, is %s', v_job.backup_name, replace(v_job.status, '_', ' '))
      when v_last.id is null and v_job.job_type = 'incremental'
        then format('"%s" builds on a backup that is not there any more', v_job.backup_name)
      when not exists (select from m23.backup_work w where w.job_id = v_job.id)
        then format('nothing is known of the archive of "%s"', v_job.backup_name) end);
    v_at := (select w.position_at from m23.backup_work w where w.job_id = v_job.id);
    perform m23.note_check('clock_odd', v_job.backup_name, case
      when v_at > clock_timestamp() or v_job.completed_at > clock_timestamp()
        then format('"%s" is of a time to come', v_job.backup_name)
      when v_job.completed_at < v_at
        then format('"%s" was completed before the moment that it is of', v_job.backup_name)
      when v_at < (select w.position_at from m23.backup_work w where w.job_id = v_last.id)
        then format('"%s" is of an earlier moment than "%s", on which it builds', v_job.backup_name,
                    v_last.backup_name) end);
    v_last := v_job;
  end loop;
  select * into v_plan from public.dr_plans where id = p_test.dr_plan_id;
  if v_plan.id is not null then
    perform m23.note_check('rpo_missed', v_last.backup_name, case
      when clock_timestamp() - v_at > make_interval(mins => v_plan.rpo_minutes)
      then format('the backup is of %s, %s minutes ago; the plan allows %s', m23.iso(v_at),
                  ceil(extract(epoch from clock_timestamp() - v_at) / 60), v_plan.rpo_minutes) end);
  end if;
end $$;
