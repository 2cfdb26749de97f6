-- What a scheduled incremental can build on: the newest whole backup whose chain can be read and
-- is not too long, if the log still knows what has changed since.
create function m23.scheduled_parent(p_tenant text) returns uuid
language plpgsql volatile as $$
declare
  v_since timestamptz := clock_timestamp() - make_interval(days => m23.setting('full_every_days')::int);
  v_job   public.backup_jobs;
begin
  for v_job in
    select j.* from public.backup_jobs j join public.backup_jobs full_one on full_one.id = coalesce(j.base_backup_id,
        j.id)
     where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null and j.job_type <> 'snapshot'
         and j.tables is null
       and full_one.created_at > v_since
     order by j.completed_at desc, j.id
  loop
    continue when m23.chain_fault(v_job) is not null;
    return (select w.job_id from m23.backup_work w where w.job_id = v_job.id and m23.gaps_since(w, null) = '{}');
  end loop;
  return null;
end $$;
