-- open to: authenticated, service_role
create function public.get_fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text)
language plpgsql stable security definer rows 1000 set row_security = off as $$
begin
  perform m23.require_platform();
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan, f.worst, f.why
    from m23.fleet() f;
end $$;
comment on function public.get_fleet() is
  'How every tenant stands, the worst first, with what is worst in words. For the platform''s operator '
  '(app_metadata.m23_platform) and the service key.';
