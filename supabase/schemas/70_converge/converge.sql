-- Converge: the one primitive behind every restore. It makes a tenant's tables what they
-- should be, and touches nothing else:
--
--   plan      the difference between what is and what should be
--   apply     only the difference, every write with the tenant in it
--   check     foreign keys in both directions, then that nothing differs any more

-- The targets whose plan is not empty.
create function m23.targets_with_changes(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return (select coalesce(array_agg(t), '{}') from unnest(p_targets) t
            join m23.plan p on p.table_id = (t).tbl.id and p.inserts + p.updates + p.deletes > 0);
end $$;

-- Makes the targets what they should be. With a plan hash: only if that is still the plan.
-- Changed rows are few among many: the planner should think well of indexes, and knows too little
-- of them to compile anything.
-- Gives `{"stats", "warnings"}`.
create function m23.converge(
  p_tenant text, p_targets m23.target[], p_on_blocked text, p_plan_hash text, p_work uuid
) returns jsonb
language plpgsql set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_since    pg_lsn := pg_current_wal_insert_lsn();
  v_plan     record;
  v_targets  m23.target[];
  v_alone    boolean;
  v_quiet    boolean;
  v_belonged boolean := m23.spared_belongs(p_tenant);
  v_warnings text[] := '{}';
begin
  v_plan := m23.plan_all(p_tenant, p_targets, p_on_blocked, p_lock => true);
  v_targets := v_plan.targets;
  v_alone := not m23.sets_off(v_targets);
  if p_plan_hash is not null then
    if p_plan_hash <> m23.plan_hash(p_tenant, v_targets, p_on_blocked) then
      perform m23.refuse('PLAN_CHANGED', 'the data has changed since the plan was made; look at a new plan first');
    end if;
  end if;
  if cardinality(v_plan.faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_plan.faults);
  end if;
  perform m23.refuse_blocked(v_plan.blocked);
  perform m23.refuse_conflicts(v_targets);
  if not v_alone then
    v_warnings := m23.check_triggers(v_targets);
  end if;
  perform m23.note_access(p_tenant, v_targets);
  perform m23.stop_if_cancelled(p_work);
  v_quiet := v_alone or current_setting('session_replication_role') = 'replica' and cardinality(v_warnings) = 0;
  begin
    perform m23.apply_targets(p_tenant, v_targets, v_quiet);
    perform m23.check_targets(p_tenant, v_targets, p_targets, v_since, v_quiet, p_on_blocked);
    perform m23.refuse_lost_access(p_tenant, v_targets) where v_belonged;
  exception when data_exception or integrity_constraint_violation then
    perform m23.refuse_rows(m23.broken_rules(p_tenant, v_targets));
    raise;
  end;
  -- Back again: foreign keys cascade by triggers, M23's own as well.
  perform set_config('session_replication_role', v_role, true)
    where v_role <> current_setting('session_replication_role');
  perform m23.note_undone(p_tenant, p_targets);
  perform m23.run_after_restore(p_tenant);
  perform m23.stop_if_cancelled(p_work);
  return m23.plan_report(v_warnings) || m23.conflict_report(p_targets);
end $$;
