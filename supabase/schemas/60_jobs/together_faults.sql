-- What a body's fields have to do with each other. p_dry_run: the call only looks (true), or changes data (false); null
-- where the body decides.
create function m23.together_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
language plpgsql stable as $$
declare
  v_confirm text := case p_function when 'pitr-rollback' then 'confirmRollback' else 'confirmRestore' end;
  v_is_dry  boolean := coalesce(p_body -> 'dryRun' = 'true', false);
begin
  if p_function = 'backup-create' then
    return array_remove(array[
      case when not p_body ?| '{jobId,jobType}'
           then 'jobType: is required and must be one of full, incremental, snapshot' end,
      case when p_body ->> 'jobType' = 'incremental' and not p_body ? 'baseBackupId'
           then 'baseBackupId: is required for incremental' end], null)
      || array(select k || ': cannot be combined with jobId' from jsonb_object_keys(p_body) k
                where p_body ? 'jobId' and k <> 'jobId' order by k);
  elsif p_function = 'recovery-test' then
    return '{}';
  end if;
  return case when p_function = 'pitr-restore' then m23.moment_field_faults(p_body) else '{}' end || array_remove(array[
    case when p_body ? 'targetSchema' and p_body ->> 'mode' in ('missing_only', 'overwrite_existing')
         then 'mode: is for live tables, not for targetSchema' end,
    case when p_body ? 'targetSchema' and p_body ? 'withRelated'
         then 'withRelated: is for live tables, not for targetSchema' end,
    case when p_body ? 'targetSchema' and v_is_dry then 'dryRun: is for live tables, not for targetSchema' end,
    case when p_dry_run <> v_is_dry then 'dryRun: must be ' || p_dry_run end,
    case when not v_is_dry and p_body -> v_confirm is distinct from 'true'
         then v_confirm || ': must be true' end], null);
end $$;
