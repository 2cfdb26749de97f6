-- Plans, tells, and takes the plan away: stats, rows, hash, faults of the choice. Without a
-- moment the first 10,000 rows of each table are kept for the pages to come.
create function m23.preview_targets(
  p_tenant text, p_targets m23.target[], p_moment m23.moment, p_tables text[], p_on_blocked text, p_warnings text[],
  p_selection jsonb default null
) returns jsonb
language plpgsql volatile set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_plan    record;
  v_target  m23.target;
  v_changes jsonb := '{}';
  v_counts  jsonb := '{}';
  v_planned bigint;
  v_room    bigint := m23.preview_bytes();
  v_cut     boolean := false;
  v_shown   jsonb;
  v_rows    jsonb;
  v_preview m23.previews;
  v_foreseen record;
  v_lost    jsonb;
begin
  v_plan := m23.plan_fitting(p_tenant, p_targets, p_on_blocked);
  if cardinality(v_plan.faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_plan.faults);
  end if;
  v_foreseen := m23.foresee(p_tenant, v_plan.targets, v_plan.unfit, v_plan.blocked);
  perform m23.note_access(p_tenant, v_plan.targets);
  insert into m23.previews (tenant_id, moment, tables, plan_hash, left_alone, on_blocked, spares, selection)
    values (p_tenant, p_moment, coalesce(p_tables, '{}'), m23.plan_hash(p_tenant, v_plan.targets, p_on_blocked),
            exists (select from m23.plan p where p.left_alone + p.nulled > 0), p_on_blocked,
            current_setting('m23.spares', true), p_selection)
    returning * into v_preview;
  perform m23.drop_old_previews(p_tenant);
  v_lost := m23.rows_lost(p_tenant, v_plan.targets);
  foreach v_target in array m23.targets_with_changes(v_plan.targets) loop
    select p.inserts + p.updates + p.deletes into v_planned from m23.plan p where p.table_id = (v_target.tbl).id;
    v_shown := m23.preview_rows(v_target, p_tenant, 0, 100, v_room);
    v_room := v_room - octet_length(v_shown::text);
    v_cut := v_cut or jsonb_array_length(v_shown) < least(v_planned, 100);
    v_changes := v_changes || jsonb_build_object(m23.public_name((v_target.tbl).relid), v_shown);
    v_counts := v_counts || jsonb_build_object(m23.public_name((v_target.tbl).relid), v_planned);
    if (p_moment).floor is null then
      v_rows := m23.preview_rows(v_target, p_tenant, 0, 10000, 32 * m23.preview_bytes(), true);
      insert into m23.preview_rows values (v_preview.id, m23.public_name((v_target.tbl).relid), v_rows);
    end if;
  end loop;
  return m23.plan_report(p_warnings || v_foreseen.warnings) || jsonb_strip_nulls(jsonb_build_object(
    'previewId', v_preview.id, 'planHash', v_preview.plan_hash, 'truncated', case when v_cut then true end,
    'wouldFail', v_foreseen.refusal)) || m23.conflict_report(p_targets)
    || jsonb_build_object('previewChanges', v_changes, 'changeCounts', v_counts, 'rowsLost', v_lost);
end $$;
