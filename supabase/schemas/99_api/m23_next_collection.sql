-- The next prefix with objects to be deleted, and those below it that stay: of backups deleted
-- longer ago than the grace period and of failed ones everything goes, of complete ones whatever
-- the manifest does not name. A prefix that this database does not know is left alone.
-- open to: service_role
create function public.m23_next_collection() returns json
language sql volatile security definer set row_security = off as $$
  select m23.refuse_other_versions();
  select json_build_object('job_id', w.job_id, 'prefix', w.prefix || '/', 'keep', case
           when j.status = 'completed' and j.deleted_at is null
           then (select coalesce(json_agg(o), '[]') from (
                   select c.object as o from m23.backup_chunks c where c.job_id = w.job_id
                   union all
                   select w.manifest
                   union all
                   select w.prefix || '/manifest.mac') objects)
           else '[]' end)
    from m23.backup_work w join public.backup_jobs j on j.id = w.job_id
   where j.job_type <> 'snapshot' and (
         (j.deleted_at + m23.backup_grace_period() < clock_timestamp() and not j.metadata ? 'purged_at')
      or (j.deleted_at is null and j.status in ('completed', 'failed')
          and j.completed_at < clock_timestamp() - interval '1 day' and not j.metadata ? 'collected_at'))
   order by j.completed_at limit 1
$$;
comment on function public.m23_next_collection() is
  'For the workers: where objects are to be deleted next; null when nowhere.';
