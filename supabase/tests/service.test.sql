-- The service calls for a tenant that it names; somebody who signed in anonymously calls for none.
begin;
select no_plan();

create function pg_temp.tenant(n int) returns text language sql as
  $$ select (repeat(n::text, 8) || '-1111-4111-8111-111111111111') $$;
create function pg_temp.member(n int) returns uuid language sql as
  $$ select ('aaaaaaaa-0000-4000-8000-00000000000' || n)::uuid $$;
create function pg_temp.request(n int) returns uuid language sql as
  $$ select ('99999999-0000-4000-8000-00000000000' || n)::uuid $$;

create function pg_temp.claim(p_claims jsonb) returns void language sql as
  $$ select set_config('request.jwt.claims', p_claims::text, true) $$;
create function pg_temp.as_service() returns void language sql as
  $$ select pg_temp.claim('{"role": "service_role"}') $$;
create function pg_temp.as_user(p_user uuid, p_more jsonb default '{}') returns void language sql as
  $$ select pg_temp.claim(jsonb_build_object('role', 'authenticated', 'sub', p_user) || p_more) $$;
create function pg_temp.authorized(p_tenant text) returns jsonb language sql as
  $$ select (public.m23_authorize('pitr-restore', p_tenant_id => p_tenant)::jsonb) - '{used,reset,raised}'::text[] $$;

create table public.notes (id int primary key, tenant_id text not null);
select m23.protect_table('public.notes');
insert into public.tenant_members values (pg_temp.tenant(1), pg_temp.member(1), 'viewer');

-- Which tenants are known ---------------------------------------------------------------

select is(m23.knows_tenant(pg_temp.tenant(9)), false,
  'a tenant that nothing has heard of is not known');
select is(m23.knows_tenant(null), false, 'nor is none');
select is(m23.knows_tenant(pg_temp.tenant(1)), true, 'one with members is');
insert into public.notes values (1, pg_temp.tenant(2));
select is(m23.knows_tenant(pg_temp.tenant(2)), true, 'one with rows is');
delete from public.notes;
select is(m23.has_records(pg_temp.tenant(2)) or m23.has_members(pg_temp.tenant(2)), false,
  'now only the log knows it');
select is(m23.knows_tenant(pg_temp.tenant(2)), true,
  'one whose rows and members are all gone is known by the log');
drop table public.notes;
select is(m23.knows_tenant(pg_temp.tenant(2)), true, 'and still so when the table was dropped');
insert into public.backup_jobs (tenant_id, backup_name, job_type) values (pg_temp.tenant(3), 'b', 'full');
select is(m23.knows_tenant(pg_temp.tenant(3)), true, 'one with records is');

create function pg_temp.locks_of_logs() returns bigint language sql as
  $$ select count(*) from pg_locks where pid = pg_backend_pid() and relation::regclass::text like 'm23_log.%' $$;
create temporary table held as select pg_temp.locks_of_logs() as n;
select m23.has_rows(pg_temp.tenant(9));
select is(pg_temp.locks_of_logs(), (select n from held), 'a look keeps no lock of a log');

-- Members of an application's own -------------------------------------------------------

create schema if not exists auth;
create table if not exists auth.users (id uuid primary key);
insert into auth.users (id) values ('aaaaaaaa-0000-4000-8000-00000000000f') on conflict do nothing;
create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
language sql stable security definer rows 3 set search_path = '' set row_security = off as $$
  select pg_temp.tenant(4), 'owner' where p_user = 'aaaaaaaa-0000-4000-8000-00000000000f'
  union all select m.tenant_id, m.role from public.tenant_members m where m.user_id = p_user $$;
select is(m23.knows_tenant(pg_temp.tenant(4)), true,
  'one that only the application''s own memberships know is known');

-- Standing ------------------------------------------------------------------------------

select pg_temp.as_service();
select is(pg_temp.authorized(pg_temp.tenant(3)),
  '{"tenant_id": "33333333-1111-4111-8111-111111111111", "role": "owner", "allowed": true, "faults": []}',
  'the service has an owner''s rights in the tenant that it names');
select is(pg_temp.authorized(pg_temp.tenant(9)) -> 'tenant_id', 'null',
  'and none in one that nothing knows');
select is(pg_temp.authorized(null) -> 'tenant_id', 'null', 'nor without a name');
select pg_temp.as_user(pg_temp.member(1));
select throws_like($$ select pg_temp.authorized(pg_temp.tenant(1)) $$,
  '%INSUFFICIENT_PERMISSIONS%', 'a user who names a tenant is refused, be it their own');

-- Counting ------------------------------------------------------------------------------

create function pg_temp.admitted(p_id uuid, p_user uuid, p_key text default null, p_body text default 'b')
returns jsonb language sql as $$
  select public.m23_admit(jsonb_build_object('id', p_id, 'tenant_id', pg_temp.tenant(3), 'user_id', p_user,
    'function', 'pitr-restore', 'limit', 1, 'idempotency_key', p_key, 'body_sha256', p_body,
    'from', '{"detail": {"caller": "service", "reason": "r", "operator": "o"}}'::jsonb))::jsonb
$$;
select pg_temp.as_service();
select is(pg_temp.admitted(pg_temp.request(1), null) - '{counted_at,reset,limit}'::text[],
  '{"outcome": "admitted", "used": 0, "response": null}', 'the service''s call is admitted and not counted');
select is(pg_temp.admitted(pg_temp.request(2),
  pg_temp.member(1)) ->> 'outcome', 'admitted', 'so it takes no user''s place');
select is(pg_temp.admitted(pg_temp.request(3),
  pg_temp.member(1)) ->> 'outcome', 'limited', 'and the limit holds for users');
select is(pg_temp.admitted(pg_temp.request(4), null, 'k') ->> 'outcome', 'admitted',
  'but not for the service');
select is(pg_temp.admitted(pg_temp.request(5), null, 'k') ->> 'outcome', 'running',
  'whose key is its own, too');
select is(pg_temp.admitted(pg_temp.request(6), null, 'k', 'c') ->> 'outcome', 'key_reused',
  'for one body');
select public.m23_finish_request(pg_temp.request(4), 200, '{"a": 1}');
select is(pg_temp.admitted(pg_temp.request(7), null, 'k') #> '{response,body}', '{"a": 1}',
  'and gives its answer again');
select results_eq(
  $$ select actor, detail from public.get_audit_log(pg_temp.tenant(3)) where request_id = pg_temp.request(1) $$,
  $$ values (null::uuid, '{"caller": "service", "reason": "r", "operator": "o"}'::jsonb) $$,
  'the audit says why, and who was behind it');
select is(public.verify_audit(pg_temp.tenant(3)) -> 'valid', 'true', 'in an unbroken chain');

select public.m23_audit(jsonb_build_object('tenant_id', pg_temp.tenant(3), 'event', 'refused', 'action', 'pitr-restore',
  'status', 400, 'code', 'VALIDATION_FAILED', 'detail', jsonb_build_object('caller', 'service', 'operator', o)))
  from unnest('{Ada,Bob,Ada}'::text[]) o;
select results_eq($$ select detail ->> 'operator', (detail ->> 'count')::int
    from public.get_audit_log(pg_temp.tenant(3)) where outcome = 'refused' order by 1 $$,
  $$ values ('Ada', 2), ('Bob', 1) $$, 'refusals are put together by whoever is behind them');
select public.m23_admit(jsonb_build_object('id', pg_temp.request(8), 'tenant_id', pg_temp.tenant(3), 'user_id', null,
  'function', 'pitr-restore', 'limit', 1));
select public.m23_audit(jsonb_build_object('tenant_id', pg_temp.tenant(3), 'event', 'ended', 'action', 'pitr-restore',
  'request_id', pg_temp.request(8), 'status', 500));
select is((select given_back_at is null and used_at is not null from m23.requests where id = pg_temp.request(8)), true,
  'what was not counted is not given back, and is used up');

-- Using ---------------------------------------------------------------------------------

select throws_like($$ select m23.use_request(pg_temp.request(2), 'pitr-restore') $$,
  '%INSUFFICIENT_PERMISSIONS%', 'the service does not use a user''s request');
select pg_temp.as_user(pg_temp.member(1));
select throws_like($$ select m23.use_request(pg_temp.request(1), 'pitr-restore') $$,
  '%INSUFFICIENT_PERMISSIONS%', 'nor a user the service''s');
select set_config('request.jwt.claims', '{"role": "authenticated"}', true);
select throws_like($$ select m23.use_request(pg_temp.request(1), 'pitr-restore') $$,
  '%INSUFFICIENT_PERMISSIONS%', 'nor a token without a user');
select pg_temp.as_service();
select is((m23.use_request(pg_temp.request(1), 'pitr-restore')).user_id, null,
  'the service uses its own');
select throws_like($$ select m23.use_request(pg_temp.request(1), 'pitr-restore') $$,
  '%INSUFFICIENT_PERMISSIONS%', 'once');

-- Anonymous sign-ins --------------------------------------------------------------------

update public.tenant_members set role = 'owner';
create temporary table refused (name text, message text);
do $$
declare v_call record;
begin
  for v_call in
    select p.proname as name, format('select public.%I(%s)', p.proname, a.nulls) as sql
      from pg_proc p
     cross join lateral (select string_agg('null::' || format_type(t, null), ', ' order by n) as nulls
                           from unnest(p.proargtypes::oid[]) with ordinality x (t, n)) a
     where p.pronamespace = 'public'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute')
       and not has_function_privilege('anon', p.oid, 'execute')
  loop
    perform pg_temp.as_user(pg_temp.member(1), '{"is_anonymous": true}');
    begin
      execute v_call.sql;
      insert into refused values (v_call.name, 'was answered');
    exception when others then
      insert into refused values (v_call.name, sqlerrm);
    end;
  end loop;
end $$;
select cmp_ok((select count(*) from refused), '>', 25::bigint, 'there are functions to call');
select is_empty($$ select * from refused where message not like '%AUTH_REQUIRED%' $$,
  'every function of the API refuses an anonymous sign-in, be it of a member');
select pg_temp.as_user(pg_temp.member(1), '{"is_anonymous": true}');
select throws_like($$ select public.get_backup_statistics(pg_temp.tenant(1)) $$,
  '%AUTH_REQUIRED%', 'with arguments of the own tenant as well');
select is(m23.caller_tenant(), pg_temp.tenant(1),
  'a writer''s tenant is known all the same, for the fence');

insert into public.backup_jobs (tenant_id, backup_name, job_type) values (pg_temp.tenant(1), 'b', 'full');
set local role authenticated;
select is((select count(*) from public.backup_jobs), 0::bigint, 'it reads no record');
select is((select count(*) from public.tenant_members), 0::bigint, 'no member');
select is((select count(*) from public.audit_log), 0::bigint, 'and no audit');
select throws_ok($$ insert into public.backup_jobs (tenant_id, backup_name, job_type)
  values (pg_temp.tenant(1), 'b', 'full') $$, '42501', null, 'writes no job');
select throws_ok($$ insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes,
  backup_frequency, test_frequency)
  values (pg_temp.tenant(1), 'p', 1, 1, 'daily', 'daily') $$, '42501', null, 'and no plan');
select pg_temp.as_user(pg_temp.member(1), '{"is_anonymous": false}');
select is((select count(*) from public.backup_jobs), 1::bigint, 'somebody who is not anonymous reads');
reset role;
select pg_temp.as_user(pg_temp.member(1), '{"is_anonymous": "yes"}');
select is((select count(*) from m23.caller_memberships()), 0::bigint, 'a claim that is neither is taken as anonymous');

-- What a server lacks -------------------------------------------------------------------

select is(m23.failure_answer('53100', 'could not extend file', null, null) ->> 'code', 'UNAVAILABLE', 'a full disk passes');
select matches(m23.shortage_hint('53100'), 'disk', 'and the log says what to do');

select * from finish();
rollback;
