-- open to: service_role
create function public.m23_stage_test(p_test_id uuid, p_lease uuid) returns json
language plpgsql security definer set row_security = off as $$
declare
  v_test public.recovery_tests;
  v_work m23.restore_work;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.forget_lost_staging(p_test_id);
  select * into v_work from m23.restore_work where work_id = p_test_id;
  if v_work.work_id is null then
    insert into m23.restore_work (work_id, tenant_id, kind, job_id)
      values (p_test_id, v_test.tenant_id, 'test', v_test.backup_job_id) returning * into v_work;
    update m23.test_work set staging_at = clock_timestamp() where test_id = p_test_id;
  end if;
  return m23.order_of(v_work, p_lease);
end $$;
comment on function public.m23_stage_test(uuid, uuid) is
  'For the workers: what has to be read back for a deep test, as for a restore, from where the last worker stopped. '
  'The time to recover counts from the first call.';
