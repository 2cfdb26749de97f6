-- Point-in-time recovery: the wanted rows come from the log, as of a moment. A preview is
-- the same plan, stopped before the write.

-- The work of a restore to a time: from the chain of the backup that is named, as far as that
-- reaches; after its last member from that backup and the log; else from the log.
create function m23.pitr_work(p_tenant text, p_restore jsonb) returns m23.restore_work
language plpgsql volatile as $$
declare
  v_job    uuid := (p_restore ->> 'baseBackupId')::uuid;
  v_dry    boolean := coalesce((p_restore ->> 'dryRun')::boolean, false);
  v_work   m23.restore_work;
  v_tables text[];
  v_parts  text[];  -- what the backup calls them
  v_moment m23.moment;
  v_backup m23.backup_work;
begin
  if p_restore ->> 'targetTimestamp' is null then return m23.transaction_work(p_tenant, p_restore); end if;
  if v_job is not null then
    v_work := m23.chain_work(p_tenant, p_restore);
    v_work.named := m23.tables_named_by(v_job, m23.list_of(p_restore -> 'tables'));
    if v_work.work_id is not null then return v_work; end if;
  end if;
  v_tables := m23.tables_of_choice(p_restore);
  v_moment := m23.requested_moment(p_tenant, (p_restore ->> 'targetTimestamp')::timestamptz, v_tables);
  if v_job is not null then
    v_parts := m23.tables_in_backup(v_job, v_tables);
    select * into v_backup from m23.backup_work where job_id = v_job;
    -- A log that does not know all that has changed since the backup answers alone.
    if v_backup.incarnation <> m23.incarnation()
       or not m23.log_reaches(p_tenant, v_tables, m23.moment_of(v_backup.position, v_backup.position_at)) then
      v_job := null;
    end if;
  end if;
  v_work := m23.new_work(p_tenant, 'pitr',
    p_job => v_job,
    p_moment => v_moment,
    p_tables => case when v_job is null then v_tables else v_parts end,
    p_plan_hash => p_restore ->> 'planHash',
    p_dry_run => v_dry,
    p_on_blocked => p_restore ->> 'onBlocked',
    p_selection => m23.selection_of(v_job, p_restore));
  v_work.named := m23.tables_named_by(v_job, m23.list_of(p_restore -> 'tables'));
  return v_work;
end $$;
