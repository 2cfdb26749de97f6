-- Conventions, proved from the catalogue: they hold for what is added later, too.
begin;
select no_plan();

create temp view our_functions as
  select p.oid, p.oid::regprocedure::text as name, p.prosecdef, p.proconfig, p.proacl, n.nspname
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname in ('m23', 'm23_log') or (n.nspname = 'public' and (p.proname like 'm23\_%' or p.proname like '%pitr%'
      or p.proname like '%backup%' or p.proname in ('plan_retention', 'get_current_tenant', 'get_health', 'calculate_health_score', 'get_audit_log', 'verify_audit', 'get_fleet', 'get_doctor', 'get_recovery_window', 'get_rows_as_of', 'get_transaction_logs', 'get_change_histogram', 'get_events', 'get_transactions', 'get_transaction', 'find_rows', 'get_row_history',
                                                      'cancel_restore', 'drop_restore_copy', 'forget_tenant', 'erase_archive_key')));

create temp view our_tables as
  select c.oid, c.oid::regclass::text as name, c.relrowsecurity, n.nspname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p')
     and (n.nspname in ('m23', 'm23_log', 'm23_staging')
          or (n.nspname = 'public' and c.relname = any (m23.own_tables())));

-- A protected table, so that generated code is looked at as well.
create schema catalogue_test;
create type catalogue_test.mood as enum ('ok');
create table catalogue_test.t (id int primary key, tenant_id uuid not null, m catalogue_test.mood);
select m23.protect_table('catalogue_test.t');

select cmp_ok((select count(*) from our_functions), '>', 60::bigint, 'the catalogue is not empty: functions');
select cmp_ok((select count(*) from our_tables), '>', 15::bigint, 'the catalogue is not empty: tables');

select is_empty($$ select name from our_functions where not coalesce(proconfig, '{}') && array['search_path=""', 'search_path=']
                     and (prosecdef or name !~ '^m23_log\.(before|row_\d+)\(\)$') $$,
  'every function pins its search_path, but those that a writer calls with its own rights before each statement and after each row');
select is_empty($$ select f.name, s.name from our_functions f cross join m23.text_settings() s
                    where f.nspname = 'public' and not exists (
                      select from unnest(f.proconfig) c where c ilike s.name || '=%') $$,
  'every function of the API pins the settings that text depends on');
select is_empty($$ select name from our_functions where prosecdef and not 'row_security=off' = any (coalesce(proconfig, '{}'))
                     and name !~ '^m23_log\.(insert|update|delete)_\d+\(\)$' $$,
  'a definer function can only fail under RLS, never see fewer rows');
select is_empty($$ select c.relname from pg_class c join pg_proc p on p.pronamespace = c.relnamespace
                    where c.relnamespace = 'm23_log'::regnamespace and c.relkind = 'r' and (c.relforcerowsecurity or c.relowner <> p.proowner) $$,
  'the functions after a statement write tables of their owner, whom RLS passes over');
select is_empty($$ select name from our_functions where proacl is null or exists (select from aclexplode(proacl) a where a.grantee = 0) $$,
  'PUBLIC may execute nothing');
select is_empty($$ select name from our_functions where has_function_privilege('anon', oid, 'execute') $$,
  'anon may execute nothing');
select set_eq($$ select name from our_functions where has_function_privilege('authenticated', oid, 'execute') $$,
  array['m23.caller_tenants(text[])', 'm23.caller_tenant()', 'm23.caller_fence()', 'm23.caller_membership()', 'm23.picked_tenant()', 'm23.may_build_on(text,uuid)', 'm23.transaction_log()',
        'm23_authorize(text,boolean,text[],text,timestamp with time zone,uuid,text)', 'm23_begin_backup(uuid,jsonb)', 'm23_begin_restore(uuid,jsonb)',
        'm23_begin_test(uuid,jsonb)', 'm23_begin_pitr(uuid,jsonb)', 'm23_preview_pitr(uuid,jsonb)', 'm23_begin_rollback(uuid,jsonb)', 'm23_preview_rollback(uuid,jsonb)',
        'calculate_pitr_stats(text,timestamp with time zone,timestamp with time zone)', 'cancel_restore(uuid)',
        'create_pitr_snapshot(text,text,text[],uuid,uuid)', 'drop_restore_copy(uuid)', 'execute_pitr_rollback(uuid,uuid,text)', 'cancel_backup(uuid)', 'delete_backup(uuid)', 'keep_backup(uuid)', 'plan_retention(text)', 'get_backup_chain(uuid)', 'get_backup_statistics(text,integer)', 'get_active_pitr_snapshots(text)',
        'get_current_tenant()', 'get_fleet()', 'get_doctor()', 'get_audit_log(text,bigint,integer)', 'verify_audit(text)', 'get_health(text,integer)', 'calculate_health_score(text,integer)', 'get_pitr_preview(text,timestamp with time zone,text[],jsonb)', 'get_pitr_preview_page(uuid,text,integer,integer,text,text,text)', 'get_pitr_rollback_history(text,integer)', 'get_recovery_window(text)',
        'get_rows_as_of(text,timestamp with time zone,jsonb,integer,text)', 'get_transaction_logs(text,text,text,uuid,timestamp with time zone,timestamp with time zone,jsonb,integer)',
        'get_change_histogram(text,timestamp with time zone,timestamp with time zone,integer,text[],uuid)', 'get_events(text,timestamp with time zone,timestamp with time zone)',
        'get_transactions(text,timestamp with time zone,timestamp with time zone,text,uuid,text,integer,jsonb)', 'get_transaction(text,text,integer,jsonb)',
        'find_rows(text,text,jsonb,text,timestamp with time zone,timestamp with time zone,integer,jsonb)', 'get_row_history(text,text,jsonb,integer,jsonb)'],
  'a signed-in user may execute these and no others');

select is_empty($$ select name from our_tables where not relrowsecurity $$, 'every table has row-level security');
select is_empty($$ select name from our_tables t where t.nspname <> 'public' and not exists (select from pg_policy p where p.polrelid = t.oid) $$,
  'every table outside public was closed with m23.close_table');
select is_empty($$ select name from our_tables where has_table_privilege('anon', oid, 'select,insert,update,delete,truncate') $$,
  'anon may touch no table');
select is_empty($$ select name from our_tables where nspname <> 'public' and has_table_privilege('authenticated', oid, 'select,insert,update,delete,truncate') $$,
  'a signed-in user may touch no table of ours outside public');
select is_empty($$ select name from our_tables where nspname = 'public' and has_table_privilege('authenticated', oid, 'delete,truncate') $$,
  'a signed-in user deletes no record');
select is_empty($$ select t.name from our_tables t where t.nspname = 'public'
    and not exists (select from pg_policies p where p.schemaname = 'public' and 'public.' || p.tablename = any (array[t.name, 'public.' || t.name]) and p.cmd = 'SELECT') $$,
  'every public table has a policy for reading');
select is_empty($$ select tablename || '.' || policyname from pg_policies where schemaname = 'public'
    and tablename in (select replace(name, 'public.', '') from our_tables where nspname = 'public') and roles <> '{authenticated}' $$,
  'policies are for signed-in users only');

select is_empty($$
  select c.conrelid::regclass || ' ' || c.conname from pg_constraint c join our_tables t on t.oid = c.conrelid
   where c.contype = 'f' and not exists (
     select from pg_index i where i.indrelid = c.conrelid and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey) $$,
  'every foreign key has an index');

select is_empty($$ select n.nspname || '.' || t.typname from pg_attribute a join our_tables o on o.oid = a.attrelid and o.nspname = 'm23_log'
    join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace
   where a.attnum > 0 and not a.attisdropped and n.nspname <> 'pg_catalog' $$,
  'a log table has types of pg_catalog only: it holds no type of the application back');

select is_empty($$ select o.name from our_tables o join pg_attribute a on a.attrelid = o.oid and a.attname = 'tenant_id' and not a.attisdropped
   where o.nspname in ('m23', 'public') and o.name not in ('tenant_members', 'public.tenant_members', 'm23.forgotten', 'm23.key_erasures', 'm23.undone_except' /* goes with m23.undone */)
     and not exists (select from pg_proc p where p.pronamespace = 'm23'::regnamespace and p.proname ~ '^forget_' and strpos(p.prosrc, split_part('public.' || o.name, '.', -1)) > 0) $$,
  'whoever forgets a tenant knows every table that has one');

-- Behaviour that the catalogue only promises.
create schema hostile;
do $$
declare v_function record;
begin
  for v_function in
    select p.proname, pg_get_function_arguments(p.oid) as arguments, format_type(p.prorettype, null) as result from pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and p.proname in ('current_setting', 'set_config', 'pg_current_xact_id_if_assigned', 'uuid_hash_extended',
                                                                          'pg_advisory_xact_lock_shared', 'left')
  loop
    execute format('create function hostile.%I(%s) returns %s language plpgsql as $f$ begin raise exception ''hijacked''; end $f$', v_function.proname, v_function.arguments, v_function.result);
  end loop;
  create function hostile.concat(variadic text[]) returns text language plpgsql as $f$ begin raise exception 'hijacked'; end $f$;
  create function hostile.compare(text, text) returns boolean language plpgsql as $f$ begin raise exception 'hijacked'; end $f$;
end $$;
create operator hostile.= (function = hostile.compare, leftarg = text, rightarg = text);
create operator hostile.<> (function = hostile.compare, leftarg = text, rightarg = text);
create domain hostile.text as int;
create domain hostile.uuid as int;
create function catalogue_test.write() returns void language sql set search_path = hostile, pg_catalog as $$
  insert into catalogue_test.t values (1, '11111111-1111-4111-8111-111111111111', 'ok'), (2, null, null) on conflict do nothing;
  update catalogue_test.t set m = null;
  delete from catalogue_test.t;
$$;
alter table catalogue_test.t alter tenant_id drop not null;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';
select lives_ok('select catalogue_test.write()', 'no object of a writer''s own path gets in the way of a protected table''s triggers');
set local request.jwt.claims = '{"sub": "somebody@example.org", "role": "authenticated"}';
select lives_ok('select catalogue_test.write()', 'nor does a user whose id is no uuid');
set local request.jwt.claims = '';

insert into public.tenant_members values
  ('11111111-1111-4111-8111-111111111111', 'aaaaaaaa-0000-4000-8000-000000000001', 'owner'),
  ('22222222-2222-4222-8222-222222222222', 'aaaaaaaa-0000-4000-8000-000000000002', 'viewer');
insert into public.backup_jobs (tenant_id, backup_name, job_type) values
  ('11111111-1111-4111-8111-111111111111', 'one', 'full'), ('22222222-2222-4222-8222-222222222222', 'two', 'full');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated"}';
select results_eq('select backup_name from public.backup_jobs order by 1', array['one'], 'a member reads the jobs of the own tenant only');
select results_eq('select count(*) from public.tenant_members', array[1::bigint], 'and its members only');
select throws_ok($$ insert into public.backup_jobs (tenant_id, backup_name, job_type) values ('22222222-2222-4222-8222-222222222222', 'x', 'full') $$,
  '42501', null, 'nobody requests a backup of another tenant');
select throws_ok($$ insert into public.backup_jobs (tenant_id, backup_name, job_type, status) values ('11111111-1111-4111-8111-111111111111', 'x', 'full', 'completed') $$,
  '42501', null, 'nobody inserts a job that is already done');
select throws_ok($$ insert into public.backup_jobs (tenant_id, backup_name, job_type, created_by) values ('11111111-1111-4111-8111-111111111111', 'x', 'full', 'aaaaaaaa-0000-4000-8000-000000000002') $$,
  '42501', null, 'nobody requests one in another name');
select lives_ok($$ insert into public.backup_jobs (backup_name, job_type) values ('x', 'full') $$, 'tenant and requester default to the caller''s');
select throws_ok($$ update public.backup_jobs set status = 'completed' $$, '42501', null, 'nobody changes a job');
select throws_ok($$ select * from m23.requests $$, '42501', null, 'nobody reads the requests');
select throws_ok($$ select public.m23_admit('{}') $$, '42501', null, 'nobody counts their own requests');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000002", "role": "authenticated"}';
select throws_ok($$ insert into public.backup_jobs (backup_name, job_type) values ('x', 'full') $$, '42501', null, 'a viewer requests no backup');
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000003", "role": "authenticated"}';
select is_empty('select * from public.backup_jobs', 'who belongs to no tenant reads nothing');
set local role anon;
select throws_ok('select * from public.backup_jobs', '42501', null, 'who is not signed in is refused');
reset role;

select * from finish();
rollback;
