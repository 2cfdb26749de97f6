-- p_like: a job that the same transaction began before it, under the same locks; its tables' definitions are taken
-- over.
create function m23.start_backup(p_job public.backup_jobs, p_like uuid default null) returns json
language plpgsql as $$
declare v_parent m23.backup_work;
begin
  perform m23.renew_types();
  perform m23.refuse_backup_faults(p_job);
  if p_job.job_type = 'snapshot' then
    return m23.make_snapshot_backup(p_job);
  elsif p_job.job_type = 'incremental' then
    v_parent := m23.join_chain(p_job);
  end if;
  perform m23.lock_tables(array(
    select t.relid from public.backup_jobs j cross join lateral m23.chosen(j.tables) t where j.id = p_job.id));
  perform m23.note_backup_work(p_job, v_parent);
  perform m23.note_backup_tables(p_job, v_parent, p_like);
  return m23.note_estimate(p_job.id, v_parent);
end $$;
