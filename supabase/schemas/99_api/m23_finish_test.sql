-- open to: service_role
create function public.m23_finish_test(
  p_test_id uuid, p_lease uuid, p_tally jsonb, p_restore jsonb default null
) returns jsonb
language plpgsql security definer set row_security = off as $$
declare v_test public.recovery_tests;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.open_checks();
  perform m23.check_records(v_test);
  perform m23.check_recovery_time(v_test, (p_restore ->> 'seconds')::numeric);
  update public.recovery_tests set status = 'completed', completed_at = clock_timestamp(),
         results = m23.test_results(v_test, m23.add_tallies(p_tally, m23.close_checks()), p_restore)
   where id = p_test_id returning * into v_test;
  perform m23.end_work(p_test_id);
  delete from m23.test_work where test_id = p_test_id;
  return v_test.results;
end $$;
comment on function public.m23_finish_test(uuid, uuid, jsonb, jsonb) is
  'For the workers: ends a test with what the examination and the restore found; gives its results.';
