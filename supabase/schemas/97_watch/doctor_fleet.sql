-- Tenants without a plan or without a backup that is young enough, and restores that failed.
create function m23.doctor_fleet() returns setof m23.finding
language sql stable as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backups', 'problem',
         format('the newest good backup of %s tenants is older than their RPO: of %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'select * from m23.overview() where late; read error_message of their newest rows in public.backup_jobs, and '
         'begin one with backup-create'
    from fleet f where f.late having count(*) > 0
  union all
  select 'plans', 'warning',
         format('%s tenants have no active plan, and nothing backs them up by itself: %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'insert a plan for each into public.dr_plans, or set one for all with m23.set_default_plan'
    from fleet f where f.plan is null having count(*) > 0
  union all
  select 'plans', 'warning',
         'no default plan is set: a new tenant is not backed up until somebody makes a plan for it',
         'select m23.set_default_plan(''{"rto_minutes": …, "rpo_minutes": …, "backup_frequency": "daily", '
         '"test_frequency": "weekly"}'')'
   where m23.setting('default_plan') = ''
  union all
  select 'restores', 'warning',
         format('%s restores and rollbacks failed in the last 24 hours: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct r.tenant_id))),
         'read error_message in public.restore_logs and public.pitr_rollbacks: a restore that fails has changed nothing'
    from (select l.tenant_id, l.status, l.completed_at from public.restore_logs l
          union all select b.tenant_id, b.status, b.completed_at from public.pitr_rollbacks b) r
   where r.status = 'failed' and r.completed_at > clock_timestamp() - interval '24 hours' having count(*) > 0
$$;
