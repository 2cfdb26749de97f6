-- Accepts a rollback to a snapshot; gives the order for its worker. p_plan_hash: the plan that was looked at.
create function m23.begin_rollback(
  p_tenant text, p_snapshot uuid, p_by uuid, p_reason text, p_plan_hash text default null,
  p_on_blocked text default null
) returns json
language plpgsql volatile as $$
declare
  v_snapshot public.pitr_snapshots := m23.usable_snapshot(p_tenant, p_snapshot);
  v_id       uuid := gen_random_uuid();
  v_chosen   record;
  v_begun    json;
  v_work     m23.restore_work;
begin
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  v_work := m23.new_work(p_tenant, 'rollback',
    p_work => v_id,
    p_moment => m23.snapshot_moment(v_snapshot),
    p_tables => v_chosen.tables,
    p_plan_hash => p_plan_hash,
    p_on_blocked => p_on_blocked);
  v_work.named := m23.tables_of_rollback(v_snapshot, v_chosen.tables);
  v_work.caller := p_by;
  v_begun := m23.begin_work(v_work);
  insert into public.pitr_rollbacks (id, tenant_id, created_by, snapshot_id, reason, status, affected_tables, warnings)
    values (v_id, p_tenant, p_by, v_snapshot.id, p_reason, 'in_progress', v_chosen.tables,
            v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
  return v_begun;
end $$;
