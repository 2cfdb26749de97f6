-- Recovery tests: durable work like backups. A worker examines the archive as far as its level
-- says; at the deepest level the database restores it into a schema that nobody else ever sees.
-- What does not hold is a finding; that a test has findings does not make it a failure.

create table m23.test_work (
  test_id    uuid primary key references public.recovery_tests (id) on delete cascade,
  state      jsonb not null default '{}',  -- how far the examination has come; its worker's own
  staging_at timestamptz,                  -- since when the archive is being read back
  trial      jsonb                         -- what its restore gave, should the answer have been lost
);
select m23.close_table('m23.test_work');

-- Beginning -----------------------------------------------------------------------------

-- The backup that a test is of: the one that is named, else the newest that the plan covers,
-- else the tenant's newest.
create function m23.tested_backup(p_tenant uuid, p_plan public.dr_plans, p_job uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare v_job uuid := m23.covered_backup(p_tenant, p_plan);
begin
  if p_job is not null then
    return (m23.restorable_backup(p_tenant, p_job, p_needs_key => false)).id;
  end if;
  if v_job is null then
    perform m23.refuse('BACKUP_NOT_FOUND', case when p_plan.id is null then 'this tenant has no completed backup to test'
                                                else 'this tenant has no completed backup that the plan covers' end);
  end if;
  return v_job;
end $$;

create function m23.begin_test(p_tenant uuid, p_test jsonb, p_by uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_plan public.dr_plans := m23.usable_plan(p_tenant, (p_test ->> 'dr_plan_id')::uuid);
  v_job  uuid := m23.tested_backup(p_tenant, v_plan, (p_test ->> 'backup_job_id')::uuid);
  v_id   uuid;
begin
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, backup_job_id, test_name, test_type, validation_level)
    values (p_tenant, p_by, v_plan.id, v_job, p_test ->> 'test_name', p_test ->> 'test_type', p_test ->> 'validation_level')
    returning id into v_id;
  insert into m23.test_work (test_id) values (v_id);
  return v_id;
end $$;

create function public.m23_begin_test(p_request_id uuid, p_test jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'recovery-test');
  v_detail  text;
begin
  perform m23.refuse_body('recovery-test', p_test);
  return to_json(m23.begin_test(v_request.tenant_id, p_test, auth.uid()));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_test(uuid, jsonb) is
  'For recovery-test: accepts a test under an admitted request, and gives its id. A worker drives it from there.';

-- Driving -------------------------------------------------------------------------------

create function m23.test_key(p_test uuid) returns bigint
language sql immutable set search_path = '' as $$ select hashtextextended('m23.test.' || p_test, 0) $$;

create function m23.fail_test(p_test uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
begin
  update public.recovery_tests set status = 'failed', error_message = left(p_error, 2000), completed_at = clock_timestamp()
   where id = p_test and status in ('pending', 'in_progress');
  perform m23.end_work(p_test);
  delete from m23.test_work where test_id = p_test;
end $$;

-- What a worker has to examine: a chain, the full backup first.
create function m23.test_plan(p_test public.recovery_tests, p_lease uuid) returns json
language sql stable set search_path = '' as $$
  select json_build_object('test_id', p_test.id, 'lease', p_lease, 'tenant_id', p_test.tenant_id, 'level', p_test.validation_level,
    'state', (select w.state from m23.test_work w where w.test_id = p_test.id),
    'archives', (select json_agg(json_build_object('backup_id', c.id, 'manifest', w.manifest, 'manifest_sha256', w.manifest_sha256) order by c.ordinality)
                   from m23.chain_of(p_test.backup_job_id) with ordinality c join m23.backup_work w on w.job_id = c.id))
$$;

create function public.m23_claim_test(p_test_id uuid default null) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_test  public.recovery_tests;
  v_lease m23.leases;
begin
  for v_test in
    select t.* from public.recovery_tests t join m23.test_work w on w.test_id = t.id
     where p_test_id is null or t.id = p_test_id order by t.created_at
  loop
    -- One whose restore is under way holds its lock, however long it takes.
    continue when not pg_try_advisory_xact_lock(m23.test_key(v_test.id));
    v_lease := m23.take_lease(v_test.id);
    if v_lease.taken > 5 then
      perform m23.fail_test(v_test.id, 'five workers have taken this test up without getting further');
    elsif v_lease.token is not null then
      update public.recovery_tests set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp()) where id = v_test.id;
      return m23.test_plan(v_test, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_test(uuid) is
  'For the workers: takes the lease of a test (this one, or any that nobody drives) and gives what to examine; null when there is none.';

create function public.m23_save_test(p_test_id uuid, p_lease uuid, p_state jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_test_id, p_lease);
  update m23.test_work set state = p_state where test_id = p_test_id and state <> p_state;
  if found then
    update m23.leases set taken = 1 where work_id = p_test_id;
  end if;
end $$;
comment on function public.m23_save_test(uuid, uuid, jsonb) is 'For the workers: how far an examination has come, for whoever goes on with it.';

create function public.m23_fail_test(p_test_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_test_id, p_lease);
  perform m23.fail_test(p_test_id, p_error);
end $$;

-- Checks --------------------------------------------------------------------------------
-- A check that holds is counted; one that does not is a finding: its kind, the object that it
-- is about, and a sentence. They are gathered in pg_temp.m23_checks.

create function m23.open_checks() returns void
language sql set search_path = '' as
$$ create temp table m23_checks (n int generated always as identity, kind text not null, object text not null, sentence text) on commit drop $$;

create function m23.note_check(p_kind text, p_object text, p_fault text default null) returns void
language plpgsql set search_path = '' as $$
begin
  insert into pg_temp.m23_checks (kind, object, sentence) values (p_kind, p_object, p_fault);
end $$;

create function m23.close_checks() returns jsonb
language plpgsql set search_path = '' as $$
declare v_tally jsonb;
begin
  select jsonb_build_object('passed', count(*) filter (where sentence is null), 'issues', count(sentence),
      'findings', coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'object', object, 'sentence', sentence) order by n) filter (where sentence is not null), '[]'))
    into v_tally from pg_temp.m23_checks;
  drop table pg_temp.m23_checks;
  return v_tally;
end $$;

create function m23.add_tallies(p_one jsonb, p_other jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('passed', (p_one ->> 'passed')::bigint + (p_other ->> 'passed')::bigint,
    'issues', (p_one ->> 'issues')::bigint + (p_other ->> 'issues')::bigint, 'findings', (p_one -> 'findings') || (p_other -> 'findings'))
$$;

-- What the database's own records say of a backup: its chain, its times, its age.
create function m23.check_records(p_test public.recovery_tests) returns void
language plpgsql set search_path = '' as $$
declare
  v_job  public.backup_jobs;
  v_last public.backup_jobs;
  v_at   timestamptz;
  v_plan public.dr_plans;
begin
  for v_job in select * from m23.chain_of(p_test.backup_job_id) loop
    perform m23.note_check('chain_broken', v_job.backup_name, case
      when v_job.status <> 'completed' then format('"%s", on which this backup builds, is %s', v_job.backup_name, replace(v_job.status, '_', ' '))
      when v_last.id is null and v_job.job_type = 'incremental' then format('"%s" builds on a backup that is not there any more', v_job.backup_name)
      when not exists (select from m23.backup_work w where w.job_id = v_job.id) then format('nothing is known of the archive of "%s"', v_job.backup_name) end);
    v_at := (select w.position_at from m23.backup_work w where w.job_id = v_job.id);
    perform m23.note_check('clock_odd', v_job.backup_name, case
      when v_at > clock_timestamp() or v_job.completed_at > clock_timestamp() then format('"%s" is of a time to come', v_job.backup_name)
      when v_job.completed_at < v_at then format('"%s" was completed before the moment that it is of', v_job.backup_name)
      when v_at < (select w.position_at from m23.backup_work w where w.job_id = v_last.id)
        then format('"%s" is of an earlier moment than "%s", on which it builds', v_job.backup_name, v_last.backup_name) end);
    v_last := v_job;
  end loop;
  select * into v_plan from public.dr_plans where id = p_test.dr_plan_id;
  if v_plan.id is not null then
    perform m23.note_check('rpo_missed', v_last.backup_name, case when clock_timestamp() - v_at > make_interval(mins => v_plan.rpo_minutes)
      then format('the backup is of %s, %s minutes ago; the plan allows %s', m23.iso(v_at), ceil(extract(epoch from clock_timestamp() - v_at) / 60), v_plan.rpo_minutes) end);
  end if;
end $$;

-- What to do about a kind of finding.
create function m23.advice(p_kind text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_kind in ('manifest_missing', 'manifest_altered', 'manifest_invalid', 'object_missing', 'object_size', 'object_altered', 'object_damaged', 'line_malformed', 'exchanged')
      then 'This archive cannot be relied on: make a full backup now, test it, and find out who or what has written to the bucket (a lock rule on it would have refused that).'
    when p_kind = 'no_archive' then 'Make a full backup: a snapshot lives inside the database, and is lost with it.'
    when p_kind = 'undecryptable' then 'Put back the key that this archive was encrypted with (ARCHIVE_KEY and the objects under keys/); without it nobody can restore this backup.'
    when p_kind = 'chain_broken' then 'Make a full backup now: this chain can no longer be restored to its end.'
    when p_kind = 'clock_odd' then 'Check the clocks of the database server: times decide what is restored, and what is kept.'
    when p_kind = 'rpo_missed' then 'Back up more often, or see why the scheduled backups did not run: more would be lost than the plan allows.'
    when p_kind = 'rto_missed' then 'Restoring takes longer than the plan allows: give the database more resources, restore fewer tables first, or allow more time in the plan.'
    when p_kind = 'foreign_row' then 'Do not restore this archive: it holds rows of another tenant. Find out who has written to the bucket or to the database''s records.'
    when p_kind = 'definition_unsafe'
      then 'Rows of this archive can be restored; do not execute its definitions. '
           'Make a full backup now, and find out who has written to the bucket.'
    when p_kind in ('shape_changed', 'not_protected') then 'The tables have changed since this backup: make a full backup of them as they are now.'
    when p_kind in ('constraint_broken', 'reference_broken') then 'The rows no longer fit the constraints or tables of today: make a full backup of all related tables, or restore beside the live data.'
    when p_kind in ('fingerprint_differs', 'round_trip_differs', 'not_restorable')
      then 'Do not rely on this backup: make a full backup now and test it deep. If that fails as well, report it with this test''s id.' end
$$;

-- Finishing -------------------------------------------------------------------------------

create function m23.test_results(p_test public.recovery_tests, p_tally jsonb, p_restore jsonb) returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'duration', round(extract(epoch from clock_timestamp() - p_test.started_at), 3),
    'issuesFound', p_tally -> 'issues', 'validationsPassed', p_tally -> 'passed',
    'recommendations', coalesce((select jsonb_agg(a order by first) from (
        select m23.advice(f ->> 'kind') as a, min(n) as first from jsonb_array_elements(p_tally -> 'findings') with ordinality x (f, n) group by 1) advised where a is not null), '[]'),
    'findings', p_tally -> 'findings', 'backupJobId', p_test.backup_job_id,
    'backupAgeSeconds', (select round(extract(epoch from clock_timestamp() - w.position_at), 3) from m23.backup_work w where w.job_id = p_test.backup_job_id),
    'recoverySeconds', p_restore -> 'seconds', 'rowsRestored', p_restore -> 'rows', 'rowsUndone', p_restore -> 'undone'))
$$;

create function public.m23_finish_test(p_test_id uuid, p_lease uuid, p_tally jsonb, p_restore jsonb default null) returns jsonb
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_test public.recovery_tests;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.open_checks();
  perform m23.check_records(v_test);
  perform m23.check_recovery_time(v_test, (p_restore ->> 'seconds')::numeric);
  update public.recovery_tests set status = 'completed', completed_at = clock_timestamp(),
         results = m23.test_results(v_test, m23.add_tallies(p_tally, m23.close_checks()), p_restore)
   where id = p_test_id returning * into v_test;
  perform m23.end_work(p_test_id);
  delete from m23.test_work where test_id = p_test_id;
  return v_test.results;
end $$;
comment on function public.m23_finish_test(uuid, uuid, jsonb, jsonb) is 'For the workers: ends a test with what the examination and the restore found; gives its results.';

create function m23.check_recovery_time(p_test public.recovery_tests, p_seconds numeric) returns void
language plpgsql set search_path = '' as $$
declare v_allowed int := (select p.rto_minutes from public.dr_plans p where p.id = p_test.dr_plan_id);
begin
  if p_seconds is not null and v_allowed is not null then
    perform m23.note_check('rto_missed', 'the restore', case when p_seconds > v_allowed * 60.0
      then format('reading back and restoring took %s seconds; the plan allows %s minutes', p_seconds, v_allowed) end);
  end if;
end $$;

select m23.open_to('{authenticated, service_role}', 'public.m23_begin_test(uuid, jsonb)');
select m23.open_to('{service_role}', 'public.m23_claim_test(uuid)', 'public.m23_save_test(uuid, uuid, jsonb)', 'public.m23_fail_test(uuid, uuid, text)',
  'public.m23_finish_test(uuid, uuid, jsonb, jsonb)');
select m23.close_functions();
