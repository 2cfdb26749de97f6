-- The targets of work on an archive: its rows, or with a moment what the log makes of them.
create function m23.staged_targets(p_work m23.restore_work) returns m23.target[]
language plpgsql as $$
declare
  v_backup m23.backup_work;
  v_logged m23.moment;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  if v_backup.incarnation = m23.incarnation() then
    v_logged := m23.moment_of(v_backup.position);  -- without a time: the staging of its tables has told of their shape
  end if;
  return (select array_agg(case
      when (p_work.moment).position is not null then m23.new_target(t, p_work.moment,
        p_wanted => m23.staged_at_moment(
          s, m23.staged_query(s, t, p_work.tenant_id), t, v_backup.position, p_work.moment,
          m23.log_of(t.id, p_work.tenant_id, least((p_work.moment).floor, pg_snapshot_xmin(v_backup.position)), false)),
        p_columns => m23.stored_columns(t.relid),
        p_path => m23.path_of(t.relid),
        p_kept => m23.newer_columns(t, p_work.moment),
        p_selection => m23.selection_of_table(p_work.selection, t.id))
      else m23.new_target(t, v_logged,
        p_wanted => m23.with_newer(s, t, m23.staged_query(s, t, p_work.tenant_id)),
        p_columns => m23.stored_columns(t.relid),
        p_arrived => m23.arrived_since(s, t, p_work, v_logged),
        p_path => m23.path_of(t.relid),
        p_kept => m23.newer_than(s, t),
        p_selection => m23.selection_of_table(p_work.selection, t.id)) end
      order by m23.public_name(t.relid))
    from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id
   where s.restore_id = p_work.work_id);
end $$;
