-- What to do about each kind.
create function m23.alert_advice(p_alert m23.alerts) returns text
language sql immutable as $$
  select case p_alert.kind
    when 'backup_failed'
      then 'read error_message of the job in public.backup_jobs, and begin another with backup-create'
    when 'backup_overdue'
      then 'see whether the cron trigger of backup-create comes, and whether the tenant''s last jobs failed'
    when 'damage_found'
      then 'read results of the test in public.recovery_tests, make a full backup now, and test it'
    when 'score_low' then 'call get_health for the tenant: its parts say what is missing'
    when 'capture_broken' then 'select * from m23.doctor(): it says what stands in the way, and what to do'
    when 'gap' then 'make a full backup now: it is what can be restored of the time before'
    when 'cron_late' then 'look at the function''s cron trigger and its log'
    when 'log_large' then 'give the disk more room and raise log_cap_bytes, or lower log_days in m23.settings'
    when 'mass_delete'
      then 'ask the tenant; if it was no intention, preview pitr-restore with this targetTimestamp' end
$$;
