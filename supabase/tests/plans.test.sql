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

create function pg_temp.refused_with(p_values text) returns text language plpgsql as $$
begin
  execute 'insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ' || p_values;
  return 'not at all';
exception when others then
  return sqlstate;
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';

select lives_ok($$ insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('nightly', 30, 1440, 'daily', '0 5 * * sun') $$,
  'an owner makes a plan with the contract''s columns');
select results_eq($$ select tenant_id, created_by, is_active, time_zone, backup_types, next_backup_date > now()
    and next_backup_date <= now() + interval '1 day', next_test_date from public.dr_plans $$,
  $$ values ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, true, 'UTC',
      '{full}'::text[], true,
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
create function pg_temp.is_next_hour(p_at timestamptz) returns boolean language sql as $$ select p_at > now()
    and p_at <= now() + interval '1 hour' $$;
select ok((select pg_temp.is_next_hour(next_test_date) from public.dr_plans where plan_name = 'nightly'),
    'another frequency, another due time');
update public.dr_plans set next_test_date = '2099-01-01Z' where plan_name = 'nightly';
select is((select next_test_date from public.dr_plans where plan_name = 'nightly'), '2099-01-01Z', 'the next test may be set');
update public.dr_plans set is_active = false where plan_name = 'nightly';
update public.dr_plans set is_active = true where plan_name = 'nightly';
select ok((select pg_temp.is_next_hour(next_test_date) from public.dr_plans where plan_name = 'nightly'),
    'switched on again, a plan is due from now on');

-- How often.
create function pg_temp.distance(p_backup text, p_test text default 'daily') returns text language sql as
$$ select pg_temp.faults(format($f$ 'x', 1, 1, %L, %L, '{full}', 1, 'UTC' $f$, p_backup, p_test)) $$;
select is(pg_temp.distance('* * * * *'),
    'VALIDATION_FAILED ["backup_frequency: \"* * * * *\" comes a minute after another; at least 5 minutes must lie between"]', 'every minute is too often');
select is(pg_temp.distance('daily', '*/4 * * * *'),
    'VALIDATION_FAILED ["test_frequency: \"*/4 * * * *\" comes 4 minutes after another; at least 5 minutes must lie between"]', 'for tests as well');
select is(pg_temp.distance('59,0 * * * *'),
    'VALIDATION_FAILED ["backup_frequency: \"59,0 * * * *\" comes a minute after another; at least 5 minutes must lie between"]', 'and over the end of an hour');
select is(pg_temp.distance('*/5 * * * *'), 'none', 'every 5 minutes is not');
select is(pg_temp.distance('0 0 1 1 ' || repeat('1,', 100) || '1'),
    'VALIDATION_FAILED ["backup_frequency: must have at most 200 characters"]',
    'what is too long is not looked at, nor told');

-- Who may.
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000009", "role": "authenticated"}';
select is(pg_temp.refused_with($$ ('22222222-2222-4222-8222-222222222222', 'x', 1, 1, '* * * * *', 'daily') $$),
    '42501', 'of a plan that somebody may not make, nothing is worked out');
select is(pg_temp.refused_with($$ (null, 'x', 1, 1, '* * * * *', 'daily') $$), '42501', 'nor of one of no tenant');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';

-- How many.
insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency, is_active)
  select n::text, 1, 1, 'daily', 'daily', false from generate_series((select count(*) + 1 from public.dr_plans), 20) n;
select is(pg_temp.distance('daily'),
    'VALIDATION_FAILED ["tenant_id: a tenant has at most 20 plans; change one that is there"]',
    'a tenant has twenty plans, switched on or off');
reset role;
select results_eq($$ select count(distinct extract(minute from next_backup_date)) > 5, count(distinct extract(hour
    from next_backup_date)) > 5 from public.dr_plans where backup_frequency = 'daily' $$,
  'values (true, true)', 'daily is an hour and minute of each plan''s own');
select ok((select bool_and(next_backup_date = m23.next_run(backup_frequency, 'UTC', now(), m23.own_minute(id,
    'backup'))) from public.dr_plans), 'which follows from its id');
select ok(m23.own_minute(id, 'backup') between 0 and 1439 and m23.own_minute(id, 'backup') <> m23.own_minute(id,
    'test'), 'other than that of its tests')
  from (values ('6f0a2f0e-1c4f-4e0c-9d55-7a3f6b1c2d3e'::uuid)) p (id);
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values
    ('22222222-2222-4222-8222-222222222222', 'literal', 1, 1, '30 2 * * *', '0 5 1 * *');
select results_eq($$ select extract(hour from next_backup_date at time zone 'UTC')::int, extract(minute
    from next_backup_date at time zone 'UTC')::int, extract(minute from next_test_date at time zone 'UTC')::int
                       from public.dr_plans where plan_name = 'literal' $$, 'values (2, 30, 0)',
                           'a cron expression is taken as it is');
set local role authenticated;

set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000002", "role": "authenticated"}';
select is((select count(*) from public.dr_plans), 20::bigint, 'an operator reads the plans');
select throws_ok($$ insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('x', 1, 1, 'daily', 'daily') $$,
  '42501', null, 'and makes none');
update public.dr_plans set is_active = false;
select isnt((select count(*) from public.dr_plans where is_active), 0::bigint, 'and changes none');

reset role;
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', (select id from public.dr_plans where plan_name = 'foreign')) $$, '%no such plan in this tenant%', 'a foreign plan');
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', gen_random_uuid()) $$, '%no such plan in this tenant%', 'looks like a missing one');
update public.dr_plans set is_active = false where plan_name = 'nightly';
select throws_like($$ select m23.usable_plan('11111111-1111-4111-8111-111111111111', (select id from public.dr_plans where plan_name = 'nightly')) $$, '%not active%', 'one that is switched off is not used');

select * from finish();
rollback;
