-- The work of a restore to a time from a chain: which member is read, and the moment inside it
-- (none when the time is the member's own). Null when the time lies after all members, or so far
-- before them that only the log knows it.
create function m23.chain_work(p_tenant text, p_restore jsonb) returns m23.restore_work
language plpgsql volatile as $$
declare
  v_at     timestamptz := (p_restore ->> 'targetTimestamp')::timestamptz;
  v_base   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'baseBackupId')::uuid);
  v_member m23.backup_work;
  v_first  timestamptz;
  v_tables text[];
  v_in_chain m23.moment;
begin
  if v_base.job_type = 'snapshot' then
    perform m23.refuse('BACKUP_UNUSABLE', 'a snapshot has no rows of its own; leave baseBackupId out');
  end if;
  select min(position_at) into v_first from m23.members_around(v_base.id);
  if v_at < v_first and cardinality(m23.target_faults(p_tenant, v_at, m23.list_of(p_restore -> 'tables'))) = 0 then
    return null;
  elsif v_at < v_first then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to',
      array[format('targetTimestamp: is before the full backup of that chain; it can be from %s to %s',
                   m23.iso(v_first), m23.iso(clock_timestamp()))]);
  end if;
  select * into v_member from m23.members_around(v_base.id) w
   where w.position_at >= v_at order by w.position_at limit 1;
  if v_member.job_id is null then return null; end if;
  v_tables := m23.tables_of_member(v_member.job_id, p_restore);
  perform m23.refuse_obstacles(m23.names_now(v_member.job_id, v_tables));
  v_in_chain := m23.moment_in_chain(v_member, v_at);
  perform m23.refuse_moment_in_whole(v_member, v_tables, v_in_chain);
  return m23.new_work(p_tenant, 'pitr',
    p_job => v_member.job_id,
    p_tables => v_tables,
    p_plan_hash => p_restore ->> 'planHash',
    p_in_chain => v_in_chain,
    p_dry_run => coalesce((p_restore ->> 'dryRun')::boolean, false),
    p_on_blocked => p_restore ->> 'onBlocked',
    p_selection => m23.selection_of(v_member.job_id, p_restore));
end $$;
