-- open to: authenticated, service_role
create function public.get_backup_statistics(p_tenant_id text, p_days_back int default 30) returns jsonb
language plpgsql stable security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return (select jsonb_build_object(
      'total_backups', count(*), 'successful_backups', count(*) filter (where status = 'completed'),
      'failed_backups', count(*) filter (where status = 'failed'),
      'total_size_bytes', coalesce(sum(backup_size_bytes) filter (where status = 'completed'), 0),
      'avg_duration_seconds', coalesce(round(avg(duration_seconds) filter (where status = 'completed'), 3), 0))
    from public.backup_jobs
   where tenant_id = p_tenant_id
     and created_at > now() - make_interval(days => greatest(0, least(p_days_back, 36500))));
end $$;
comment on function public.get_backup_statistics(text, int) is
  'The backups of the last days in figures: how many, how they ended, bytes stored, and seconds on average.';
