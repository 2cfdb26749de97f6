-- open to: service_role
create function public.m23_fail_restore(p_restore_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  perform m23.fail_restore(p_restore_id, p_error);
end $$;
comment on function public.m23_fail_restore(uuid, uuid, text) is
  'For the workers: ends a restore or rollback as failed.';
