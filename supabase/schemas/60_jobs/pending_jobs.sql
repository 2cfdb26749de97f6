-- Backup jobs that wait to be run (createBackupJob): a tenant has so many at most, and those that nobody runs go.

-- Whether anybody has begun to run a job.
create function m23.has_begun(p_job uuid) returns boolean
language sql stable as $$ select exists (select from m23.backup_work w where w.job_id = p_job) $$;

-- Refuses a job of a tenant that has pending_jobs of them already.
create function m23.refuse_more_jobs() returns trigger
language plpgsql security definer set row_security = off as $$
declare v_most int := m23.setting('pending_jobs')::int;
begin
  perform pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'm23.pending', new.tenant_id), 0));
  if v_most <= (select count(*) from public.backup_jobs j
                 where j.tenant_id = new.tenant_id and j.status = 'pending') then
    perform m23.refuse('VALIDATION_FAILED',
                       format('this tenant has %s backup jobs that wait to be run; run or cancel one of them first',
                              v_most),
                       array['backup_jobs: too many are pending']);
  end if;
  return new;
end $$;

-- M23's own functions write as its owner, and run what they write.
create trigger refuse_more_jobs before insert on public.backup_jobs for each row
  when (new.status = 'pending' and current_user in ('authenticated', 'service_role'))
  execute function m23.refuse_more_jobs();

-- Removes jobs that nobody has run for pending_job_days; gives how many.
create function m23.sweep_pending_jobs() returns bigint
language plpgsql volatile as $$
declare v_count bigint;
begin
  delete from public.backup_jobs j
   where j.status = 'pending'
     and j.created_at < clock_timestamp() - make_interval(days => m23.setting('pending_job_days')::int)
     and not m23.has_begun(j.id);
  get diagnostics v_count = row_count;
  return v_count;
end $$;
