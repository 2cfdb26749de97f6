-- open to: authenticated, service_role
create function public.cancel_restore(p_id uuid) returns boolean
language plpgsql volatile security definer set row_security = off as $$
declare v_tenant text := (select w.tenant_id from m23.restore_work w where w.work_id = p_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null then return false; end if;
  perform m23.require_role(v_tenant, array['owner', 'admin']);
  insert into m23.cancellations (work_id, by)
    values (p_id, coalesce(auth.uid(), '00000000-0000-0000-0000-000000000000')) on conflict do nothing;
  perform m23.audit_done(v_tenant, 'cancel_restore', jsonb_build_object('id', p_id));
  return true;
end $$;
comment on function public.cancel_restore(uuid) is
  'Asks a running restore or rollback to stop before its commit; true if it was running. '
  'Its log row ends as cancelled. Owner and admin.';
