-- Takes up a detached restore that nobody drives or writes; null when there is none.
-- open to: service_role
create function public.m23_claim_restore() returns json
language plpgsql security definer set row_security = off as $$
declare
  v_work  m23.restore_work;
  v_lease m23.leases;
begin
  for v_work in
    select w.* from m23.restore_work w
     where w.detached
       and not exists (select from m23.leases l where l.work_id = w.work_id and l.until > clock_timestamp())
     order by w.work_id
  loop
    continue when not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id));
    v_lease := m23.take_lease(v_work.work_id);
    if v_lease.taken > 5 then
      perform m23.fail_restore(v_work.work_id,
                               'five workers have taken this restore up without getting further; nothing was changed');
    elsif v_lease.token is not null then
      return m23.order_of(v_work, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_restore() is
  'For the workers: takes the lease of a restore that goes on without its caller and '
  'lost its worker, and gives its order.';
