-- open to: service_role
create function public.m23_claim_test(p_test_id uuid default null) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_test  public.recovery_tests;
  v_lease m23.leases;
begin
  for v_test in
    select t.* from public.recovery_tests t join m23.test_work w on w.test_id = t.id
     where p_test_id is null or t.id = p_test_id order by t.created_at
  loop
    -- One whose restore is under way holds its lock, however long it takes.
    continue when not pg_try_advisory_xact_lock(m23.test_key(v_test.id));
    v_lease := m23.take_lease(v_test.id);
    if v_lease.taken > 5 then
      perform m23.fail_test(v_test.id, 'five workers have taken this test up without getting further');
    elsif v_lease.token is not null then
      update public.recovery_tests set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp())
       where id = v_test.id;
      return m23.test_plan(v_test, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_test(uuid) is
  'For the workers: takes the lease of a test (this one, or any that nobody drives) and gives what to examine; '
  'null when there is none.';
