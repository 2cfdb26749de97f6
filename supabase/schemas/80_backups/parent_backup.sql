-- The backup that an incremental names as its parent; null for none.
create function m23.parent_backup(p_tenant text, p_id uuid) returns public.backup_jobs
language plpgsql volatile as $$
declare
  v_parent public.backup_jobs;
  v_fault  text;
begin
  if p_id is null then return null; end if;
  select * into v_parent from public.backup_jobs where id = p_id and tenant_id = p_tenant;
  if v_parent.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant to build on');
  end if;
  v_fault := case when v_parent.job_type = 'snapshot'
                    then 'it is a snapshot, which lives inside the database; build on a full or an incremental backup'
                  else m23.chain_fault(v_parent) end;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup',
                       array['baseBackupId: ' || v_fault]);
  end if;
  return v_parent;
end $$;
