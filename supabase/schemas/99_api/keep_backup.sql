-- open to: authenticated, service_role
create function public.keep_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set row_security = off as $$
declare
  v_job   public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_fault text := m23.chain_fault((select j from public.backup_jobs j where j.id = v_job.parent_backup_id));
begin
  if v_job.deleted_at is null then
    return false;
  elsif v_job.deleted_at + m23.backup_grace_period() < clock_timestamp() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the time to take this backup back is over');
  elsif v_job.parent_backup_id is not null and v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'what this backup builds on has to be taken back first',
                       array['p_backup_id: ' || v_fault]);
  end if;
  update public.backup_jobs set deleted_at = null where id = v_job.id;
  perform m23.audit_done(v_job.tenant_id, 'keep_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.keep_backup(uuid) is
  'Takes a deleted backup back within its grace period; true if it was deleted. Owner and admin.';
