-- The audit: added to, never edited, and whoever edits it all the same is found out.
begin;
select no_plan();

insert into public.tenant_members values
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000001', 'owner'),
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000002', 'admin'),
  ('22222222-2222-4222-8222-222222222222', 'aaaaaaaa-0000-4000-8000-000000000003', 'owner');

create function pg_temp.verified() returns jsonb language sql as $$ select public.verify_audit('11111111-1111-4111-8111-111111111111') $$;
create function pg_temp.as_service() returns void language sql as $$ select set_config('request.jwt.claims', '{"role": "service_role"}', true) $$;

select pg_temp.as_service();
select is(pg_temp.verified(), '{"valid": true, "entries": 0, "since": null, "head": null, "brokenAt": null, "reason": null}', 'a chain that has not begun is whole');

-- Calls of a function.
select public.m23_admit('{"id": "99999999-0000-4000-8000-000000000001", "tenant_id": "11111111-1111-4111-8111-111111111111", "user_id": "aaaaaaaa-0000-4000-8000-000000000001",
  "function": "backup-create", "limit": 1, "from": {"from_address": "192.0.2.1", "user_agent": "a test"}}');
select results_eq($$ select outcome, status, action, actor, from_address, user_agent from public.get_audit_log('11111111-1111-4111-8111-111111111111') $$,
  $$ values ('no outcome was recorded', null::int, 'backup-create', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, '192.0.2.1', 'a test') $$, 'a call that was admitted stands there before it is worked on');
select public.m23_audit('{"tenant_id": "11111111-1111-4111-8111-111111111111", "event": "ended", "action": "backup-create", "actor": "aaaaaaaa-0000-4000-8000-000000000001",
  "request_id": "99999999-0000-4000-8000-000000000001", "status": 404, "code": "BACKUP_NOT_FOUND"}');
select results_eq($$ select outcome, status, code, ended_at >= created_at from public.get_audit_log('11111111-1111-4111-8111-111111111111') $$,
  $$ values ('ended', 404, 'BACKUP_NOT_FOUND', true) $$, 'and has its outcome once it has ended');
select public.m23_admit('{"id": "99999999-0000-4000-8000-000000000002", "tenant_id": "11111111-1111-4111-8111-111111111111", "user_id": "aaaaaaaa-0000-4000-8000-000000000001",
  "function": "backup-create", "limit": 1, "from": {}}');
select is((select count(*) from public.audit_log), 2::bigint, 'one that was not admitted has not begun');

-- Refusals.
create function pg_temp.refuse(p_user int, p_code text, p_event text default 'refused') returns void language sql as $$
  select public.m23_audit(jsonb_build_object('tenant_id', '22222222-2222-4222-8222-222222222222', 'event', p_event, 'action', 'pitr-restore', 'status', 403, 'code', p_code,
    'actor', format('aaaaaaaa-0000-4000-8000-00000000000%s', p_user), 'request_id', gen_random_uuid(), 'from_address', '192.0.2.1')) $$;
select pg_temp.refuse(3, 'A') from generate_series(1, 100);
select pg_temp.refuse(3, 'B'), pg_temp.refuse(4, 'A'), pg_temp.refuse(3, null, 'replayed');
select results_eq($$ select seq, right(actor::text, 1), outcome, code, detail ->> 'count', from_address from public.get_audit_log('22222222-2222-4222-8222-222222222222') order by detail ->> 'count' desc, outcome, code, actor $$,
  $$ values (null::bigint, '3', 'refused', 'A', '100', '192.0.2.1'), (null, '4', 'refused', 'A', '1', '192.0.2.1'),
            (null, '3', 'refused', 'B', '1', '192.0.2.1'), (null, '3', 'replayed', null, '1', '192.0.2.1') $$,
  'refusals are put together by user and cause, and are seen at once');
select is(m23.write_refusals(), 0::bigint, 'they are written when their minute is over');
update m23.refusals set minute = minute - interval '1 minute';
select pg_temp.refuse(3, 'A');
select is(m23.write_refusals(), 4::bigint, 'one entry for each');
select results_eq($$ select a.detail ->> 'count', a.created_at < (a.detail ->> 'until')::timestamptz from public.audit_log a where a.code = 'A' and a.actor::text ~ '3$' $$,
  $$ values ('100', true) $$, 'with how many there were, and from when to when');
select is((select count(*) from public.get_audit_log('22222222-2222-4222-8222-222222222222')), 5::bigint, 'those of the next minute are beside them');
select is((select count(*) from public.get_audit_log('22222222-2222-4222-8222-222222222222', p_before => 99)), 4::bigint, 'on the first page alone');
select is(public.verify_audit('22222222-2222-4222-8222-222222222222') - 'head' - 'since', '{"valid": true, "entries": 4, "brokenAt": null, "reason": null}', 'they are links of the chain');
select is((select min(seq) from public.audit_log where tenant_id = '22222222-2222-4222-8222-222222222222'), 1::bigint, 'each tenant has a chain of its own');

-- Changes through the API.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';
set local request.headers = '{"x-forwarded-for": "198.51.100.7, 10.0.0.1", "user-agent": "a browser"}';
insert into public.dr_plans (plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency) values ('p', 1, 1, 'daily', 'daily');
update public.dr_plans set is_active = false, rto_minutes = 2;
insert into public.backup_jobs (backup_name, job_type) values ('b', 'full');
select results_eq($$ select action, actor, from_address, user_agent, detail -> 'columns' from public.audit_log where event = 'done' order by seq $$,
  $$ values ('insert dr_plans', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, '198.51.100.7', 'a browser', 'null'::jsonb),
            ('update dr_plans', 'aaaaaaaa-0000-4000-8000-000000000001', '198.51.100.7', 'a browser', '["is_active", "rto_minutes"]'),
            ('insert backup_jobs', 'aaaaaaaa-0000-4000-8000-000000000001', '198.51.100.7', 'a browser', 'null') $$, 'rows that a client writes');
select is((select count(*) from public.audit_log where tenant_id <> '11111111-1111-4111-8111-111111111111'), 0::bigint, 'an owner reads the own tenant''s');
select is((public.verify_audit('11111111-1111-4111-8111-111111111111') ->> 'valid')::boolean, true, 'and verifies it');
select throws_like($$ select public.verify_audit('22222222-2222-4222-8222-222222222222') $$, '%TENANT_NOT_FOUND%', 'and no other');
select throws_ok($$ insert into public.audit_log (tenant_id, seq) values ('11111111-1111-4111-8111-111111111111', 9) $$, '42501', null, 'nobody adds by hand');
select throws_ok($$ update public.audit_log set code = null $$, '42501', null, 'nobody edits');
select throws_ok($$ delete from public.audit_log $$, '42501', null, 'or deletes');
select throws_ok($$ select public.m23_audit('{}') $$, '42501', null, 'or has something noted');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000002", "role": "authenticated"}';
select is_empty('select * from public.audit_log', 'an admin does not read it');
select throws_like($$ select public.get_audit_log('11111111-1111-4111-8111-111111111111') $$, '%INSUFFICIENT_PERMISSIONS%', 'by no way');
set local role service_role;
select throws_ok($$ update public.audit_log set code = null $$, '42501', null, 'nor does the service key edit');
select throws_ok($$ delete from public.audit_log $$, '42501', null, 'or delete');
select throws_ok($$ truncate public.audit_log $$, '42501', null, 'or empty it');
reset role;
select throws_ok($$ update public.audit_log set code = null $$, '42501', 'the audit is only ever added to', 'not even the owner of the database does');
select throws_ok($$ delete from public.audit_log $$, '42501', 'the audit is only ever added to', 'by mistake');
select throws_ok($$ truncate public.audit_log $$, '42501', 'the audit is only ever added to', 'in any way');

savepoint jobs;
select pg_temp.as_service();
select public.cancel_backup(id), public.delete_backup(id), public.keep_backup(id) from public.backup_jobs where backup_name = 'b';
select results_eq($$ select action from public.audit_log where action ~ '_backup$' order by seq $$, $$ values ('cancel_backup'), ('delete_backup'), ('keep_backup') $$, 'what is done to a backup');
rollback to jobs;

-- Nothing that changes something is without an entry: what a client may execute either reads, is called by a
-- function that has its own, or writes one.
select is_empty($$
  select p.oid::regprocedure from pg_proc p
   where p.pronamespace = 'public'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute') and p.prosrc !~ 'm23.audit_done'
     and pg_get_userbyid(p.proowner) = pg_get_userbyid((select proowner from pg_proc where oid = 'm23.audit(text, jsonb, timestamptz)'::regprocedure))
     and p.proname !~ '^(get|find|calculate|plan|verify)_' and p.proname !~ '^m23_(authorize|begin|preview)'
     and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e') $$, 'every change through the API is audited');

-- Whoever switches the triggers off.
select pg_temp.as_service();
alter table public.audit_log disable trigger user;
savepoint untouched;
select is(pg_temp.verified() - 'head' - 'since', '{"valid": true, "entries": 5, "brokenAt": null, "reason": null}', 'the chain is whole');
update public.audit_log set code = 'OK' where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 2;
select is(pg_temp.verified() - 'head' - 'since', '{"valid": false, "entries": 5, "brokenAt": 2, "reason": "it has been altered"}', 'an entry that was altered is found');
update public.audit_log a set hash = m23.audit_hash(a) where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 2;
select is(pg_temp.verified() - 'head' - 'since', '{"valid": false, "entries": 5, "brokenAt": 3, "reason": "it does not follow the entry before it"}', 'also with a hash that fits');
rollback to untouched;
delete from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 3;
select is(pg_temp.verified() - 'head' - 'since', '{"valid": false, "entries": 4, "brokenAt": 4, "reason": "an entry before it is missing"}', 'one that was taken out');
rollback to untouched;
delete from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 5;
select is(pg_temp.verified() - 'head' - 'since', '{"valid": false, "entries": 4, "brokenAt": 5, "reason": "the end of the chain is missing"}', 'and one at the end');
rollback to untouched;
alter table public.audit_log enable trigger user;

-- What is old goes, and leaves its end behind.
savepoint young;
create function pg_temp.rechain() returns void language plpgsql as $$
declare
  v_entry public.audit_log;
  v_prev  text := repeat('0', 64);
begin
  for v_entry in select * from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111' order by seq loop
    v_entry.prev_hash := v_prev;
    v_prev := m23.audit_hash(v_entry);
    update public.audit_log set prev_hash = v_entry.prev_hash, hash = v_prev where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = v_entry.seq;
  end loop;
  update m23.audit_heads set hash = v_prev where tenant_id = '11111111-1111-4111-8111-111111111111';
end $$;
alter table public.audit_log disable trigger user;
update public.audit_log set created_at = clock_timestamp() - interval '400 days' where tenant_id = '11111111-1111-4111-8111-111111111111' and seq <= 3;
savepoint broken;
alter table public.audit_log enable trigger user;
select is(m23.prune_audit(), 0::bigint, 'a chain that does not fit is not shortened: somebody should see it');
rollback to broken;
select pg_temp.rechain();
alter table public.audit_log enable trigger user;
select is(m23.prune_audit(), 3::bigint, 'what is older than audit_days goes');
select is(m23.prune_audit(), 0::bigint, 'once');
select is(pg_temp.verified() - 'head', (select jsonb_build_object('valid', true, 'entries', 2, 'brokenAt', null, 'reason', null, 'since', m23.iso(min(created_at)))
  from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111'), 'the rest fits the checkpoint, and says since when');
select throws_ok($$ delete from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 4 $$, '42501', null, 'nothing before the checkpoint is deleted');
savepoint pruned;
update m23.audit_checkpoints set hash = repeat('0', 64);
select is(pg_temp.verified() ->> 'reason', 'it does not follow the entry before it', 'a checkpoint that was altered is found');
rollback to pruned;
delete from m23.audit_checkpoints;
select is(pg_temp.verified() ->> 'reason', 'an entry before it is missing', 'and one that is gone');
rollback to pruned;
update m23.settings set value = '-1' where name = 'audit_days';
select cmp_ok(m23.prune_audit(), '>=', 2::bigint, 'the whole chain may be old');
select is(pg_temp.verified() - 'head', '{"valid": true, "entries": 0, "since": null, "brokenAt": null, "reason": null}', 'then its end is the checkpoint');
select m23.audit('11111111-1111-4111-8111-111111111111', '{"event": "done", "action": "x"}');
select is(pg_temp.verified() ->> 'valid', 'true', 'and goes on from there');
rollback to young;

-- A hash that anybody can compute.
select is(hash, encode(sha256(convert_to(prev_hash || E'\n' || jsonb_build_array(tenant_id, seq, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), event, action, actor,
    request_id, from_address, user_agent, status, code, detail)::text, 'UTF8')), 'hex'), 'the hash is as documented')
  from public.audit_log where tenant_id = '11111111-1111-4111-8111-111111111111' and seq = 4;

select * from finish();
rollback;
