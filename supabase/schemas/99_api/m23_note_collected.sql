-- open to: service_role
create function public.m23_note_collected(p_job_id uuid) returns void
language sql volatile security definer set row_security = off as $$
  update public.backup_jobs
     set metadata = metadata
       || jsonb_build_object(case when deleted_at is null then 'collected_at' else 'purged_at' end, clock_timestamp())
   where id = p_job_id
$$;
comment on function public.m23_note_collected(uuid) is 'For the workers: what m23_next_collection gave is done.';
