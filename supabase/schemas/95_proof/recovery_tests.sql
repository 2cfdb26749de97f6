-- Recovery tests: durable work like backups. A worker examines the archive as far as its level
-- says; at the deepest level the database restores it into a schema that nobody else ever sees.
-- What does not hold is a finding; that a test has findings does not make it a failure.

create table m23.test_work (
  test_id    uuid primary key references public.recovery_tests (id) on delete cascade,
  state      jsonb not null default '{}',  -- how far the examination has come; its worker's own
  staging_at timestamptz,                  -- since when the archive is being read back
  trial      jsonb,                        -- what its restore gave, should the answer have been lost
  constraint is_an_object check (jsonb_typeof(state) = 'object' and jsonb_typeof(trial) = 'object'),
  constraint trial_was_staged check (trial is null or staging_at is not null)
);
select m23.close_table('m23.test_work');

-- The backup that a test is of: the one that is named, else the newest that the plan covers,
-- else the tenant's newest.
create function m23.tested_backup(p_tenant text, p_plan public.dr_plans, p_job uuid) returns uuid
language plpgsql volatile as $$
declare v_job uuid := m23.covered_backup(p_tenant, p_plan);
begin
  if p_job is not null then
    return (m23.restorable_backup(p_tenant, p_job, p_needs_key => false)).id;
  end if;
  if v_job is null then
    perform m23.refuse('BACKUP_NOT_FOUND',
                       case when p_plan.id is null then 'this tenant has no completed backup to test'
                            else 'this tenant has no completed backup that the plan covers' end);
  end if;
  return v_job;
end $$;

-- Accepts a recovery test as a request's body asks for it; gives its id.
create function m23.begin_test(p_tenant text, p_test jsonb, p_by uuid) returns uuid
language plpgsql volatile as $$
declare
  v_plan public.dr_plans := m23.usable_plan(p_tenant, (p_test ->> 'dr_plan_id')::uuid);
  v_job  uuid := m23.tested_backup(p_tenant, v_plan, (p_test ->> 'backup_job_id')::uuid);
  v_id   uuid;
begin
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, backup_job_id, test_name, test_type,
                                     validation_level)
    values (p_tenant, p_by, v_plan.id, v_job, p_test ->> 'test_name', p_test ->> 'test_type',
            p_test ->> 'validation_level')
    returning id into v_id;
  insert into m23.test_work (test_id) values (v_id);
  return v_id;
end $$;

-- The advisory lock that whoever executes a test holds.
create function m23.test_key(p_test uuid) returns bigint
language sql immutable as $$ select hashtextextended('m23.test.' || p_test, 0) $$;

-- Ends a test that waits or runs, as failed.
create function m23.fail_test(p_test uuid, p_error text) returns void
language plpgsql as $$
begin
  update public.recovery_tests set status = 'failed', error_message = left(p_error, 2000),
         completed_at = clock_timestamp()
   where id = p_test and status in ('pending', 'in_progress');
  perform m23.end_work(p_test);
  delete from m23.test_work where test_id = p_test;
end $$;

-- What a worker has to examine: a chain, the full backup first.
create function m23.test_plan(p_test public.recovery_tests, p_lease uuid) returns json
language sql stable as $$
  select json_build_object(
    'test_id', p_test.id, 'lease', p_lease, 'tenant_id', p_test.tenant_id, 'level', p_test.validation_level,
    'state', (select w.state from m23.test_work w where w.test_id = p_test.id),
    'archives', (select json_agg(json_build_object('backup_id', c.id, 'manifest', w.manifest,
                                                   'manifest_sha256', w.manifest_sha256) order by c.ordinality)
                   from m23.chain_of(p_test.backup_job_id) with ordinality c join m23.backup_work w on w.job_id = c.id))
$$;

-- A check that holds is counted; one that does not is a finding: its kind, the object that it
-- is about, and a sentence. They are gathered in pg_temp.m23_checks.

-- The results of a test, from its tally and what its restore gave.
create function m23.test_results(p_test public.recovery_tests, p_tally jsonb, p_restore jsonb) returns jsonb
language sql volatile as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'duration', round(extract(epoch from clock_timestamp() - p_test.started_at), 3),
    'issuesFound', p_tally -> 'issues', 'validationsPassed', p_tally -> 'passed',
    'recommendations', coalesce((select jsonb_agg(a order by first) from (
        select m23.advice(f ->> 'kind') as a, min(n) as first
          from jsonb_array_elements(p_tally -> 'findings') with ordinality x (f, n) group by 1) advised
      where a is not null), '[]'),
    'findings', p_tally -> 'findings', 'backupJobId', p_test.backup_job_id,
    'backupAgeSeconds', (select round(extract(epoch from clock_timestamp() - w.position_at), 3) from m23.backup_work w
                          where w.job_id = p_test.backup_job_id),
    'recoverySeconds', p_restore -> 'seconds', 'rowsRestored', p_restore -> 'rows',
    'rowsUndone', p_restore -> 'undone'))
$$;

-- Checks the measured time against what the plan allows.
create function m23.check_recovery_time(p_test public.recovery_tests, p_seconds numeric) returns void
language plpgsql as $$
declare v_allowed int := (select p.rto_minutes from public.dr_plans p where p.id = p_test.dr_plan_id);
begin
  if p_seconds is not null and v_allowed is not null then
    perform m23.note_check('rto_missed', 'the restore', case when p_seconds > v_allowed * 60.0
      then format('reading back and restoring took %s seconds; the plan allows %s minutes', p_seconds, v_allowed) end);
  end if;
end $$;
