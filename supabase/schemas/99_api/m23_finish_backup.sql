-- open to: service_role
create function public.m23_finish_backup(
  p_job_id uuid, p_lease uuid, p_manifest text, p_manifest_sha256 text, p_size_bytes bigint
) returns void
language plpgsql security definer set row_security = off as $$
declare
  v_gap text := (select min(m23.reading_fault(t, w))
                   from m23.backup_work w join m23.backup_tables b on b.job_id = w.job_id
                   join m23.protected_tables t on t.id = b.table_id join pg_class c on c.oid = t.relid
                  where w.job_id = p_job_id);
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
  update m23.backup_work set manifest = p_manifest, manifest_sha256 = p_manifest_sha256 where job_id = p_job_id;
  update public.backup_jobs set status = 'completed', completed_at = clock_timestamp(),
         backup_size_bytes = p_size_bytes,
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = metadata
           || jsonb_build_object('progress', m23.backup_progress(p_job_id), 'manifest', p_manifest,
                                 'manifest_sha256', p_manifest_sha256)
   where id = p_job_id and status = 'in_progress';
  delete from m23.leases where work_id = p_job_id;
end $$;
comment on function public.m23_finish_backup(uuid, uuid, text, text, bigint) is
  'For the workers: ends a backup whose manifest is in the store; refuses one whose position the log does not reach.';
