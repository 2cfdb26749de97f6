-- What limits calls: the window and what is given back to it, the single use of a request, bodies, jobs that wait, reads.
begin;
select no_plan();

create function pg_temp.tenant() returns text language sql as $$ select '11111111-1111-4111-8111-111111111111' $$;
create function pg_temp.act_as(p_user int, p_method text default '') returns void language sql as $$
  select set_config('request.jwt.claims', case p_user when 0 then '{"role": "service_role"}'
           else format('{"sub": "aaaaaaaa-0000-4000-8000-00000000000%s", "role": "authenticated"}', p_user) end, true),
         set_config('request.method', p_method, true) $$;
insert into public.tenant_members values
  (pg_temp.tenant(), 'aaaaaaaa-0000-4000-8000-000000000001', 'owner'),
  (pg_temp.tenant(), 'aaaaaaaa-0000-4000-8000-000000000002', 'operator'),
  (pg_temp.tenant(), 'aaaaaaaa-0000-4000-8000-000000000003', 'viewer');
create schema limits_test;
create table limits_test.items (id int primary key, tenant_id text not null, name text);
select m23.protect_table('limits_test.items');

-- The code and details of what a statement is refused with.
create function pg_temp.refusal(p_statement text) returns text language plpgsql as $$
begin
  execute p_statement;
  return 'none';
exception when sqlstate 'PGRST' then
  return concat_ws(' ', sqlerrm::json ->> 'code', sqlerrm::json ->> 'details');
end $$;

-- The window -----------------------------------------------------------------------------

create function pg_temp.admit(p_n int, p_limit int) returns json language sql as $$
  select public.m23_admit(jsonb_build_object('id', format('99999999-0000-4000-8000-%s', lpad(p_n::text, 12, '0')), 'tenant_id', pg_temp.tenant(),
    'user_id', 'aaaaaaaa-0000-4000-8000-000000000001', 'function', 'pitr-restore', 'limit', p_limit, 'from', '{}'::jsonb)) $$;
create function pg_temp.end_as(p_n int, p_status int) returns void language sql as $$
  select public.m23_audit(jsonb_build_object('tenant_id', pg_temp.tenant(), 'event', 'ended', 'action', 'pitr-restore', 'status', p_status,
    'request_id', format('99999999-0000-4000-8000-%s', lpad(p_n::text, 12, '0')))) $$;
create function pg_temp.used() returns int language sql as $$ select used from m23.window_of(pg_temp.tenant(), 'pitr-restore') $$;

select pg_temp.admit(1, 2), pg_temp.admit(2, 2);
select is(pg_temp.admit(3, 2) ->> 'outcome', 'limited', 'a window is full');
select is(public.m23_give_back('99999999-0000-4000-8000-000000000001') ->> 'given_back', 'true', 'what failed by our own fault is given back');
select is(pg_temp.used(), 1, 'and not counted');
select is(public.m23_give_back('99999999-0000-4000-8000-000000000001') ->> 'used', '1', 'once');
select is((select used_at is not null from m23.requests where id = '99999999-0000-4000-8000-000000000001'), true, 'and is used up all the same');
select pg_temp.end_as(2, 404);
select is(pg_temp.used(), 1, 'what was the caller''s fault stays counted');
select pg_temp.admit(4, 2), pg_temp.end_as(4, 503), pg_temp.end_as(4, 503);
select is(pg_temp.used(), 1, 'the end of a call gives back what nobody has given back');
select is((select count(*) from public.audit_log where request_id = '99999999-0000-4000-8000-000000000004' and event = 'ended'), 1::bigint, 'and is written once, however often it is tried');
select pg_temp.admit(n, 100), pg_temp.end_as(n, 500) from generate_series(11, 22) n;
select is(pg_temp.used(), 1 + 4, 'ten an hour are given back, and no more');
update m23.requests set given_back_at = clock_timestamp() - interval '2 hours' where given_back_at is not null;
select pg_temp.admit(23, 100), pg_temp.end_as(23, 500);
select is(pg_temp.used(), 1 + 4, 'an hour later there is room again');

select is(pg_temp.admit(30, 2) ->> 'outcome', 'limited', 'before a limit is raised');
select m23.raise_limit(pg_temp.tenant(), 'pitr-restore', 6, clock_timestamp() + interval '1 hour');
select is(pg_temp.admit(30, 2) ->> 'outcome', 'admitted', 'one that is raised holds at once');
select is(pg_temp.admit(31, 2)::jsonb - '{used,reset,counted_at,response}'::text[], '{"outcome": "limited", "limit": 6}', 'and no further');
select is((select detail - 'until' from public.audit_log where action = 'raise_limit'), '{"function": "pitr-restore", "limit": 6}', 'and its tenant sees it in the audit');
select pg_temp.act_as(1);
select is(public.m23_authorize('pitr-restore') ->> 'raised', '6', 'the functions are told of it');
select is(public.m23_authorize('pitr-rollback') ->> 'raised', null, 'for its function alone');
update m23.raised_limits set until = clock_timestamp();
select is(pg_temp.admit(31, 2)::jsonb - '{used,reset,counted_at,response}'::text[], '{"outcome": "limited", "limit": 2}', 'until its time');
select m23.raise_limit(pg_temp.tenant(), 'pitr-restore', 1, clock_timestamp() + interval '1 hour');
select is(pg_temp.admit(31, 2) ->> 'limit', '2', 'a lower one takes nothing away');
select throws_ok($$ select m23.raise_limit(pg_temp.tenant(), 'pitr', 9, clock_timestamp() + interval '1 hour') $$, '23514', null, 'a function that is none');
select throws_ok($$ select m23.raise_limit(pg_temp.tenant(), 'pitr-restore', 9, clock_timestamp()) $$, '22023', null, 'a time that has come');

-- Refusals say when to come again.
create function pg_temp.retry_after(p_statement text) returns text language plpgsql as $$
declare v_detail text;
begin
  execute p_statement;
  return 'none';
exception when sqlstate 'PGRST' then
  get stacked diagnostics v_detail = pg_exception_detail;
  return v_detail::json -> 'headers' ->> 'Retry-After';
end $$;
select is(pg_temp.retry_after($$ select m23.refuse('RESTORE_IN_PROGRESS', 'x') $$), '5', 'beside another restore');
select is(pg_temp.retry_after($$ select m23.refuse('UNAVAILABLE', 'x') $$), '5', 'when something is away');
select is(pg_temp.retry_after($$ select m23.refuse('CONFLICT', 'x') $$), null, 'what does not pass does not say so');
update m23.settings set value = '0' where name = 'limit.pitr-rollback';
select is(pg_temp.retry_after($$ select m23.count_call(pg_temp.tenant(), 'aaaaaaaa-0000-4000-8000-000000000001', 'pitr-rollback') $$), '3600', 'at a limit: never longer than the window');
select matches(pg_temp.refusal($$ do $x$ begin perform m23.count_call(pg_temp.tenant(), 'aaaaaaaa-0000-4000-8000-000000000001', 'pitr-rollback'); end $x$ $$), '^RATE_LIMIT_EXCEEDED', 'a call of the database has it');
select matches(m23.limit_sentence(true), 'operator of the service', 'an owner is told whom to ask');
select doesnt_match(m23.limit_sentence(false), 'operator', 'others are not');

-- The single use of a request ---------------------------------------------------------------

create function pg_temp.request(p_function text, p_user int default 1) returns uuid language sql as $$
  insert into m23.requests (id, tenant_id, user_id, function)
    values (gen_random_uuid(), pg_temp.tenant(), format('aaaaaaaa-0000-4000-8000-00000000000%s', p_user)::uuid, p_function) returning id $$;
create temp table bad (name text, function text, body jsonb, fault text);
insert into bad values
  ('m23_begin_backup', 'backup-create', '{"jobType": "half"}', 'jobType: must be one of full, incremental, snapshot'),
  ('m23_begin_restore', 'backup-restore', '{"backupJobId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11"}', 'confirmRestore: must be true'),
  ('m23_begin_pitr', 'pitr-restore', '{"targetTimestamp": "2026-01-01T00:00:00Z", "dryRun": true}', 'dryRun: must be false'),
  ('m23_preview_pitr', 'pitr-restore', '{"targetTimestamp": "2026-01-01T00:00:00Z", "confirmRestore": true}', 'dryRun: must be true'),
  ('m23_begin_rollback', 'pitr-rollback', '{"snapshotId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11", "confirmRollback": "true"}', 'confirmRollback: must be true or false'),
  ('m23_preview_rollback', 'pitr-rollback', '{"snapshotId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11", "confirmRollback": true}', 'dryRun: must be true'),
  ('m23_begin_test', 'recovery-test', '{"test_name": " ", "test_type": "manual", "validation_level": "basic"}', 'test_name: must not be blank');
create function pg_temp.used_twice(p_bad bad) returns text[] language plpgsql as $$
declare
  v_id     uuid := pg_temp.request(p_bad.function);
  v_first  json;
  v_second text;
begin
  perform pg_temp.act_as(1, 'POST');
  execute format('select to_json(public.%I($1, $2))', p_bad.name) into v_first using v_id, p_bad.body;
  v_second := pg_temp.refusal(format('select public.%I(%L, %L)', p_bad.name, v_id, p_bad.body));
  return array[v_first ->> 'code', v_first ->> 'details', current_setting('response.status'), v_second];
end $$;
select is((pg_temp.used_twice(b))[1:3], array['VALIDATION_FAILED', (pg_temp.used_twice(b))[2], '400'], b.name || ' refuses what its edge function refuses') from bad b;
select ok((pg_temp.used_twice(b))[2]::jsonb ? b.fault, b.name || ' names it: ' || (pg_temp.used_twice(b))[2]) from bad b;
select is((pg_temp.used_twice(b))[4], 'INSUFFICIENT_PERMISSIONS', b.name || ': a request is used up by a failure, too') from bad b;
select is(pg_temp.used_twice(row('m23_begin_restore', 'backup-restore', '{"backupJobId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11", "confirmRestore": true}', '')::bad),
  '{BACKUP_NOT_FOUND,null,404,INSUFFICIENT_PERMISSIONS}', 'also when its body was good');
select pg_temp.act_as(1, '');
select throws_like(format('select public.m23_begin_pitr(%L, ''{}'')', pg_temp.request('pitr-restore')), '%VALIDATION_FAILED%', 'outside of the API a refusal is raised');
select set_eq($$ select p.proname::text from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosrc ~ 'm23\.use_request' $$,
  $$ select name from bad $$, 'those are all that take a request');
select is_empty($$ select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosrc ~ 'm23\.use_request'
                     and (p.prosrc !~ 'm23\.answer_refusal' or p.prosrc !~ 'm23\.refuse_body') $$, 'each keeps what it has used, and looks at its body');

-- Bodies.
create function pg_temp.faults(p_function text, p_body jsonb) returns text language sql as $$ select array_to_string(m23.body_faults(p_function, p_body, null), '; ') $$;
select is(pg_temp.faults('backup-restore', '{"backupJobId": "7", "tables": [], "targetSchema": "a b", "mode": "all", "dryRun": 1, "planHash": "", "dryrun": true}'),
  'dryrun: unknown field; backupJobId: must be a UUID; tables: must name at least one table; leave it out for every protected table; '
  || 'targetSchema: "a b" must be letters, digits, _ and -, and start with a letter or _; mode: must be one of exact, missing_only, overwrite_existing; '
  || 'dryRun: must be true or false; planHash: must not be blank; confirmRestore: must be true', 'all faults come at once');
select is(pg_temp.faults('pitr-restore', '{"targetTimestamp": "yesterday", "tables": ["a", "a"], "confirmRestore": true}'),
  'targetTimestamp: must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z; tables: "a" is named twice', 'a moment is a time with its zone');
select is(pg_temp.faults('pitr-restore', '{"targetTimestamp": "2026-02-30T00:00:00Z", "tables": ["a", 7], "confirmRestore": true}'),
  'targetTimestamp: must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z; tables: entry 2 must be a string', 'that there is');
select is(pg_temp.faults('pitr-restore', '{"targetTimestamp": "2026-01-31T10:31:00.123456+02:00", "includeRelated": false, "dryRun": true, "confirmRestore": null}'), '', 'null counts as absent');
select is((select array_agg(pg_temp.faults(f, jsonb_build_object(k, v, 'dryRun', true, 'onBlocked', 'leave')))
             from (values ('backup-restore', 'backupJobId', '6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11'),
                          ('pitr-restore', 'targetTimestamp', '2026-01-31T10:31:00Z'),
                          ('pitr-rollback', 'snapshotId', '6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11')) b (f, k, v)),
  array_fill('onBlocked: must be one of refuse, skip, null'::text, array[3]), 'blocked rows become one of three things');
select is(pg_temp.faults('pitr-rollback', '{"snapshotId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11", "dryRun": true,
                                            "onBlocked": "null"}'), '', 'one of which is a word');
select is(pg_temp.faults('pitr-restore', '[]'), 'body: must be a JSON object', 'no object');
select is(pg_temp.faults('backup-create', '{"jobId": "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11", "jobType": "full"}'), 'jobType: cannot be combined with jobId', 'a job alone');
select is(pg_temp.faults('backup-create', '{}'), 'jobType: is required and must be one of full, incremental, snapshot', 'or a description');
select is(pg_temp.faults('recovery-test', jsonb_build_object('test_name', repeat('x', 201), 'test_type', 'manual', 'validation_level', 'basic')), 'test_name: must have at most 200 characters', 'names have an end');
select is(pg_temp.refusal($$ do $x$ begin perform m23.refuse_body('pitr-restore', '{"targetTimestamp": "2026-01-31T10:31:00Z", "tables": ["no_such"], "confirmRestore": true}', false); end $x$ $$),
  'VALIDATION_FAILED ["tables: \"no_such\" is not a protected table"]', 'a table that is none is not passed over');

-- Schemas that are not free: one sentence, whatever is there.
create schema taken_schema;
create table taken_schema.t ();
select is(array_agg(distinct replace(m23.schema_faults(s)::text, s, 'x')), array['{"targetSchema: \"x\" is not free; choose another name"}'], 'a schema that is not free is that and no more')
  from unnest('{public,auth,m23_log,cron,supabase_new,pg_new,Auth,taken_schema}'::text[]) s;
select is(m23.schema_faults('limits_beside'), '{}', 'one that is');
select pg_temp.act_as(3);
select is(public.m23_authorize('backup-restore', p_target_schema => 'taken_schema') ->> 'faults', '[]', 'who may not restore is told nothing of schemas');

-- Jobs that wait ---------------------------------------------------------------------------

select pg_temp.act_as(2);
set local role authenticated;
insert into public.backup_jobs (tenant_id, backup_name, job_type) select pg_temp.tenant(), 'later', 'full' from generate_series(1, 50);
select throws_like($$ insert into public.backup_jobs (tenant_id, backup_name, job_type) values (pg_temp.tenant(), 'one more', 'full') $$,
  '%this tenant has 50 backup jobs that wait to be run%', 'a tenant has so many jobs that wait, and no more');
reset role;
update public.backup_jobs set status = 'completed' where id = (select id from public.backup_jobs where status = 'pending' limit 1);
set local role authenticated;
select lives_ok($$ insert into public.backup_jobs (tenant_id, backup_name, job_type) values (pg_temp.tenant(), 'one more', 'full') $$, 'one that has run makes room');
reset role;
update public.backup_jobs set created_at = now() - interval '8 days' where backup_name = 'one more';
select is(m23.sweep_pending_jobs(), 1::bigint, 'one that nobody runs goes');
select is((select count(*) from public.backup_jobs where status = 'pending'), 49::bigint, 'others stay');

-- Previews ---------------------------------------------------------------------------------

select is((select count(*) from m23.previews), 0::bigint, 'none yet');
insert into m23.previews (tenant_id, created_at, tables, plan_hash, left_alone)
  select t, clock_timestamp() - make_interval(mins => n), '{}', lpad(n::text, 64, '0'), false from generate_series(1, 30) n, unnest(array[pg_temp.tenant(), gen_random_uuid()::text]) t;
select m23.drop_old_previews(pg_temp.tenant());
select results_eq($$ select count(*), max(ltrim(plan_hash, '0')::int) from m23.previews where tenant_id = pg_temp.tenant() $$, $$ values (20::bigint, 20) $$, 'the newest previews of a tenant are kept');
select is((select count(*) from m23.previews), 50::bigint, 'and those of others');

select pg_temp.act_as(2);
create function pg_temp.look(p_more text) returns text language sql as $$ select pg_temp.refusal('select public.get_pitr_preview(pg_temp.tenant(), ' || p_more || ')') $$;
select is(pg_temp.look($$ null $$), 'VALIDATION_FAILED ["targetTimestamp: is required, or beforeTransaction or undo"]', 'a moment is needed');
select is(pg_temp.look($$ clock_timestamp(), null, '{"related": true}' $$), 'VALIDATION_FAILED ["related: unknown field"]', 'a field that is none');
select matches(pg_temp.look($$ clock_timestamp(), null, '{"dryRun": false}' $$), '^VALIDATION_FAILED', 'it only looks');
select matches(pg_temp.look($$ clock_timestamp(), null, '[]' $$), '^VALIDATION_FAILED', 'a selection is an object');
select matches(pg_temp.look($$ clock_timestamp(), '{no_such}' $$), '^VALIDATION_FAILED .*no_such', 'a table that is none');
select pg_temp.act_as(3);
select is(pg_temp.look($$ clock_timestamp() $$), 'INSUFFICIENT_PERMISSIONS', 'a viewer sees no rows of the past');

-- The view of the log -------------------------------------------------------------------------

insert into limits_test.items select n, pg_temp.tenant(), 'x' from generate_series(1, 9) n;
update m23.settings set value = '4' where name = 'history_rows';
select pg_temp.act_as(2);
select results_eq($$ select (row_key ->> 'id')::int from public.transaction_logs $$, $$ values (9), (8), (7), (6) $$, 'the view shows the newest changes, newest first');
select pg_temp.act_as(3);
select is_empty('select * from public.transaction_logs', 'a viewer sees none');

-- Whose members are no more ---------------------------------------------------------------------

select ok(exists (select from m23.doctor() where topic = 'members' and finding like '%3 membership(s) of 1 tenant(s) are of users who are no more%'), 'the doctor tells members without an account');
insert into auth.users (id, email) select user_id, user_id || '@example.com' from public.tenant_members;
select ok(not exists (select from m23.doctor() where topic = 'members'), 'and says nothing of others');

-- Leases -----------------------------------------------------------------------------------------

insert into m23.restore_work (work_id, tenant_id, kind, moment) values ('77777777-0000-4000-8000-000000000001', pg_temp.tenant(), 'pitr', m23.moment_of(pg_current_snapshot()));
create function pg_temp.is_driven() returns boolean language sql as $$ select m23.is_driven(w, true) from m23.restore_work w where w.work_id = '77777777-0000-4000-8000-000000000001' $$;
select m23.take_lease('77777777-0000-4000-8000-000000000001');
select is((select l.pid from m23.leases l), pg_backend_pid(), 'a lease knows the backend that took it');
select ok(pg_temp.is_driven(), 'work whose backend lives is driven');
update m23.leases set backend_start = backend_start - interval '1 second';
select ok(not pg_temp.is_driven(), 'work from the log whose backend is gone is not');
update m23.restore_work set job_id = gen_random_uuid();
select ok(pg_temp.is_driven(), 'work on an archive may be between two calls');
update m23.leases set backend_start = pg_postmaster_start_time() - interval '1 second';
select ok(not pg_temp.is_driven(), 'but not if the server has started since');
select ok(m23.is_driven(w, false), 'while nobody waits for it, its worker may go on') from m23.restore_work w where w.work_id = '77777777-0000-4000-8000-000000000001';
select is(m23.sweep_restores(), 0, 'upkeep waits for the end of the lease');
select is(m23.sweep_restores(pg_temp.tenant()), 1, 'another restore of the tenant does not');

select * from finish();
rollback;
