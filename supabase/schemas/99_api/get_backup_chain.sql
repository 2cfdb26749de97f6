-- open to: authenticated, service_role
create function public.get_backup_chain(p_backup_id uuid) returns setof public.backup_jobs
language plpgsql stable security definer set row_security = off as $$
declare v_tenant text := (select j.tenant_id from public.backup_jobs j where j.id = p_backup_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null or not m23.is_member(v_tenant) then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  return query select * from m23.chain_of(p_backup_id);
end $$;
comment on function public.get_backup_chain(uuid) is
  'The chain of a backup: the full one first, then its incrementals up to this one.';
