-- Plans that are overdue or fail.
create function m23.doctor_plans() returns setof m23.finding
language sql stable as $$
  select 'plans', 'problem',
         format('overdue: %s plans have been due for more than %s minutes: of the tenants %s', count(*),
                m23.setting('plan_late_minutes'), m23.some_of(array_agg(distinct p.tenant_id))),
         'see that the cron triggers of backup-create and recovery-test come, and look at their logs'
    from public.dr_plans p
   where p.is_active and least(p.next_backup_date, p.next_test_date)
                         < clock_timestamp() - make_interval(mins => m23.setting('plan_late_minutes')::int)
  having count(*) > 0
  union all
  select 'plans', 'problem',
         format('failing: the last backup of %s plans has failed: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct p.tenant_id))),
         'read error_message in public.backup_jobs; the next due time tries again'
    from public.dr_plans p
    join lateral (select j.status from m23.plan_runs r join public.backup_jobs j on j.id = r.work_id
                   where r.plan_id = p.id and r.kind = 'backup' and j.status in ('completed', 'failed')
                   order by r.due_at desc limit 1) last on last.status = 'failed'
   where p.is_active
  having count(*) > 0
$$;
