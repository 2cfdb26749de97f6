-- The request of a plan's next backup: a full one where none is there to build on; between full
-- ones an incremental or a snapshot, where the plan has them.
create function m23.scheduled_backup(p_plan public.dr_plans) returns jsonb
language plpgsql volatile as $$
declare v_parent uuid := m23.scheduled_parent(p_plan.tenant_id);
begin
  return jsonb_strip_nulls(jsonb_build_object(
    'backupName', m23.name_of_run(p_plan),
    'description', format('Made by the plan "%s"', p_plan.plan_name),
    'baseBackupId', case when 'incremental' = any (p_plan.backup_types) then v_parent end,
    'jobType', case
      when p_plan.backup_types = '{snapshot}' then 'snapshot'
      when v_parent is null then 'full'
      when 'incremental' = any (p_plan.backup_types) then 'incremental'
      when 'snapshot' = any (p_plan.backup_types) then 'snapshot'
      else 'full' end));
end $$;
