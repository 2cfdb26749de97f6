-- The log row of work that is done; its figures, for the caller.
create function m23.finish_restore(p_work m23.restore_work, p_outcome jsonb) returns json
language plpgsql as $$
declare
  v_warnings text[] := m23.list_of(p_outcome -> 'warnings');
  v_done     public.restore_logs;
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint, stats = p_outcome -> 'stats',
         tables = coalesce(m23.list_of(p_outcome -> 'tables'), '{}'), snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         metadata = r.metadata || jsonb_strip_nulls(jsonb_build_object(
           'transaction', pg_current_xact_id()::text, 'conflict_count', p_outcome -> 'conflictCount')),
         warnings = r.warnings || m23.staging_warnings(p_work.work_id) || coalesce(v_warnings, '{}')
   where r.id = p_work.work_id returning * into v_done;
  return json_build_object('restored_tables', v_done.tables, 'rows_restored', v_done.rows_restored,
                           'duration', v_done.duration_seconds, 'snapshot_id', v_done.snapshot_id,
                           'warnings', v_done.warnings, 'stats', v_done.stats,
                           'transaction_id', p_outcome -> 'transaction_id',
                           'conflict_count', p_outcome -> 'conflictCount', 'conflicts', p_outcome -> 'conflicts');
end $$;
