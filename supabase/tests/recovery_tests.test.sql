-- What a recovery test is told by the records, and what is made of it.
begin;
select no_plan();

insert into public.dr_plans (id, tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency)
  values ('99999999-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'a plan', 2, 60, 'daily', 'weekly');
insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, parent_backup_id, created_at, completed_at) values
  ('99999999-0000-4000-8000-00000000000a', '11111111-1111-4111-8111-111111111111', 'first', 'full', 'completed', null, now() - interval '3 h', now() - interval '3 h'),
  ('99999999-0000-4000-8000-00000000000b', '11111111-1111-4111-8111-111111111111', 'second', 'incremental', 'completed', '99999999-0000-4000-8000-00000000000a', now(), now());
insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, prefix)
  select id, tenant_id, pg_current_snapshot(), m23.incarnation(), completed_at, 'native', 'p' from public.backup_jobs;
insert into public.recovery_tests (id, tenant_id, dr_plan_id, backup_job_id, test_name, test_type, validation_level, started_at)
  values ('99999999-0000-4000-8000-0000000000ff', '11111111-1111-4111-8111-111111111111', '99999999-0000-4000-8000-000000000001', '99999999-0000-4000-8000-00000000000b', 'x', 'manual', 'basic', now());

create function pg_temp.found(p_seconds numeric default null) returns text[] language plpgsql as $$
declare v_test public.recovery_tests;
begin
  select * into v_test from public.recovery_tests;
  perform m23.open_checks();
  perform m23.check_records(v_test);
  perform m23.check_recovery_time(v_test, p_seconds);
  return array(select jsonb_array_elements(m23.close_checks() -> 'findings') ->> 'kind');
end $$;

select is(pg_temp.found(), '{}', 'a chain that is as it should be');
select is(pg_temp.found(120), '{}', 'a restore that takes as long as the plan allows');
select is(pg_temp.found(120.1), '{rto_missed}', 'one that takes longer');
update public.dr_plans set rto_minutes = 52560000;
select is(pg_temp.found(1e6), '{}', 'however long that is');
update public.dr_plans set rto_minutes = 2;
update m23.backup_work set position_at = now() - interval '4 h' where job_id = '99999999-0000-4000-8000-00000000000b';
select is(pg_temp.found(), '{clock_odd,rpo_missed}', 'a member that is older than what it builds on');
update m23.backup_work set position_at = now() - interval '61 min' where job_id = '99999999-0000-4000-8000-00000000000b';
select is(pg_temp.found(), '{rpo_missed}', 'a backup that is older than the plan allows');
update m23.backup_work set position_at = now() - interval '59 min' where job_id = '99999999-0000-4000-8000-00000000000b';
select is(pg_temp.found(), '{}', 'and one that is not');
update public.backup_jobs set created_at = now() - interval '5 h' where backup_name = 'second';
select is((select array_agg(a ->> 'backup_id') from public.recovery_tests t, json_array_elements(m23.test_plan(t, null) -> 'archives') a),
  '{99999999-0000-4000-8000-00000000000a,99999999-0000-4000-8000-00000000000b}', 'a clock that was set back does not change the order of a chain');
update public.backup_jobs set status = 'failed' where backup_name = 'first';
select is(pg_temp.found(), '{chain_broken}', 'a parent that failed');
update public.backup_jobs set parent_backup_id = null;
select is(pg_temp.found(), '{chain_broken}', 'a parent that is gone');

select is_empty($$ select k from unnest(array['manifest_missing', 'manifest_altered', 'manifest_invalid', 'exchanged', 'object_missing', 'object_size', 'object_altered',
    'object_damaged', 'line_malformed', 'undecryptable', 'no_archive', 'chain_broken', 'clock_odd', 'rpo_missed', 'rto_missed', 'foreign_row',
    'definition_unsafe', 'shape_changed', 'not_protected',
    'constraint_broken', 'reference_broken', 'fingerprint_differs', 'round_trip_differs', 'not_restorable']) k where m23.advice(k) is null $$,
  'whatever is found, there is something to do about it');

select * from finish();
rollback;
