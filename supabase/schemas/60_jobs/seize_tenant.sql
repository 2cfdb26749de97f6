-- Has the tenant to itself until the end of the transaction: no backup, restore or writer of
-- it is under way, and none begins.
create function m23.seize_tenant(p_tenant text) returns void
language plpgsql volatile as $$
declare v_deadline timestamptz := clock_timestamp() + make_interval(secs => m23.setting('restore_wait_seconds')::int);
begin
  perform m23.sweep_restores(p_tenant);
  perform m23.refuse_busy(p_tenant);
  -- Work begins under a request: those that are beginning are waited for, no new one is admitted.
  perform pg_advisory_xact_lock(m23.window_key(p_tenant, 'backup-create'));
  perform from m23.requests where tenant_id = p_tenant for update;
  perform m23.refuse_busy(p_tenant);
  insert into m23.restore_work (work_id, tenant_id, kind) values (gen_random_uuid(), p_tenant, 'rollback');
  loop
    begin
      perform m23.take_fence(p_tenant);
      exit;
    exception when lock_not_available then
      if clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
exception
  when unique_violation then
    raise exception 'a restore or rollback of this tenant is running' using errcode = 'object_in_use';
  when lock_not_available then
    raise exception 'other transactions are at work on this tenant'
      using errcode = 'object_in_use', hint = 'Try again.';
end $$;
