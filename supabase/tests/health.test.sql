-- The health score: what it is made of, and what can never be healthy.
begin;
select no_plan();

create schema health_test;
create table health_test.t (id int primary key, tenant_id uuid not null);
select m23.protect_table('health_test.t');
insert into public.tenant_members values
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000001', 'viewer'),
  ('22222222-2222-4222-8222-222222222222', 'aaaaaaaa-0000-4000-8000-000000000002', 'owner');

create function pg_temp.score(p_days int default 30) returns numeric language sql as $$ select (m23.health('11111111-1111-4111-8111-111111111111', p_days) ->> 'score')::numeric $$;
create function pg_temp.points(p_name text, p_days int default 30) returns numeric language sql as $$
  select (p ->> 'points')::numeric from jsonb_array_elements(m23.health('11111111-1111-4111-8111-111111111111', p_days) -> 'parts') p where p ->> 'name' = p_name $$;
create function pg_temp.backup(p_status text, p_age interval default '1 minute') returns uuid language plpgsql as $$
declare v_id uuid;
begin
  insert into public.backup_jobs (tenant_id, backup_name, job_type, status, completed_at) values ('11111111-1111-4111-8111-111111111111', 'b', 'full', p_status, now() - p_age) returning id into v_id;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, prefix)
    values (v_id, '11111111-1111-4111-8111-111111111111', pg_current_snapshot(), m23.incarnation(), now() - p_age, 'native', 'p');
  return v_id;
end $$;
create function pg_temp.tested(p_backup uuid, p_level text, p_findings text default '[]', p_age interval default '0', p_seconds numeric default null) returns void language sql as $$
  insert into public.recovery_tests (tenant_id, backup_job_id, test_name, test_type, validation_level, status, completed_at, results)
  values ('11111111-1111-4111-8111-111111111111', p_backup, 't', 'manual', p_level, 'completed', now() - p_age,
          jsonb_strip_nulls(jsonb_build_object('findings', p_findings::jsonb, 'recoverySeconds', case when p_level = 'deep' then coalesce(p_seconds, 1) end)))
$$;

select is((select sum((p ->> 'weight')::int) from jsonb_array_elements(m23.health('11111111-1111-4111-8111-111111111111', 30) -> 'parts') p), 100::bigint, 'the weights come to a hundred');

savepoint empty;
select is(pg_temp.score(), 10.0, 'without any backup only the capture counts');
select pg_temp.backup('failed');
select cmp_ok(pg_temp.score(), '<', 70.0, 'only failed backups are not healthy');
select pg_temp.tested(null, 'deep');
select cmp_ok(pg_temp.score(), '<', 70.0, 'whatever was tested');
rollback to empty;

create temp table b as select pg_temp.backup('completed') as id;
select is(pg_temp.score(), 65.0, 'a fresh backup that nobody has tested');
select pg_temp.tested(id, 'basic', p_age => '3 minutes') from b;
select is(pg_temp.points('proof'), 6.3, 'a list of its objects proves a quarter');
select pg_temp.tested(id, 'full', p_age => '2 minutes') from b;
select is(pg_temp.points('proof'), 12.5, 'having read every byte, half');
select is(pg_temp.score(), 69.0, 'and is never healthy');
select is(m23.health('11111111-1111-4111-8111-111111111111', 30) ->> 'capped', 'no backup is proven by a restore', 'which is said');

savepoint unproven;
select pg_temp.tested(id, 'deep', '[{"kind": "fingerprint_differs"}]') from b;
select is(pg_temp.points('proof') + pg_temp.points('chain'), 0.0, 'a restore that has found damage proves nothing, nor is the chain whole');
select cmp_ok(pg_temp.score(), '<', 70.0, 'and is not healthy');
rollback to unproven;
select pg_temp.tested(id, 'deep', '[{"kind": "rpo_missed"}, {"kind": "rto_missed"}, {"kind": "clock_odd"}]') from b;
select is(pg_temp.score(), 100.0, 'age, speed and clock are no damage');
rollback to unproven;
insert into public.restore_logs (tenant_id, restore_type, backup_job_id, status, completed_at) select '11111111-1111-4111-8111-111111111111', 'backup', id, 'completed', now() from b;
select is(pg_temp.score(), 90.0, 'a real restore is a proof; its time was not measured by a test');
rollback to unproven;

select pg_temp.tested(id, 'deep', p_age => '1 minute') from b;
select is(pg_temp.score(), 100.0, 'fresh, whole, captured, and proven by a restore');
select is((m23.health('11111111-1111-4111-8111-111111111111', 30) ->> 'healthy')::boolean, true, 'is healthy');
select is(pg_temp.score(1), 100.0, 'in a window of a day, too');

savepoint proven;
update public.recovery_tests set completed_at = now() - interval '3 days' where validation_level = 'deep';
select is(pg_temp.points('proof', 2), 12.5, 'a proof counts as long as the window');
select cmp_ok(pg_temp.score(2), '<', 70.0, 'and then no more');
select cmp_ok(pg_temp.score(4), '>=', 70.0, 'in a longer one it does');
select pg_temp.tested(id, 'full', '[{"kind": "object_altered"}]') from b;
select is(pg_temp.points('proof'), 0.0, 'damage that was found since undoes it');
select is(m23.health('11111111-1111-4111-8111-111111111111', 30) ->> 'capped', 'no backup is proven by a restore', 'and the backup is proven no more');
rollback to proven;
with young as (select pg_temp.backup('completed', '0') as id), aged as (update public.recovery_tests set completed_at = now() - interval '2 h' returning 1)
  select pg_temp.tested(b.id, 'full', '[{"kind": "object_altered"}]') from b, young, aged limit 1;
select is(pg_temp.points('chain'), 15.0, 'damage of an older backup leaves the newest chain whole');
select cmp_ok(pg_temp.score(), '<', 70.0, 'which nobody has restored: it is not healthy by the other''s proof');
rollback to proven;
select pg_temp.backup('completed', '0');
update public.backup_jobs set deleted_at = now() where id = (select id from b);
select is(m23.health('11111111-1111-4111-8111-111111111111', 30) ->> 'capped', 'no backup is proven by a restore', 'a backup that was deleted proves nothing of those that are left');
rollback to proven;
update public.backup_jobs set job_type = 'snapshot';
select is(m23.health('11111111-1111-4111-8111-111111111111', 30) ->> 'capped', 'no backup is proven by a restore', 'a snapshot inside the database is no archive that was restored');
rollback to proven;
select pg_temp.tested(id, 'deep', '[{"kind": "no_archive"}]', '-1 minute') from b;
select is(pg_temp.points('proof'), 25.0, 'that a snapshot has no archive is no damage');
rollback to proven;

update m23.backup_work set position_at = now() - interval '1440 min';
select is(pg_temp.points('freshness'), 25.0, 'a day old is fresh without a plan');
update m23.backup_work set position_at = now() - interval '2880 min';
select is(pg_temp.points('freshness'), 12.5, 'two days, half');
update m23.backup_work set position_at = now() - interval '5000 min';
select is(pg_temp.points('freshness'), 0.0, 'three and more, none');
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values
  ('11111111-1111-4111-8111-111111111111', 'p', 1, 6000, 'daily', 'daily'), ('11111111-1111-4111-8111-111111111111', 'loose', 9, 9000, 'daily', 'daily');
select is(pg_temp.points('freshness'), 25.0, 'the strictest active plan says what is allowed');
update public.recovery_tests set results = results || '{"recoverySeconds": 120}' where validation_level = 'deep';
select is(pg_temp.points('time'), 5.0, 'twice the time that it allows, half');
update public.dr_plans set rto_minutes = 52560000, rpo_minutes = 52560000;
select is(pg_temp.points('time') + pg_temp.points('freshness'), 35.0, 'a hundred years can be reckoned with');
update public.dr_plans set rto_minutes = 1, rpo_minutes = 6000;
update public.dr_plans set is_active = false where plan_name = 'p';
update public.dr_plans set rto_minutes = 9 where plan_name = 'loose';
select is(pg_temp.points('time'), 10.0, 'one that is switched off says nothing');
rollback to proven;

select pg_temp.backup('failed', interval '2 minutes');
select is(pg_temp.points('success'), 7.5, 'one of two failed');
select is(pg_temp.points('success', 1), 7.5, 'within the window');
rollback to proven;
update public.backup_jobs set deleted_at = now();
select cmp_ok(pg_temp.score(), '<', 70.0, 'a deleted backup is none');
rollback to proven;
insert into m23.incarnations (fingerprint, since) values ('a copy', now() - interval '1 day');
update m23.protected_tables set incarnation = (select id from m23.incarnations where fingerprint = 'a copy');
select is(pg_temp.points('capture'), 0.0, 'a table whose history is of another life of the database is a gap');
rollback to proven;

-- Over time.
select is((select count(*) from public.health_snapshots), 0::bigint, 'nothing was noted so far');
update public.backup_jobs set status = 'in_progress' where id = (select id from b);
update public.backup_jobs set status = 'completed' where id = (select id from b);
select results_eq($$ select tenant_id, score, jsonb_array_length(parts) from public.health_snapshots $$, $$ values ('11111111-1111-4111-8111-111111111111', 100.0, 6) $$, 'after a job the health is noted');
update public.recovery_tests set status = 'failed' where validation_level = 'basic';
select is((select count(*) from public.health_snapshots), 2::bigint, 'after a test, too');
create function pg_temp.go_rounds() returns bigint language plpgsql as $$
declare v_before bigint := (select count(*) from public.health_snapshots);
begin
  while public.m23_go_rounds() > 0 loop end loop;
  return (select count(*) from public.health_snapshots) - v_before;
end $$;
select is(pg_temp.go_rounds(), 1::bigint, 'daily for whoever has none of today');
select is(pg_temp.go_rounds(), 0::bigint, 'once');
update public.health_snapshots set created_at = created_at - interval '1 day';
select is(pg_temp.go_rounds(), 0::bigint, 'in a round over all tenants that begins anew');
update m23.rounds set begun_at = begun_at - interval '1 day';
select is(pg_temp.go_rounds(), 2::bigint, 'every day');

-- Not for ever.
delete from public.health_snapshots;
insert into public.health_snapshots (tenant_id, score, parts, created_at)
  select '11111111-1111-4111-8111-111111111111', n, '[]', date_trunc('day', now(), 'UTC') - make_interval(days => d) + n * interval '1 h'
    from unnest('{3,40,41,399,402}'::int[]) d, generate_series(1, 3) n;
insert into public.health_snapshots (tenant_id, score, parts, created_at) values ('22222222-2222-4222-8222-222222222222', 0, '[]', date_trunc('day', now(), 'UTC') - interval '40 days');
select is((select sum(m23.prune_health(t)) from (select distinct tenant_id from public.health_snapshots) s (t)),
    9::numeric, 'after thirty days one a day is kept, after four hundred none');
select results_eq($$ select score::int, date_trunc('day', now(), 'UTC')::date - created_at::date as ago from public.health_snapshots where tenant_id::text ~ '^1' order by created_at $$,
  $$ values (3, 399), (3, 41), (3, 40), (1, 3), (2, 3), (3, 3) $$, 'the last of its day');
select is((select count(*) from public.health_snapshots where tenant_id::text ~ '^2'), 1::bigint, 'of each tenant');
update m23.settings set value = '2' where name = 'health_days';
update m23.rounds set begun_at = begun_at - interval '1 day';
select pg_temp.go_rounds();
select is((select count(*) from public.health_snapshots where tenant_id::text ~ '^1' and created_at < now() - interval '2 days'), 4::bigint, 'as its settings say, whenever the health of the day is noted');

-- Who may ask.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';
select is(public.calculate_health_score('11111111-1111-4111-8111-111111111111'), 100.0, 'a viewer may ask');
select is(public.calculate_health_score('11111111-1111-4111-8111-111111111111', 7), 100.0, 'for any number of days');
select is(jsonb_array_length(public.get_health('11111111-1111-4111-8111-111111111111') -> 'parts'), 6, 'and see the parts');
select is(array(select public.calculate_health_score('11111111-1111-4111-8111-111111111111', d) from unnest('{-2147483648,-1,0,1,36501,2147483647}'::int[]) d), '{10,10,10,100,100,100}',
  'whatever that number is: below one day nothing lies in the window');
select is(public.calculate_health_score('11111111-1111-4111-8111-111111111111', null), 100.0, 'none at all is thirty days');
select throws_like($$ select public.calculate_health_score('22222222-2222-4222-8222-222222222222') $$, '%TENANT_NOT_FOUND%', 'nobody asks for another tenant');
select is((select count(distinct tenant_id) from public.health_snapshots), 1::bigint, 'or sees its snapshots');
reset role;

select * from finish();
rollback;
