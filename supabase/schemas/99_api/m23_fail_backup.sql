-- open to: service_role
create function public.m23_fail_backup(p_job_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  perform m23.fail_backup(p_job_id, p_error);
end $$;
comment on function public.m23_fail_backup(uuid, uuid, text) is 'For the workers: ends a backup as failed.';
