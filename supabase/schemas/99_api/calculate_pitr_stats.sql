-- What a restore to a time would change; with a second time, what changed between the two.
-- open to: authenticated, service_role
create function public.calculate_pitr_stats(
  p_tenant_id text, p_target_timestamp timestamptz, p_base_backup_timestamp timestamptz default null
) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '60s' as $$
declare
  v_tables  text[] := m23.restored_tables(null);
  v_targets m23.target[];
  v_moment  m23.moment;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  perform m23.begin_heavy_read(p_tenant_id, 'stats');
  perform m23.spare_access(auth.uid(), null);
  v_moment := m23.requested_moment(p_tenant_id, p_target_timestamp, v_tables);
  v_targets := m23.logged_targets(v_tables, v_moment);
  if p_base_backup_timestamp is null then
    perform m23.plan_all(p_tenant_id, v_targets, 'refuse');
  else
    perform m23.plan_between(p_tenant_id, v_targets,
                             m23.requested_moment(p_tenant_id, p_base_backup_timestamp, v_tables));
  end if;
  return (select jsonb_build_object('total_operations', s -> 'totalOperations', 'insert_count', s -> 'insertCount',
                                    'update_count', s -> 'updateCount',
                                    'delete_count', s -> 'deleteCount', 'affected_tables', s -> 'affectedTables')
            from (select m23.plan_report('{}') -> 'stats') x (s));
end $$;
comment on function public.calculate_pitr_stats(text, timestamptz, timestamptz) is
  'Net row changes that a restore to p_target_timestamp would make, or, with p_base_backup_timestamp, that lead from '
  'that time to the target.';
