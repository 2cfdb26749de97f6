-- What the operator of all tenants sees: heartbeats, the fleet, who may read it, and what the doctor says.
begin;
select no_plan();

create function pg_temp.as_of_job(p_tenant text, p_status text, p_ago interval) returns uuid language sql as $$
  insert into public.backup_jobs (tenant_id, backup_name, job_type, status, created_at, completed_at)
    values (p_tenant, 'b', 'full', p_status, now() - p_ago, now() - p_ago) returning id
$$;
create function pg_temp.plan(p_tenant text, p_rpo int, p_ago interval default '30 days') returns uuid language sql as $$
  insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency,
    created_at)
    values (p_tenant, 'plan of ' || left(p_tenant, 1), 60, p_rpo, 'daily', 'weekly', now() - p_ago) returning id
$$;
create function pg_temp.code(p_call text) returns text language plpgsql as $$
begin
  execute p_call;
  return 'answered';
exception when sqlstate 'PGRST' then
  return sqlerrm::json ->> 'code';
end $$;

-- The fleet
select pg_temp.plan('11111111-1111-4111-8111-111111111111', 60),
  pg_temp.as_of_job('11111111-1111-4111-8111-111111111111', 'completed', '10 minutes');
select pg_temp.plan('22222222-2222-4222-8222-222222222222', 60),
  pg_temp.as_of_job('22222222-2222-4222-8222-222222222222', 'completed', '2 hours');
select pg_temp.as_of_job('33333333-3333-4333-8333-333333333333', 'completed', '2 hours');
select pg_temp.plan('44444444-4444-4444-8444-444444444444', 60);
select pg_temp.plan('55555555-5555-4555-8555-555555555555', 60, '1 minute');
select pg_temp.plan('66666666-6666-4666-8666-666666666666', 60),
  pg_temp.as_of_job('66666666-6666-4666-8666-666666666666', 'completed', '1 minute'),
       pg_temp.as_of_job('66666666-6666-4666-8666-666666666666', 'failed',
         '2 minutes'), pg_temp.as_of_job('66666666-6666-4666-8666-666666666666', 'failed', '2 days'),
       pg_temp.as_of_job('66666666-6666-4666-8666-666666666666', 'in_progress', '0 minutes');
insert into public.health_snapshots (tenant_id, score, parts, created_at)
  values ('11111111-1111-4111-8111-111111111111', 20,
    '[]', now() - interval '1 day'), ('11111111-1111-4111-8111-111111111111', 90, '[]', now());
insert into public.recovery_tests (tenant_id, test_name, test_type, validation_level, status, completed_at, results,
  backup_job_id)
  select tenant_id, 't', 'manual', 'deep', 'completed', now(),
    '{"recoverySeconds": 1, "findings": []}', id from public.backup_jobs
    where tenant_id = '11111111-1111-4111-8111-111111111111';

select results_eq($$ select left(tenant_id, 1), late, rpo_minutes, running, failed_24h, plan, score,
  last_backup_at is not null, last_proof_at is not null from m23.overview() $$,
  $$ values ('4', true, 60, 0, 0, 'plan of 4', null::numeric, false, false),
            ('2', true, 60, 0, 0, 'plan of 2', null, true, false),
            ('6', false, 60, 1, 1, 'plan of 6', null, true, false),
            ('3', false, null, 0, 0, null, null, true, false),
            ('5', false, 60, 0, 0, 'plan of 5', null, false, false),
            ('1', false, 60, 0, 0, 'plan of 1', 90, true, true) $$,
  'every tenant as it stands, the worst first; a plan that is younger than its RPO has missed nothing');
select results_eq($$ select m23.last_proof('11111111-1111-4111-8111-111111111111', now() - interval '1 day') $$,
  $$ select last_proof_at from m23.overview() where tenant_id like '1%' $$, 'a proof is what health takes for one');
insert into public.recovery_tests (tenant_id, test_name, test_type, validation_level, status, completed_at, results,
  backup_job_id)
  select tenant_id, 't', 'manual', 'full',
    'completed', now() + interval '1 second',
    '{"findings": [{"kind": "hash_differs"}]}', id from public.backup_jobs
    where tenant_id = '11111111-1111-4111-8111-111111111111';
select results_eq($$ select last_proof_at is null from m23.overview() where tenant_id like '1%' $$,
  array[true], 'damage that was found since proves nothing');

-- Who may read it
create function pg_temp.codes() returns text[] language sql as
$$ select array[pg_temp.code('select * from public.get_fleet()'), pg_temp.code('select * from public.get_doctor()')] $$;
insert into public.tenant_members values ('11111111-1111-4111-8111-111111111111',
  'aaaaaaaa-0000-4000-8000-000000000001', 'owner');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';
select is(pg_temp.codes(), '{INSUFFICIENT_PERMISSIONS,INSUFFICIENT_PERMISSIONS}', 'an owner of a tenant reads neither');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated",
  "app_metadata": {"m23_platform": "true"}, "user_metadata": {"m23_platform": true}}';
select is(pg_temp.codes(), '{INSUFFICIENT_PERMISSIONS,INSUFFICIENT_PERMISSIONS}',
  'nor does who only says so: it is a boolean that the server alone can set');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000009", "role": "authenticated",
  "app_metadata": {"m23_platform": true}}';
select is(pg_temp.codes(), '{answered,answered}', 'the platform''s operator reads both');
select results_eq($$ select left(tenant_id, 1), worst, why is null from public.get_fleet()
    where worst is distinct from 'no proof' $$,
  $$ values ('4', 'no backup', false), ('2', 'late backup', false), ('6', 'failed work', false),
            ('3', 'no plan', false) $$, 'with what is worst in words');
select is_empty('select from public.backup_jobs union all select from public.dr_plans union all select
  from public.tenant_members union all select from public.transaction_logs',
  'and reads no tenant''s rows');
select throws_ok('select * from m23.overview()', '42501', null, 'nobody calls the inner ones');
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
select is(pg_temp.codes(), '{answered,answered}', 'so does the service key');
reset role;

-- Heartbeats
select is((select jsonb_object_keys(public.m23_health() -> 'cron') limit 1),
  'backup-create', 'every cron has an age from the start');
select is(public.m23_health() -> 'late', 'false', 'and none is late that has not had its time');
update m23.heartbeats set since = now() - interval '6 minutes';
select is(public.m23_health() -> 'late', 'true', 'who never comes is late some day');
select public.m23_heartbeat(c, false, null, '0.1.0') from unnest(array['backup-create', 'backup-restore',
  'recovery-test']) c;
select is(public.m23_health() - 'cron', '{"version": "0.1.0", "works": true, "late": false}', 'who has come is not');
select results_eq('select begun_at is not null, ended_at, ok from m23.heartbeats where name = ''backup-create''',
  $$ values (true, null::timestamptz, null::boolean) $$, 'a beginning is noted');
select public.m23_heartbeat('backup-create', true, 'schedule_not_followed');
select results_eq('select ended_at is not null, ok, error, version from m23.heartbeats
  where name = ''backup-create''', $$ values (true, false, 'schedule_not_followed', '0.1.0') $$, 'an end is, and how');
select results_eq($$ select state, finding ~ 'failed: schedule_not_followed$', advice from m23.doctor()
  where topic = 'cron backup-create' $$,
  $$ values ('warning', true, 'look at the log of the function backup-create') $$, 'the doctor tells a job that fails');
update m23.heartbeats set begun_at = now() - interval '1 hour' where name = 'recovery-test';
select results_eq($$ select state, finding ~ '^late: it came 36\d\d seconds ago', advice ~ 'no plan''s test begins'
  from m23.doctor() where topic = 'cron recovery-test' $$,
  $$ values ('problem', true, true) $$, 'and one that stays away');

-- The doctor
create temp table said as select * from m23.doctor();
select results_eq($$ select finding from said where topic = 'backups' $$,
  array['the newest good backup of 2 tenants is older than their RPO: of '
        '44444444-4444-4444-8444-444444444444, 22222222-2222-4222-8222-222222222222'],
  'it tells whose backup is too old');
select results_eq($$ select finding from said where topic = 'plans' and finding ~ 'no active' $$,
  array['1 tenants have no active plan, and nothing backs them up by itself: '
        '33333333-3333-4333-8333-333333333333'], 'who has no plan');
select isnt_empty($$ select from said where topic = 'log size' and state = 'ok' $$, 'how the log grows');
select is_empty($$ select from said where topic = 'plans' and finding ~ 'overdue|failing' $$,
  'no plan is overdue or failing yet');
select is_empty($$ select from said where state <> 'ok' and advice is null $$, 'each finding says what to do');

update public.dr_plans set next_backup_date = now() - interval '16 minutes'
  where tenant_id = '22222222-2222-4222-8222-222222222222';
insert into m23.plan_runs (plan_id, kind, due_at, work_id) select p.id, 'backup', now() - interval '2 minutes', j.id
  from public.dr_plans p join public.backup_jobs j using (tenant_id)
    where tenant_id = '66666666-6666-4666-8666-666666666666' and j.status = 'failed' limit 1;
insert into public.restore_logs (tenant_id, restore_type, status, completed_at)
  values ('11111111-1111-4111-8111-111111111111', 'pitr',
  'failed', now()), ('11111111-1111-4111-8111-111111111111', 'pitr', 'failed', now() - interval '2 days');
update m23.settings set value = '1' where name = 'log_cap_bytes';
create schema monitoring_test;
create table monitoring_test.t (id int primary key, tenant_id uuid not null);
select m23.protect_table('monitoring_test.t');
insert into monitoring_test.t values (1, '11111111-1111-4111-8111-111111111111');
update m23.heartbeats set version = '0.0.9' where name = 'recovery-test';
select results_eq($$ select state, finding from m23.doctor_versions() where finding ~ '0\.0\.9' $$,
  $$ values ('warning', 'the database is of release 0.1.0, and of another are the functions recovery-test (0.0.9), which work with it') $$,
  'functions of the minor version before, which work');
update m23.heartbeats set version = '0.2.0' where name = 'recovery-test';
delete from supabase_migrations.schema_migrations where version = m23.newest_migration();
create temp table later as select * from m23.doctor();
select matches((select finding from later where topic = 'plans'
  and finding ~ 'overdue'), '^overdue: 1 plans have been due for more than 15 minutes: of the tenants 2222',
  'a plan that is overdue');
select matches((select finding from later where topic = 'plans'
  and finding ~ 'failing'), '^failing: the last backup of 1 plans has failed: of the tenants 6666',
  'one whose backups fail');
select matches((select finding from later where topic = 'restores' and state = 'warning'
  and finding ~ 'failed'), '^1 restores and rollbacks failed in the last 24 hours', 'failed restores');
select is((select state from later where topic = 'log size'), 'problem', 'a log near its cap');
select matches((select finding from later where topic = 'versions' and state = 'problem'),
  'of release 0\.1\.0, and of another are the functions recovery-test \(0\.2\.0\), whose calls are refused$', 'functions of another release');
select matches((select advice from later where topic = 'versions'
  and state = 'warning'), '^supabase migration repair --status applied \d+',
  'a migration that the history does not have');
select is_empty($$ select from later where state <> 'ok' and advice is null $$, 'and each finding says what to do');

-- Tenants of the application's own
create or replace function m23.tenants() returns table (tenant_id text, name text)
language sql stable set search_path = '' as
$$ values ('11111111-1111-4111-8111-111111111111', 'Acme'), ('of another kind', null) $$;
select results_eq('select tenant_id, name, plan from m23.overview()',
  $$ values ('11111111-1111-4111-8111-111111111111', 'Acme', 'plan of 1'), ('of another kind', null, null) $$,
  'who the tenants are is the application''s to say');

select * from finish();
rollback;
