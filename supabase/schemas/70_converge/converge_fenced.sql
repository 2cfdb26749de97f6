-- Has the tenant to itself, or tries again: it waits for the fence while it holds
-- nothing, and once it holds the fence it waits for nobody. Rolling the attempt back
-- gives everything back, the fence too. After a first failure the rows are taken right
-- after the fence: while a plan is made, more writers could come to hold some.
create function m23.converge_fenced(
  p_tenant text, p_targets m23.target[], p_on_blocked text, p_plan_hash text, p_snapshot uuid, p_work uuid
) returns jsonb
language plpgsql as $$
declare
  v_wait     int := m23.setting('restore_wait_seconds')::int;
  v_deadline timestamptz := clock_timestamp() + make_interval(secs => v_wait);
  v_again    boolean := false;
  v_early    m23.target[];
begin
  loop
    begin
      perform set_config('lock_timeout', v_wait || 's', true);
      if v_again then v_early := m23.plan_early(p_tenant, p_targets, p_on_blocked); end if;
      perform m23.await_fence(p_tenant, p_work, v_deadline);
      -- Long enough for the space that a busy table or log grows by, and shorter than the
      -- server takes to look for deadlocks: nobody else becomes a victim.
      perform set_config('lock_timeout', '200ms', true);
      if v_again then perform m23.lock_early(p_tenant, v_early); end if;
      update public.pitr_snapshots set snapshot_data = snapshot_data || m23.snapshot_here() where id = p_snapshot;
      return m23.converge(p_tenant, p_targets, p_on_blocked, p_plan_hash, p_work);
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > v_deadline then
        perform m23.refuse('UNAVAILABLE',
          format('other transactions held rows of this tenant for %s seconds; nothing was changed, try again', v_wait));
      end if;
    end;
    v_again := true;
    perform m23.stop_if_cancelled(p_work);
    perform pg_sleep(0.02);
  end loop;
end $$;
