-- Alerts: what begins and ends them, that each edge is told once, and what becomes of a delivery.
begin;
select no_plan();
update m23.settings set value = '0' where name = 'watch_seconds';

create function pg_temp.open_alerts() returns text language sql as
$$ select coalesce(string_agg(kind, ' ' order by kind), '') from m23.alerts where ended_at is null $$;
create function pg_temp.watched() returns text language plpgsql as $$
begin
  perform public.m23_watch();
  return pg_temp.open_alerts();
end $$;
create function pg_temp.claimed() returns table (type text, id uuid, lease uuid, body jsonb) language sql as
$$ select m ->> 'body', (m ->> 'id')::uuid, (m ->> 'lease')::uuid,
  (m ->> 'body')::jsonb from jsonb_array_elements(public.m23_claim_alerts(100)) with ordinality x (m, n) order by n $$;
create function pg_temp.delivered() returns text language plpgsql as $$
declare v_types text;
begin
  create temp table if not exists batch (id uuid, lease uuid, type text, n bigint generated always as identity);
  truncate batch;
  insert into batch (id, lease, type) select c.id, c.lease, c.body ->> 'type' from pg_temp.claimed() c;
  perform public.m23_note_alert(b.id, b.lease) from batch b;
  return (select coalesce(string_agg(b.type, ' ' order by b.n), '') from batch b);
end $$;

select is(pg_temp.watched(), '', 'a database without tenants has nothing to tell');

-- A tenant
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency,
  created_at)
  values ('11111111-1111-4111-8111-111111111111', 'secret name', 60, 60, 'daily', 'weekly', now() - interval '2 hours');
select is(pg_temp.watched(), 'backup_overdue', 'a backup is overdue');
select is(pg_temp.watched(), 'backup_overdue', 'and is so once');
select is((select count(*) from m23.alerts), 1::bigint, 'with one alert');
insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, completed_at, error_message)
  values ('aaaaaaaa-0000-4000-8000-000000000001', '11111111-1111-4111-8111-111111111111', 'b', 'full',
    'failed', now() - interval '1 minute', 'cancelled by somebody');
select is(pg_temp.watched(), 'backup_overdue', 'a backup that somebody cancelled has not failed');
update public.backup_jobs set error_message = 'the value hidden is odd';
select is(pg_temp.watched(), 'backup_failed backup_overdue', 'one that failed has');
insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, completed_at)
  values ('aaaaaaaa-0000-4000-8000-000000000002', '11111111-1111-4111-8111-111111111111', 'b', 'full',
    'completed', now());
select is(pg_temp.watched(), '', 'until one is completed');
insert into public.health_snapshots (tenant_id, score, parts) values ('11111111-1111-4111-8111-111111111111', 69.9,
  '[]');
select is(pg_temp.watched(), 'score_low', 'a score under 70');
insert into public.health_snapshots (tenant_id, score, parts, created_at)
  values ('11111111-1111-4111-8111-111111111111', 70, '[]', now() + interval '1 second');
select is(pg_temp.watched(), '', 'and not 70');
insert into public.recovery_tests (tenant_id, backup_job_id, test_name, test_type, validation_level, status,
  completed_at, results)
  values ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000002', 't', 'manual',
    'full', 'completed', now(), '{"findings": [{"kind": "hash_differs"}]}');
select is(pg_temp.watched(), 'damage_found', 'a test that found damage');
insert into public.recovery_tests (tenant_id, backup_job_id, test_name, test_type, validation_level, status,
  completed_at, results)
  values ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000002', 't', 'manual',
    'basic', 'completed', now() + interval '1 second', '{"findings": []}');
select is(pg_temp.watched(), 'damage_found', 'that is not taken back by one that reads less');
insert into public.recovery_tests (tenant_id, backup_job_id, test_name, test_type, validation_level, status,
  completed_at, results)
  values ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000002', 't', 'manual',
    'full', 'completed', now() + interval '1 second', '{"findings": []}');
select is(pg_temp.watched(), '', 'but by one that reads as far');

-- The service
update m23.heartbeats set begun_at = now() - interval '1 hour' where name = 'recovery-test';
select is(pg_temp.watched(), 'cron_late', 'a cron that is late');
update m23.heartbeats set begun_at = now() where name = 'recovery-test';
create schema alerts_test;
create table alerts_test.t (id int primary key, tenant_id uuid not null);
select m23.protect_table('alerts_test.t');
insert into alerts_test.t values (1, '11111111-1111-4111-8111-111111111111');
alter event trigger m23_follow_ddl disable;
alter table alerts_test.t disable trigger aaa_m23_log_insert;
select is(pg_temp.watched(), 'capture_broken', 'capture that is switched off');
select m23.protect_table('alerts_test.t');
select is(pg_temp.watched(), '', 'until it is on again');
insert into m23.gaps select id, now() - interval '1 hour', now(), 'capture was switched off'
  from m23.protected_tables on conflict do nothing;
select is(pg_temp.watched(), '', 'a gap does not last');
select results_eq($$ select detail ->> 'table', is_event from m23.alerts where kind = 'gap' $$,
  $$ values ('alerts_test.t', true) $$, 'but it is told of');
select is(pg_temp.watched(), '', 'and not');
select is((select count(*) from m23.alerts where kind = 'gap'), 1::bigint, 'twice');
update m23.settings set value = '1' where name = 'log_cap_bytes';
select is(pg_temp.watched(), 'log_large', 'a log near its cap');
update m23.settings set value = '10737418240' where name = 'log_cap_bytes';
select is(pg_temp.watched(), '', 'and everything has an end');

-- Deliveries
select is(pg_temp.delivered(), 'gap.began',
  'who comes late is told what happened of late, and not what was over before it was told');
select is(pg_temp.delivered(), '', 'and once');
update m23.heartbeats set begun_at = now() - interval '1 hour' where name in ('recovery-test');
insert into public.backup_jobs (tenant_id, backup_name, job_type, status, completed_at)
  values ('11111111-1111-4111-8111-111111111111', 'b', 'full', 'failed', now() + interval '1 minute');
select is(pg_temp.watched(), 'backup_failed cron_late', 'two begin');
select is(pg_temp.delivered(), 'cron_late.began backup_failed.began', 'what concerns all goes first');
update m23.heartbeats set begun_at = now() where name in ('recovery-test');
select is(pg_temp.watched(), 'backup_failed', 'one ends');
select is(pg_temp.delivered(), 'cron_late.ended', 'and is told to have ended');
select is(pg_temp.delivered(), '', 'once');

update m23.heartbeats set begun_at = now() - interval '1 hour' where name in ('recovery-test');
select is(pg_temp.watched(), 'backup_failed cron_late', 'it begins anew');
create temp table held as select * from pg_temp.claimed();
select results_eq('select body ->> ''type'' from held', array['cron_late.began'], 'and is told anew');
select is_empty('select * from pg_temp.claimed()', 'nobody else sends what is being sent');
select is_empty($$ select from held where body::text ~ 'secret|hidden' $$,
  'no name, no text of an error and no value is in it');
select results_eq($$ select k from held, jsonb_object_keys(body -> 'data') k order by 1 $$,
  '{advice,alertId,beganAt,detail,edge,kind,summary}'::text[], 'but what to do');
update m23.heartbeats set begun_at = now() where name in ('recovery-test');
select is(pg_temp.watched(), 'backup_failed', 'it ends before it was told');
select is_empty('select * from pg_temp.claimed()', 'its end waits for its beginning');
select is(public.m23_note_alert(id, gen_random_uuid(), 'x'), false, 'who has lost the lease says nothing') from held;
select is(public.m23_note_alert(id, lease, 'status 500'), true, 'it could not be delivered') from held;
select is_empty('select * from pg_temp.claimed()', 'it is not tried again at once');
select is((select next_at - clock_timestamp() between '50 seconds' and '1 minute' from m23.alert_deliveries
  join held using (id)), true, 'but after a minute');
update m23.alert_deliveries set next_at = now(), attempts = 4 where id in (select id from held);
select is(public.m23_note_alert(c.id, c.lease, 'status 500'), true, 'and once more') from pg_temp.claimed() c;
select is((select next_at - clock_timestamp() between '15 minutes' and '16 minutes' from m23.alert_deliveries
  join held using (id)), true, 'then later and later');
update m23.alert_deliveries set next_at = now(), attempts = 11 where id in (select id from held);
select is(public.m23_note_alert(c.id, c.lease, 'status 500'), true, 'to its last attempt') from pg_temp.claimed() c;
select results_eq('select kind, edge, attempts, error from m23.failed_alerts()',
  $$ values ('cron_late', 'began', 12, 'status 500') $$, 'then it stands in a list');
select results_eq($$ select state, finding from m23.doctor() where topic = 'alerts' and state = 'problem' $$,
  $$ values ('problem', '1 deliveries were given up; the last one said: status 500') $$, 'that the doctor tells of');
select is(pg_temp.delivered(), 'cron_late.ended', 'and its end is told');
select is(m23.retry_alerts(), 1::bigint, 'it can be tried again');
select is(pg_temp.delivered(), 'cron_late.began', 'by hand');

select results_eq($$ select state, finding from m23.doctor() where topic = 'alerts' $$,
  $$ values ('warning', 'nobody is told: no function has a webhook') $$, 'the doctor says that nobody is told');
select public.m23_heartbeat('alerts', true, 'ALERT_WEBHOOK_URL must start with https://');
select results_eq($$ select state, finding from m23.doctor() where topic = 'alerts' $$,
  $$ values ('warning', 'the webhook cannot be used: ALERT_WEBHOOK_URL must start with https://') $$,
    'or why nobody can be');
select public.m23_heartbeat('alerts', true);
select results_eq($$ select state, finding from m23.doctor() where topic = 'alerts' $$,
  $$ values ('ok', 'a webhook is told; 1 alerts hold now') $$, 'or that somebody is');
select is(public.m23_health() -> 'cron' ? 'alerts', false, 'telling is no cron of its own');

update m23.settings set value = '50' where name = 'watch_seconds';
select is(public.m23_watch(), false, 'it is not looked for more often than there is need');
update m23.watches set at = now() - interval '51 seconds';
update m23.alerts set ended_at = now() - interval '91 days' where kind = 'gap';
select is(public.m23_watch(), true, 'but for each minute');
select is_empty($$ select from m23.alerts where kind = 'gap' and ended_at < now() - interval '90 days' $$,
  'what ended long ago is forgotten');
select m23.forget_tenant('11111111-1111-4111-8111-111111111111');
select is_empty($$ select from m23.alerts where tenant_id is not null $$, 'and with its tenant all is');

-- A part that cannot be searched in time
select m23.search_deletes();
create table alerts_test.more (id int primary key, tenant_id uuid not null);
select m23.protect_table('alerts_test.more');
create or replace function m23.deletes_query(p_part text) returns text language sql stable set search_path = '' as
$$ select 'select null::uuid as tenant_id, null::xid8 as first_xid, now() as since, now() as until from pg_sleep(60)' $$;
set local statement_timeout = '200ms';
select is(m23.search_deletes(), 1, 'a part that takes too long is passed over');
set local statement_timeout = 0;
select is(m23.search_deletes(), 0, 'and not tried for ever');

-- The moment before a transaction, where the server keeps no commit times
create or replace function m23.commit_times_are_native() returns boolean
language sql stable set search_path = '' as 'select false';
delete from m23.ticks;
insert into m23.ticks (at, position, incarnation, native)
  select t.at, t.position, m23.incarnation(), false
    from (values (timestamptz '2026-01-01 10:00:01Z', pg_snapshot '100:104:'), ('2026-01-01 10:00:02Z', '100:106:104'),
                 ('2026-01-01 10:00:03Z', '106:106:')) t (at, position);
select is(m23.moment_before('104', now()), '2026-01-01T10:00:02.000000Z', 'is the last tick that does not see it');

select * from finish();
rollback;
