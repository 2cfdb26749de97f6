-- The tables' constraints: rows that no function of M23's expects are refused, whoever writes them.
begin;
select plan(18);

create table public.test_notes (id int primary key, tenant_id uuid not null, body text);
select m23.protect_table('public.test_notes');
select m23.incarnation();

-- Whether a statement is refused by a check.
create function pg_temp.refused(p_statement text) returns text language sql as $$
  select throws_ok(p_statement, '23514', null, p_statement) $$;

-- Jobs.
select pg_temp.refused($$ insert into m23.leases (work_id, token, until, taken)
  values (gen_random_uuid(), gen_random_uuid(), now(), 0) $$);
select pg_temp.refused($$ insert into m23.leases (work_id, token, until, pid, backend_start)
  values (gen_random_uuid(), gen_random_uuid(), now(), null, now()) $$);
select pg_temp.refused($$ insert into m23.requests (id, tenant_id, function)
  values (gen_random_uuid(), gen_random_uuid(), 'backup-make') $$);
select pg_temp.refused($$ insert into m23.requests (id, tenant_id, function, given_back_at)
  values (gen_random_uuid(), gen_random_uuid(), 'backup-create', now()) $$);
select pg_temp.refused($$ insert into m23.requests (id, tenant_id, function, response_body)
  values (gen_random_uuid(), gen_random_uuid(), 'backup-create', '{}') $$);

-- The audit.
select pg_temp.refused($$ insert into m23.audit_heads (tenant_id, seq, hash) values (gen_random_uuid(), 1, 'x') $$);
select pg_temp.refused($$ insert into m23.audit_checkpoints (tenant_id, seq, hash)
  values (gen_random_uuid(), 0, repeat('0', 64)) $$);
select pg_temp.refused($$ select m23.audit(gen_random_uuid()::text, '{"event": "ended", "action": "backup-create"}') $$);
select pg_temp.refused($$ insert into m23.refusals (tenant_id, minute, event, action)
  values (gen_random_uuid(), now(), 'begun', 'backup-create') $$);

-- Time and log.
select pg_temp.refused($$ insert into m23.clock_steps (since, until, incarnation)
  values (now(), now(), m23.incarnation()) $$);
select pg_temp.refused($$ update m23.log_columns set name = 'body' $$);
select pg_temp.refused($$ update m23.log_parts set sealed = true $$);
select pg_temp.refused($$ update m23.log_groups set attnums = '{2,3}', wide = true $$);
select pg_temp.refused($$ insert into m23.type_versions values (0, '0/0', '3', m23.incarnation(), '{1,2}', '{a}') $$);
select pg_temp.refused($$ update m23.protected_tables set key_attnums = '{}' $$);
select pg_temp.refused($$ update m23.protected_tables set pruned_below = '3' $$);

-- Records.
select pg_temp.refused($$ insert into public.backup_jobs (id, tenant_id, backup_name, job_type, base_backup_id)
  values ('11111111-1111-4111-8111-111111111111', gen_random_uuid(), 'b', 'full',
          '11111111-1111-4111-8111-111111111111') $$);
select pg_temp.refused($$ insert into public.pitr_snapshots
    (tenant_id, snapshot_name, snapshot_type, snapshot_data, affected_tables, is_rolled_back)
  values (gen_random_uuid(), 's', 'manual', '{}', '{}', true) $$);

select * from finish();
rollback;
