-- open to: authenticated, service_role
create function public.cancel_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set row_security = off as $$
declare v_job public.backup_jobs;
begin
  -- Its worker takes the lease before the job: taken the other way round, the two would wait for each other.
  perform from m23.leases l join public.backup_jobs j on j.id = l.work_id
    where l.work_id = p_backup_id and m23.is_member(j.tenant_id) for update of l;
  v_job := m23.backup_for(p_backup_id, array['owner', 'admin', 'operator']);
  if v_job.status not in ('pending', 'in_progress') then return false; end if;
  perform m23.fail_backup(v_job.id, 'cancelled by ' || coalesce(auth.uid()::text, 'the service key'));
  perform m23.audit_done(v_job.tenant_id, 'cancel_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.cancel_backup(uuid) is
  'Ends a backup that waits or runs, as failed; true if it did. Its worker stops at the next step. '
  'Owner, admin and operator.';
