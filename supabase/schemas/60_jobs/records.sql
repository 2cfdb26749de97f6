-- Records: the tables that a client reads through the API, each under row-level
-- security. Rows are written by M23's functions; clients insert only what a policy
-- and a column grant below name.

create table public.backup_jobs (
  id                uuid primary key default gen_random_uuid(),
  tenant_id         text not null default m23.caller_tenant(),
  backup_name       text not null check (char_length(backup_name) between 1 and 200),
  description       text check (char_length(description) <= 2000),
  job_type          text not null check (job_type in ('full', 'incremental', 'snapshot')),
  status            text not null default 'pending' check (status in ('pending', 'in_progress', 'completed', 'failed')),
  tables            text[] check (cardinality(tables) > 0),
  created_at        timestamptz not null default now(),
  created_by        uuid default auth.uid(),
  started_at        timestamptz,
  completed_at      timestamptz,
  backup_size_bytes bigint check (backup_size_bytes >= 0),
  duration_seconds  numeric,
  error_message     text,
  deleted_at        timestamptz,  -- its objects go when the grace period has passed
  is_incremental    boolean generated always as (job_type = 'incremental') stored,
  base_backup_id    uuid references public.backup_jobs (id),
  parent_backup_id  uuid references public.backup_jobs (id),
  metadata          jsonb not null default '{}',
  check (id not in (base_backup_id, parent_backup_id))
);
create index backup_jobs_tenant on public.backup_jobs (tenant_id, created_at desc);
create index backup_jobs_pending on public.backup_jobs (tenant_id, created_at) where status = 'pending';
create index backup_jobs_open on public.backup_jobs (tenant_id) where status in ('pending', 'in_progress');
create index backup_jobs_completed on public.backup_jobs (completed_at) where status = 'completed';
create index backup_jobs_base on public.backup_jobs (base_backup_id) where base_backup_id is not null;
create index backup_jobs_parent on public.backup_jobs (parent_backup_id) where parent_backup_id is not null;
comment on table public.backup_jobs is 'Backups, requested, running and done. metadata.progress follows the work.';

create table public.restore_logs (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  restore_type     text not null check (restore_type in ('backup', 'pitr')),
  backup_job_id    uuid references public.backup_jobs (id),
  target_timestamp timestamptz,
  target_schema    text,
  tables           text[],
  snapshot_id      uuid,
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  started_at       timestamptz,
  completed_at     timestamptz,
  duration_seconds numeric,
  rows_restored    bigint check (rows_restored >= 0),
  stats            jsonb,
  warnings         text[] not null default '{}',
  metadata         jsonb not null default '{}'
);
create index restore_logs_tenant on public.restore_logs (tenant_id, created_at desc);
create index restore_logs_backup on public.restore_logs (backup_job_id);
comment on table public.restore_logs is
  'Every restore: committed before the work starts, ended as completed, failed or cancelled.';

create table public.pitr_snapshots (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  restore_log_id   uuid references public.restore_logs (id),
  snapshot_name    text not null check (char_length(snapshot_name) between 1 and 200),
  snapshot_type    text not null check (snapshot_type in ('pre_restore', 'manual', 'automated')),
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  expires_at       timestamptz,
  snapshot_data    jsonb not null,
  affected_tables  text[] not null,
  total_rows_count bigint check (total_rows_count >= 0),
  is_rolled_back   boolean not null default false,
  rolled_back_at   timestamptz,
  status           text not null default 'active' check (status in ('active', 'expired', 'rolled_back', 'archived')),
  check (is_rolled_back = (rolled_back_at is not null))
);
create index pitr_snapshots_tenant on public.pitr_snapshots (tenant_id, created_at desc);
create index pitr_snapshots_expiry on public.pitr_snapshots (expires_at) where status = 'active';
create index pitr_snapshots_restore on public.pitr_snapshots (restore_log_id);
alter table public.restore_logs add foreign key (snapshot_id) references public.pitr_snapshots (id);
create index restore_logs_snapshot on public.restore_logs (snapshot_id);
comment on table public.pitr_snapshots is
  'Positions to come back to. Made in constant time; a snapshot pins the log that it needs.';

create table public.pitr_rollbacks (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  snapshot_id      uuid not null references public.pitr_snapshots (id),
  reason           text,
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  completed_at     timestamptz,
  affected_tables  text[],
  rows_restored    bigint check (rows_restored >= 0),
  pre_rollback_snapshot_id uuid references public.pitr_snapshots (id),
  warnings         text[] not null default '{}'
);
create index pitr_rollbacks_pre on public.pitr_rollbacks (pre_rollback_snapshot_id);
create index pitr_rollbacks_tenant on public.pitr_rollbacks (tenant_id, created_at desc);
create index pitr_rollbacks_snapshot on public.pitr_rollbacks (snapshot_id);
comment on table public.pitr_rollbacks is 'Every rollback to a snapshot.';

create table public.dr_plans (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null default m23.caller_tenant(),
  plan_name        text not null check (char_length(plan_name) between 1 and 200),
  description      text,
  rto_minutes      int not null check (rto_minutes > 0),
  rpo_minutes      int not null check (rpo_minutes > 0),
  backup_frequency text not null,
  backup_types     text[] not null default '{full}'
                   check (cardinality(backup_types) > 0 and backup_types <@ array['full', 'incremental', 'snapshot']),
  retention_days   int not null default 30 check (retention_days > 0),
  test_frequency   text not null,
  next_test_date   timestamptz,
  is_active        boolean not null default true,
  created_by       uuid default auth.uid(),
  created_at       timestamptz not null default now(),
  time_zone        text not null default 'UTC',
  next_backup_date timestamptz
);
create index dr_plans_tenant on public.dr_plans (tenant_id);
create index dr_plans_backup on public.dr_plans (next_backup_date) where is_active;
create index dr_plans_test on public.dr_plans (next_test_date) where is_active;
comment on table public.dr_plans is 'How often a tenant is backed up and its recovery tested, and within which bounds.';

create table public.recovery_tests (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  dr_plan_id       uuid references public.dr_plans (id),
  backup_job_id    uuid references public.backup_jobs (id),
  test_name        text not null,
  test_type        text not null check (test_type in ('manual', 'automated', 'scheduled')),
  validation_level text not null check (validation_level in ('basic', 'full', 'deep')),
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  started_at       timestamptz,
  completed_at     timestamptz,
  results          jsonb
);
create index recovery_tests_tenant on public.recovery_tests (tenant_id, created_at desc);
create index recovery_tests_plan on public.recovery_tests (dr_plan_id);
create index recovery_tests_backup on public.recovery_tests (backup_job_id);
comment on table public.recovery_tests is 'Recovery tests and what they found.';

create table public.health_snapshots (
  id         uuid primary key default gen_random_uuid(),
  tenant_id  text not null,
  created_at timestamptz not null default now(),
  score      numeric not null check (score between 0 and 100),
  parts      jsonb not null
);
create index health_snapshots_tenant on public.health_snapshots (tenant_id, created_at desc);
comment on table public.health_snapshots is 'The health score over time, with its parts.';

-- Deny first, then the few grants. Supabase's default privileges would otherwise give
-- the API roles everything on a new table.
do $$
declare v_table text;
begin
  foreach v_table in array array['backup_jobs', 'restore_logs', 'pitr_snapshots', 'pitr_rollbacks',
                                 'dr_plans', 'recovery_tests', 'health_snapshots'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from anon, authenticated', v_table);
    execute format('grant select on public.%I to authenticated', v_table);
    execute format('grant all on public.%I to service_role', v_table);
    execute format('create policy members_read on public.%I for select to authenticated
                      using (tenant_id in (select m23.caller_tenants()))', v_table);
  end loop;
end $$;

-- Whether a backup that a new one names is of the same tenant; a foreign key alone would tell
-- of other tenants' backups, too.
-- open to: authenticated, service_role
create function m23.may_build_on(p_tenant text, p_backup uuid) returns boolean
language sql stable security definer set row_security = off as $$
  select p_backup is null
      or exists (select from public.backup_jobs j where j.id = p_backup and j.tenant_id = p_tenant)
$$;

-- createBackupJob: a pending row, run later by backup-create with its jobId.
grant insert (tenant_id, backup_name, description, job_type, tables, base_backup_id, created_by)
  on public.backup_jobs to authenticated;

create policy operators_request on public.backup_jobs for insert to authenticated
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin', 'operator']))
              and created_by = (select auth.uid()) and m23.may_build_on(tenant_id, base_backup_id));

-- createDRPlan and its upkeep.
grant insert (tenant_id, plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
              retention_days, test_frequency, next_test_date, is_active, time_zone, created_by)
  on public.dr_plans to authenticated;
grant update (plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
              retention_days, test_frequency, next_test_date, is_active, time_zone)
  on public.dr_plans to authenticated;

create policy admins_plan on public.dr_plans for insert to authenticated
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])) and created_by = (select auth.uid()));

create policy admins_change on public.dr_plans for update to authenticated
  using (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])))
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])));
