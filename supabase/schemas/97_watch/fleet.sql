-- Every tenant as it stands, in a few passes over whole tables: none looks at one tenant after the other, but for the
-- newest score, which an index has.
create function m23.fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text, rank int)
language sql stable rows 1000 as $$
  with tenant as materialized (select t.tenant_id as id, t.tenant_id as key, t.name
                                 from m23.tenants() t),
    backup (id, at) as (
      select j.tenant_id, max(least(w.position_at, j.completed_at))
        from public.backup_jobs j left join m23.backup_work w on w.job_id = j.id
       where j.status = 'completed' and j.deleted_at is null group by 1),
    promise (id, rpo, since, plan) as (
      select p.tenant_id, min(p.rpo_minutes), min(p.created_at),
             (array_agg(p.plan_name order by p.rpo_minutes, p.created_at))[1]
        from public.dr_plans p where p.is_active group by 1),
    work (id, status, at) as (
      select j.tenant_id, j.status, j.completed_at from public.backup_jobs j
      union all select r.tenant_id, r.status, r.completed_at from public.restore_logs r
      union all select r.tenant_id, r.status, r.completed_at from public.pitr_rollbacks r
      union all select t.tenant_id, t.status, t.completed_at from public.recovery_tests t),
    busy (id, running, failed) as (
      select w.id, count(*) filter (where w.status = 'in_progress'), count(*) filter (where w.status = 'failed')
        from work w
       where w.status = 'in_progress' or w.status = 'failed' and w.at > clock_timestamp() - interval '24 hours'
       group by 1),
    proof (id, at) as (select p.tenant_id, max(p.at) from m23.proofs p group by 1),
    gap (count) as (
      select (select count(*) from m23.gaps g
               where g.until > clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
           + (select count(*) from m23.protected_tables t where t.suspended is not null)),
    standing as (
      select t.key, t.name, b.at as backup_at, p.rpo, p.plan, f.at as proof_at, s.score,
             coalesce(w.running, 0) as running, coalesce(w.failed, 0) as failed,
             coalesce(greatest(b.at, p.since) < clock_timestamp() - make_interval(mins => p.rpo), false) as late
        from tenant t
        left join backup b using (id) left join promise p using (id)
        left join busy w using (id) left join proof f using (id)
        left join lateral (select h.score from public.health_snapshots h where h.tenant_id = t.id
                            order by h.created_at desc limit 1) s on true)
  select s.key, s.name, s.backup_at, s.rpo, s.late, s.proof_at, s.score, s.running::int, s.failed::int, g.count::int,
         s.plan,
         ('{no backup,late backup,failed work,no plan,low score,no proof,gaps}'::text[])[w.rank],
         case w.rank
           when 1 then format('no backup was completed; the plan "%s" promises one of the last %s minutes',
                              s.plan, s.rpo)
           when 2 then format('the newest backup is of %s; the plan "%s" promises one of the last %s minutes',
                              m23.iso(s.backup_at), s.plan, s.rpo)
           when 3 then format('%s backups, restores, rollbacks or tests failed in the last 24 hours', s.failed)
           when 4 then 'no active plan says when it is backed up'
           when 5 then format('its health is %s; below 70 is a reason to look', s.score)
           when 6 then 'no restore has proved a backup'
           when 7 then format('%s gaps in the log keep earlier moments out of reach', g.count) end,
         w.rank
    from standing s cross join gap g
    cross join lateral (
      select case when s.late and s.backup_at is null then 1 when s.late then 2 when s.failed > 0 then 3
                  when s.plan is null then 4 when s.score < 70 then 5 when s.proof_at is null then 6
                  when g.count > 0 then 7 else 8 end) w (rank)
   order by w.rank, s.score nulls first, s.backup_at nulls first, s.key
$$;
