-- Children before parents. Another tenant's job may name one of these as its base: it could
-- never be run, and lets go.
create function m23.forget_records(p_tenant text) returns jsonb
language plpgsql volatile as $$
declare
  v_table   text;
  v_count   bigint;
  v_removed jsonb := '{}';
begin
  update public.restore_logs set snapshot_id = null where tenant_id = p_tenant;
  update public.backup_jobs set base_backup_id = null, parent_backup_id = null
   where tenant_id <> p_tenant
     and (base_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant)
          or parent_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant));
  delete from m23.leases
   where work_id in (select id from public.backup_jobs where tenant_id = p_tenant
                     union all select id from public.recovery_tests where tenant_id = p_tenant);
  perform set_config('m23.forgetting', p_tenant, true);
  foreach v_table in array array[
      'public.audit_log', 'm23.audit_heads', 'm23.audit_checkpoints', 'm23.refusals', 'm23.requests',
      'm23.raised_limits', 'm23.undone_except', 'm23.undone', 'm23.returns',
      'm23.previews', 'public.pitr_rollbacks', 'public.pitr_snapshots', 'public.recovery_tests',
      'public.restore_logs', 'public.dr_plans', 'public.health_snapshots', 'm23.backup_work', 'public.backup_jobs',
      'm23.archive_keys', 'm23.after_restore_hooks', 'm23.seen_tenants', 'm23.round_tenants', 'm23.alerts'] loop
    execute format('delete from %s where tenant_id = $1', v_table) using p_tenant;
    get diagnostics v_count = row_count;
    v_removed := v_removed || jsonb_build_object(split_part(v_table, '.', 2), v_count);
  end loop;
  return v_removed;
end $$;
