-- open to: service_role
create function public.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql security definer set row_security = off as $$
declare v_id uuid := m23.adopt_backup(p_manifest, p_object, p_sha256);
begin
  perform m23.audit_done((select j.tenant_id from public.backup_jobs j where j.id = v_id), 'adopt_backup',
                         jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.adopt_backup(jsonb, text, text) is
  'For administrators, with the service key: m23.adopt_backup.';
