-- Executing: the one transaction in which live data is touched, from what was staged or from the log.

-- Executes a restore or rollback, or plans it for a dry run. Gives its figures.
create function m23.execute_work(p_work m23.restore_work) returns json
language plpgsql as $$
declare
  v_log      public.restore_logs;
  v_rollback public.pitr_rollbacks;
begin
  if p_work.kind = 'rollback' then
    select * into v_rollback from public.pitr_rollbacks where id = p_work.work_id;
    return m23.finish_rollback(v_rollback, m23.restore_live(p_work, v_rollback.created_by));
  end if;
  select * into v_log from public.restore_logs where id = p_work.work_id;
  perform m23.check_staged(p_work.work_id);
  perform m23.rewind_staged(p_work);
  if m23.is_empty(p_work) and not p_work.dry_run then
    perform m23.refuse('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id));
  end if;
  if p_work.dry_run then
    return m23.note_preview(p_work, m23.preview_work(p_work)::jsonb);
  end if;
  return m23.finish_restore(p_work,
    case when v_log.target_schema is null then m23.restore_live(p_work, v_log.created_by)
         else m23.restore_beside(p_work, v_log) end);
end $$;
