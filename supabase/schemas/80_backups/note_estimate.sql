-- What a caller and a progress bar are told of a job's size.
create function m23.note_estimate(p_job uuid, p_parent m23.backup_work) returns json
language plpgsql as $$
declare
  v_rows    bigint := (select coalesce(sum(estimated_rows), 0) from m23.backup_tables where job_id = p_job);
  v_seconds numeric := round(1 + v_rows / m23.backup_throughput(), 1);
  v_work    m23.backup_work;
  v_job     public.backup_jobs;
begin
  select * into v_work from m23.backup_work where job_id = p_job;
  update public.backup_jobs
     set metadata = metadata || jsonb_build_object(
           'estimated_rows', v_rows, 'estimated_seconds', v_seconds,
           'position', v_work.position::text, 'position_at', v_work.position_at)
   where id = p_job returning * into v_job;
  return json_build_object(
    'job_id', v_job.id, 'backup_name', v_job.backup_name, 'estimated_duration', v_seconds, 'status', v_job.status,
    'sealed', m23.must_be_sealed(v_job.tenant_id),
    'parent', case when p_parent.job_id is not null
                     then json_build_object('manifest', p_parent.manifest, 'sha256', p_parent.manifest_sha256) end);
end $$;
