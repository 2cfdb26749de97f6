-- Plans under row-level security: who keeps them, what is refused, when they are due.
begin;
select no_plan();

insert into public.tenant_members values
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000001', 'owner'),
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000002', 'operator'),
  ('22222222-2222-4222-8222-222222222222', 'aaaaaaaa-0000-4000-8000-000000000003', 'owner');
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency)
  values ('22222222-2222-4222-8222-222222222222', 'foreign', 60, 60, 'daily', 'weekly');

create function pg_temp.faults(p_values text) returns text language plpgsql as $$
begin
  execute 'insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency, backup_types, retention_days, time_zone) values (' || p_values || ')';
  return 'none';
exception when sqlstate 'PGRST' then
  return (sqlerrm::json ->> 'code') || ' ' || (sqlerrm::json ->> 'details');
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';

select lives_ok($$ insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('nightly', 30, 1440, 'daily', '0 5 * * sun') $$,
  'an owner makes a plan with the contract''s columns');
select results_eq($$ select tenant_id, created_by, is_active, time_zone, backup_types, next_backup_date, next_test_date from public.dr_plans $$,
  $$ values ('11111111-1111-4111-8111-111111111111'::uuid, 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, true, 'UTC', '{full}'::text[],
             date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' + interval '1 day',
             (select min(d) from generate_series((now() at time zone 'UTC')::date + time '05:00', (now() at time zone 'UTC')::date + 8 + time '05:00', interval '1 day') g,
                     lateral (select g at time zone 'UTC') x (d) where extract(dow from g) = 0 and d > now())) $$,
  'tenant, maker, zone and due times are filled in; another tenant''s plan is not seen');

select is(pg_temp.faults($$ 'x', 1, 1, 'hourly', 'monthly', '{full,incremental}', 1, 'Europe/Berlin' $$), 'none', 'a zone by name');
select is(pg_temp.faults($$ '', 0, -1, 'sometimes', '0 0 30 2 *', '{full,partial}', 0, 'Mars/Olympus' $$),
  'VALIDATION_FAILED ["plan_name: must have 1 to 200 characters","rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)","rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)",'
  || '"backup_types: must name one or more of full, incremental, snapshot","retention_days: must be a number of days, from 1 to 36500 (a hundred years)","time_zone: \"Mars/Olympus\" is not a time zone such as Europe/Berlin",'
  || '"backup_frequency: \"sometimes\" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly","test_frequency: \"0 0 30 2 *\" never comes"]',
  'every fault is told at once, each with its column');
select is(pg_temp.faults($$ 'x', 1, 1, null, null, '{}', 1, 'UTC' $$),
  'VALIDATION_FAILED ["backup_types: must name one or more of full, incremental, snapshot","backup_frequency: is required","test_frequency: is required"]', 'what is missing, too');

select is(pg_temp.faults($$ 'x', 52560001, 2147483647, 'daily', 'daily', '{full}', 2147483647, 'UTC' $$),
  'VALIDATION_FAILED ["rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)","rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)",'
  || '"retention_days: must be a number of days, from 1 to 36500 (a hundred years)"]', 'and numbers that no calendar reaches: they would stop the upkeep of everybody');

select throws_ok($$ insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency)
  values ('22222222-2222-4222-8222-222222222222', 'x', 1, 1, 'daily', 'daily') $$, '42501', null, 'nobody makes a plan of another tenant');
select throws_ok($$ update public.dr_plans set created_by = null $$, '42501', null, 'who made a plan stays');
select throws_ok($$ update public.dr_plans set next_backup_date = now() $$, '42501', null, 'the next backup is not for clients to set');
select throws_ok($$ delete from public.dr_plans $$, '42501', null, 'a plan is switched off, not deleted');

update public.dr_plans set test_frequency = 'hourly' where plan_name = 'nightly';
select is((select next_test_date from public.dr_plans where plan_name = 'nightly'), date_trunc('hour', now()) + interval '1 hour', 'another frequency, another due time');
update public.dr_plans set next_test_date = '2099-01-01Z' where plan_name = 'nightly';
select is((select next_test_date from public.dr_plans where plan_name = 'nightly'), '2099-01-01Z', 'the next test may be set');
update public.dr_plans set is_active = false where plan_name = 'nightly';
update public.dr_plans set is_active = true where plan_name = 'nightly';
select is((select next_test_date from public.dr_plans where plan_name = 'nightly'), date_trunc('hour', now()) + interval '1 hour', 'switched on again, a plan is due from now on');

set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000002", "role": "authenticated"}';
select is((select count(*) from public.dr_plans), 2::bigint, 'an operator reads the plans');
select throws_ok($$ insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('x', 1, 1, 'daily', 'daily') $$,
  '42501', null, 'and makes none');
update public.dr_plans set is_active = false;
select is((select count(*) from public.dr_plans where is_active), 2::bigint, 'and changes none');

reset role;
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', (select id from public.dr_plans where plan_name = 'foreign')) $$, '%no such plan in this tenant%', 'a foreign plan');
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', gen_random_uuid()) $$, '%no such plan in this tenant%', 'looks like a missing one');
update public.dr_plans set is_active = false where plan_name = 'nightly';
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', (select id from public.dr_plans where plan_name = 'nightly')) $$, '%not active%', 'one that is switched off is not used');

select * from finish();
rollback;
