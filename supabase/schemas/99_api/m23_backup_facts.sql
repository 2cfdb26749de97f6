-- The facts of a finished backup; the archive crate writes the manifest from them.
-- open to: service_role
create function public.m23_backup_facts(p_job_id uuid, p_lease uuid) returns json
language plpgsql security definer set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if exists (select from m23.backup_tables where job_id = p_job_id and not (done and history_done)) then
    perform m23.refuse('UNAVAILABLE', 'not every table of this backup has been read to its end');
  end if;
  perform m23.refuse_erased_key(p_job_id);
  return (select json_strip_nulls(json_build_object(
      'backup_id', j.id, 'tenant_id', j.tenant_id, 'backup_name', j.backup_name, 'job_type', j.job_type,
      'position', w.position::text, 'position_at', w.position_at, 'incarnation', w.incarnation,
      'server_version', current_setting('server_version_num')::int,
      'base_backup_id', j.base_backup_id, 'parent', m23.parent_facts(j.parent_backup_id),
      'commit_times', w.commit_times, 'ticks', w.ticks, 'definitions', w.definitions,
      'tables', (select json_agg(json_build_object(
          'schema', t.schema_name, 'name', t.table_name, 'tenant_column', t.tenant_column,
          'path', t.path, 'key', t.key,
          'columns', t.columns, 'definition', t.definition, 'whole', t.whole, 'groups', m23.groups_of_part(t),
          'chunks', m23.chunks_of(t, false), 'history', m23.chunks_of(t, true))
          order by t.ordinal) from m23.backup_tables t where t.job_id = j.id)))
    from public.backup_jobs j join m23.backup_work w on w.job_id = j.id where j.id = p_job_id);
end $$;
