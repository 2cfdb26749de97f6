-- Adoption: a database learns of a backup from its manifest. It notes what is needed to read the rows, and executes
-- nothing that the manifest says: types and tables that are missing are made by `m23 catalogue rebuild`, with the
-- rights of whoever connects, before a restore fills them.
create function m23.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql as $$
declare
  v_id     uuid := (p_manifest ->> 'backup_id')::uuid;
  v_parent uuid := (p_manifest -> 'parent' ->> 'backup_id')::uuid;
  v_known  m23.backup_work;
begin
  if p_manifest ->> 'format' is distinct from 'm23-archive' or (p_manifest ->> 'version')::int not in (1, 2, 3) then
    raise exception 'this is not a manifest that this version knows' using errcode = 'invalid_parameter_value';
  elsif p_object is distinct from m23.backup_prefix(p_manifest ->> 'tenant_id', v_id) || '/manifest.json' then
    raise exception 'the manifest of the backup % does not lie at %', v_id, p_object
      using errcode = 'invalid_parameter_value';
  end if;
  select * into v_known from m23.backup_work where job_id = v_id;
  if v_known.manifest_sha256 = p_sha256 then
    return v_id;
  elsif v_known.job_id is not null or exists (select from public.backup_jobs where id = v_id) then
    raise exception 'the backup % is here already, with another manifest', v_id using errcode = 'unique_violation';
  elsif v_parent is not null
     and not exists (select from m23.backup_work w
                      where w.job_id = v_parent and w.manifest_sha256 = p_manifest -> 'parent' ->> 'sha256') then
    raise exception 'the backup % builds on %, which is not here, or is another: adopt that first', v_id, v_parent
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  perform m23.note_adopted(p_manifest, p_object, p_sha256);
  return v_id;
end $$;
comment on function m23.adopt_backup(jsonb, text, text) is
  'Records a backup from its manifest, the manifest''s object and its SHA-256, and executes nothing. Full backups '
  'before their incrementals. Again: nothing.';
