-- Gives what a restore would do; null where that is for the archive alone to say, and p_work then.
create function m23.look_at_pitr(p_work m23.restore_work, p_restore jsonb) returns jsonb
language plpgsql volatile as $$
declare
  v_moment m23.moment := m23.known_moment(p_work);
  v_tables text[] := case when p_work.job_id is null then p_work.tables
                          else m23.names_now(p_work.job_id, p_work.tables) end;
  v_said   text[];
begin
  -- Without a backup the log has been asked already.
  if p_work.job_id is not null and not m23.log_reaches(p_work.tenant_id, v_tables, v_moment) then
    return null;
  end if;
  perform m23.spare_access(p_work.caller, p_work.named);
  v_said := m23.moment_warnings((p_restore ->> 'targetTimestamp')::timestamptz, v_moment, m23.named_tables(p_restore))
    || m23.access_warnings(p_work.tenant_id, m23.list_of(p_restore -> 'tables'), v_moment)
    || m23.choice_warnings(p_restore);
  if (p_work.undo).xids is not null then
    return m23.preview_targets(p_work.tenant_id, m23.undo_targets(p_work.undo, v_moment), null, null,
                               p_work.on_blocked, v_said);
  end if;
  return m23.preview(p_work.tenant_id, v_moment, v_tables, p_work.on_blocked, v_said, p_work.selection);
end $$;
