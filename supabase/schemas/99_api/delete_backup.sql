-- open to: authenticated, service_role
create function public.delete_backup(p_backup_id uuid) returns timestamptz
language plpgsql volatile security definer set row_security = off as $$
declare
  v_job    public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_needed text := m23.needed_because(v_job);
begin
  if v_job.deleted_at is null then
    if v_needed is not null then
      perform m23.refuse('VALIDATION_FAILED', 'this backup cannot be deleted', array['p_backup_id: ' || v_needed]);
    end if;
    update public.backup_jobs set deleted_at = clock_timestamp() where id = v_job.id
      returning deleted_at into v_job.deleted_at;
    perform m23.audit_done(v_job.tenant_id, 'delete_backup', jsonb_build_object('id', v_job.id));
  end if;
  return v_job.deleted_at + m23.backup_grace_period();
end $$;
comment on function public.delete_backup(uuid) is
  'Deletes a backup, and gives the time from which its objects are gone; until then keep_backup takes it back. '
  'Owner and admin.';
