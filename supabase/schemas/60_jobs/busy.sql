-- Why a tenant cannot be forgotten now; null when it can.
create function m23.busy(p_tenant text) returns text
language sql volatile as $$
  select case
    when exists (select from m23.restore_work where tenant_id = p_tenant)
    then 'a restore or rollback of this tenant is running'
    when exists (select from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
                  where j.tenant_id = p_tenant and j.status in ('pending', 'in_progress'))
    then 'a backup of this tenant is running' end
$$;

-- Refuses, for whoever calls in SQL, where m23.busy gives a reason.
create function m23.refuse_busy(p_tenant text) returns void
language plpgsql volatile as $$
declare v_busy text := m23.busy(p_tenant);
begin
  if v_busy is not null then
    raise exception '%', v_busy using errcode = 'object_in_use', hint = 'Wait for its end, or cancel it.';
  end if;
end $$;
