-- Beside the live data: a schema of its own, out of the API's reach until somebody grants it.
create function m23.restore_beside(p_work m23.restore_work, p_restore public.restore_logs) returns jsonb
language plpgsql as $$
declare
  v_faults text[] := m23.schema_faults(p_restore.target_schema);
  v_target m23.target;
  v_rows   bigint := 0;
  v_names  text[] := '{}';
  v_unknown text[] := '{}';
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  perform m23.lock_tables(m23.relations_of(p_work));
  perform m23.begin_copy(p_restore);
  execute format('grant usage on schema %I to service_role', p_restore.target_schema);
  foreach v_target in array coalesce(m23.complete_targets(m23.targets_of(p_work)), '{}') loop
    perform m23.note_chosen_keys(v_target) where v_target.selection is not null;
    perform m23.plan_table(v_target, p_work.tenant_id) where v_target.selection ? 'operations';
    v_rows := v_rows + m23.copy_beside(v_target, p_restore);
    v_names := v_names || m23.public_name((v_target.tbl).relid);
    v_unknown := v_unknown || m23.unknown_keys(v_target, p_work.tenant_id, format('%I.%I', p_restore.target_schema,
      (select c.relname from pg_class c where c.oid = (v_target.tbl).relid)));
  end loop;
  perform m23.refuse_unknown(v_unknown);
  perform m23.end_copy(p_restore);
  return jsonb_build_object('snapshot_id', null, 'tables', v_names, 'warnings', '[]'::jsonb,
    'stats', jsonb_build_object('insertCount', v_rows, 'updateCount', 0, 'deleteCount', 0, 'totalOperations', v_rows,
                                'affectedTables', to_jsonb(v_names)));
end $$;
