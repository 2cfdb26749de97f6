-- A backup that is a position: complete at once, inside the database, as long as the log is kept.
create function m23.make_snapshot_backup(p_job public.backup_jobs) returns json
language plpgsql volatile as $$
declare
  v_names    text[] := m23.public_names(m23.chosen_tables(p_job.tables, false));
  v_id       uuid := m23.new_snapshot(p_job.tenant_id, p_job.backup_name, 'manual', v_names, p_job.created_by, null);
  v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots where id = v_id;
  perform m23.note_backup_work(p_job, null);
  update m23.backup_work set position = (v_snapshot.snapshot_data ->> 'position')::pg_snapshot,
         position_at = (v_snapshot.snapshot_data ->> 'taken_at')::timestamptz
   where job_id = p_job.id;
  perform m23.note_backup_tables(p_job, null);
  update m23.backup_tables set done = true, history_done = true where job_id = p_job.id;
  update public.backup_jobs set status = 'completed', started_at = clock_timestamp(), completed_at = clock_timestamp(),
         backup_size_bytes = 0, duration_seconds = 0,
         metadata = metadata || jsonb_build_object('snapshot_id', v_snapshot.id, 'expires_at', v_snapshot.expires_at,
           'position', v_snapshot.snapshot_data ->> 'position', 'position_at', v_snapshot.snapshot_data ->> 'taken_at',
           'note', 'lives inside the database: it is gone when the database is, and when it expires')
   where id = p_job.id;
  return json_build_object('job_id', p_job.id, 'backup_name', p_job.backup_name, 'estimated_duration', 0,
                           'status', 'in_progress');
end $$;
