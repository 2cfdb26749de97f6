-- Code and HTTP status belong together in one place.
create function m23.refusal_status(p_code text) returns int
language sql immutable as $$
  select case p_code
    when 'AUTH_REQUIRED' then 401
    when 'TENANT_NOT_FOUND' then 403
    when 'INSUFFICIENT_PERMISSIONS' then 403
    when 'VALIDATION_FAILED' then 400
    when 'BACKUP_NOT_FOUND' then 404
    when 'SNAPSHOT_NOT_FOUND' then 404
    when 'RESTORE_IN_PROGRESS' then 409
    when 'RATE_LIMIT_EXCEEDED' then 429
    when 'PLAN_CHANGED' then 409
    when 'BACKUP_UNUSABLE' then 409
    when 'CONFLICT' then 409
    when 'UNAVAILABLE' then 503
    else 500 end
$$;
