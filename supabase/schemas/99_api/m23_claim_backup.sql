-- open to: service_role
create function public.m23_claim_backup(p_job_id uuid default null) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_job   uuid;
  v_lease m23.leases;
begin
  for v_job in
    select j.id from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
     where j.status in ('pending', 'in_progress') and (p_job_id is null or j.id = p_job_id)
     order by j.created_at
  loop
    v_lease := m23.take_lease(v_job);
    if v_lease.taken > 5 then
      perform m23.fail_backup(v_job, 'five workers have taken this backup up without getting further');
    elsif v_lease.token is not null then
      update public.backup_jobs set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp())
       where id = v_job;
      return m23.backup_plan(v_job, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_backup(uuid) is
  'For the workers: takes the lease of a job (this one, or any accepted one that nobody drives) and gives its plan; '
  'null when there is none.';
