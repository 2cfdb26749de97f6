-- A backup of a tenant that can be read with all that it builds on; refused else. Without p_needs_key an erased key
-- does not matter.
create function m23.restorable_backup(
  p_tenant text, p_job uuid, p_needs_key boolean default true
) returns public.backup_jobs
language plpgsql as $$
declare
  v_job   public.backup_jobs;
  v_fault text;
begin
  select * into v_job from public.backup_jobs where id = p_job and tenant_id = p_tenant;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  v_fault := m23.chain_fault(v_job, p_needs_key);
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_fault);
  end if;
  return v_job;
end $$;
