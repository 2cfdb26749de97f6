-- Work on a backup that is a position: its rows come from the log.
create function m23.from_snapshot(p_work m23.restore_work) returns m23.restore_work
language plpgsql volatile as $$
declare
  v_backup m23.backup_work;
  v_fault  text;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  p_work.tables := m23.names_now(p_work.job_id, p_work.tables);  -- from here on they are those of live tables
  p_work.moment := m23.moment_of(v_backup.position, v_backup.position_at);
  select coalesce(min(m23.moment_fault(t, p_work.moment)), m23.tenant_fault(p_work.tenant_id, p_work.moment))
    into v_fault
    from m23.tables_named(p_work.tables) t;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'this snapshot can no longer be restored: ' || v_fault);
  end if;
  p_work.job_id := null;
  return p_work;
end $$;
