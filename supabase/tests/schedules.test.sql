-- Following plans: what is due begins in shares, each plan on its own.
begin;
select no_plan();

create schema schedules_test;
create table schedules_test.t (id int primary key, tenant_id uuid not null);
select m23.protect_table('schedules_test.t');
create function pg_temp.tenant(n int) returns text language sql as
$$ select (lpad(n::text, 8, '0') || '-0000-4000-8000-000000000000') $$;
create function pg_temp.number(p_tenant text) returns int language sql as $$ select left(p_tenant::text, 8)::int $$;
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency)
  select pg_temp.tenant(n), 'p', 60, 60, case when n % 2 = 0 then 'daily' else '0 * * * *' end, 'weekly'
      from generate_series(1, 60) n;
select is((select max(public.m23_begin_scheduled_backups()) from generate_series(1, 2)), 0, 'nothing is due yet');
-- Those with higher numbers have waited longer.
update public.dr_plans set next_backup_date = now() - make_interval(mins => pg_temp.number(tenant_id));

select ok(b.count between 1 and 50, 'a call begins a share of what is due')
  from public.m23_begin_scheduled_backups() b (count);
select is((select min(pg_temp.number(tenant_id)) from public.backup_jobs) + (select count(*) from public.backup_jobs),
    61::bigint, 'of what has waited longest');
create function pg_temp.calls(p_function text) returns int language plpgsql as $$
declare
  v_calls int := 0;
  v_count int := 1;
begin
  while v_count > 0 loop
    execute format('select public.%I()', p_function) into v_count;
    v_calls := v_calls + 1;
  end loop;
  return v_calls;
end $$;
select cmp_ok(pg_temp.calls('m23_begin_scheduled_backups'), '>=', 2, 'further calls begin the rest');
select is((select count(*) from public.backup_jobs), 60::bigint, 'until there is none');
select is((select count(*) from public.dr_plans where next_backup_date <= now() or next_backup_date is null), 0::bigint,
    'all have another time');
select is((select count(*) from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
    where j.status = 'pending'), 60::bigint, 'all have really begun');

select is((select count(*) from m23.backup_tables where definition = m23.table_definition('schedules_test.t'::regclass)),
    60::bigint, 'each with the definitions of its tables');
update public.dr_plans set backup_types = '{snapshot}', next_backup_date = now() - interval '1 day'
 where pg_temp.number(tenant_id) = 3;
update public.backup_jobs set status = 'failed' where pg_temp.number(tenant_id) = 3;
select pg_temp.calls('m23_begin_scheduled_backups');
select is((select status from public.backup_jobs where job_type = 'snapshot'), 'completed', 'snapshots as well');

-- Each on its own.
create function m23.break_for_test() returns trigger language plpgsql as $$
begin
  if new.tenant_id = any (array(select pg_temp.tenant(n) from generate_series(58, 60) n)) then
    case pg_temp.number(new.tenant_id)
      when 60 then perform 1 / 0;
      when 59 then raise exception 'too slow' using errcode = 'query_canceled';
      else perform m23.refuse('BACKUP_UNUSABLE', 'not today'); end case;
  end if;
  return new;
end $$;
create trigger break_for_test before insert on m23.backup_work for each row execute function m23.break_for_test();
delete from public.backup_jobs;
delete from m23.plan_runs;
update public.dr_plans set next_backup_date = now() - make_interval(mins => pg_temp.number(tenant_id))
    where pg_temp.number(tenant_id) > 56;
select pg_temp.calls('m23_begin_scheduled_backups');
select results_eq($$ select pg_temp.number(tenant_id), status, error_message from public.backup_jobs order by 1 $$,
  $$ values (57, 'pending', null), (58, 'failed', 'not today'), (59, 'failed', 'it took too long to begin'), (60,
      'failed', 'it could not be begun; the database''s log tells why') $$,
  'one that fails stops no other, whatever it fails with, and says so');
select is((select count(*) from public.dr_plans where next_backup_date <= now()), 0::bigint, 'and is pushed on');

-- Where not even a failed job can be written.
create trigger break_for_test before insert on public.backup_jobs for each row execute function m23.break_for_test();
delete from public.backup_jobs;
delete from m23.plan_runs;
update public.dr_plans set next_backup_date = now() - make_interval(mins => pg_temp.number(tenant_id))
    where pg_temp.number(tenant_id) in (1, 60);
select pg_temp.calls('m23_begin_scheduled_backups');
select is((select array_agg(pg_temp.number(tenant_id)) from public.backup_jobs), '{1}',
    'the others are begun all the same');
select results_eq($$ select pg_temp.number(p.tenant_id), r.note, p.next_backup_date > now() from m23.plan_runs r
    join public.dr_plans p on p.id = r.plan_id where r.work_id is null $$,
  $$ values (60, 'it could not be begun; the database''s log tells why', true) $$, 'and what failed is noted');

-- A plan whose next time cannot be told.
alter table public.dr_plans disable trigger check_plan;
update public.dr_plans set time_zone = 'Europe/Atlantis', next_backup_date = now() - interval '1 hour',
    next_test_date = null where pg_temp.number(tenant_id) = 2;
alter table public.dr_plans enable trigger check_plan;
delete from public.backup_jobs;
select pg_temp.calls('m23_begin_scheduled_backups');
select is((select array_agg(pg_temp.number(tenant_id)) from public.backup_jobs), '{2}',
    'a zone that has gone keeps no plan from being followed');
select ok((select next_backup_date > now() and next_test_date > now() from public.dr_plans
    where pg_temp.number(tenant_id) = 2), 'nor is it looked at again at once');

-- Tests.
update public.dr_plans set next_test_date = now() - make_interval(mins => pg_temp.number(tenant_id)) where is_active;
select ok(b.count between 1 and 50, 'tests begin in shares, too') from public.m23_begin_scheduled_tests() b (count);
select pg_temp.calls('m23_begin_scheduled_tests');
select results_eq($$ select count(*), count(distinct tenant_id), max(error_message) from public.recovery_tests
    where status = 'failed' $$,
  $$ values (60::bigint, 60::bigint, 'this tenant has no completed backup that the plan covers') $$,
      'until there is none, each with its reason');

-- Incrementals: what they build on.
select is(m23.scheduled_parent(pg_temp.tenant(1)), null, 'there is nothing to build on');
delete from public.backup_jobs;
drop trigger break_for_test on public.backup_jobs;
drop trigger break_for_test on m23.backup_work;
create function pg_temp.backup(p_age interval, p_base uuid default null) returns uuid language plpgsql as $$
declare v_id uuid;
begin
  insert into public.backup_jobs (tenant_id, backup_name, job_type, status, created_at, completed_at, base_backup_id,
      parent_backup_id)
    values (pg_temp.tenant(1), p_age::text, case when p_base is null then 'full' else 'incremental' end, 'completed',
        now() - p_age, now() - p_age, p_base, p_base) returning id into v_id;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, prefix)
    values (v_id, pg_temp.tenant(1), pg_current_snapshot(), m23.incarnation(), now() - p_age, 'native', 'p');
  return v_id;
end $$;
select is((select backup_name from public.backup_jobs where id = m23.scheduled_parent(pg_temp.tenant(1))), null,
    'nor now');
create temp table chain as select pg_temp.backup('6 days') as old;
select pg_temp.backup('1 day', old) from chain;
select is((select backup_name from public.backup_jobs where id = m23.scheduled_parent(pg_temp.tenant(1))), '1 day',
    'the newest member of a young chain');
update public.backup_jobs set status = 'failed' where backup_name = '1 day';
select is((select backup_name from public.backup_jobs where id = m23.scheduled_parent(pg_temp.tenant(1))), '6 days',
    'that was completed');
update public.backup_jobs set created_at = now() - interval '8 days' where backup_name = '6 days';
select is(m23.scheduled_parent(pg_temp.tenant(1)), null, 'a chain of a week is old');

select * from finish();
rollback;
