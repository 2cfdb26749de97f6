-- Functions work with the database of their own and of the next minor version, and are refused by any other.
begin;
select no_plan();

create function pg_temp.database_is(p_version text) returns void language plpgsql as $$
begin
  execute format('create or replace function m23.version() returns text language sql immutable as %L',
                 format('select %L::text', p_version));
end $$;

create function pg_temp.call_as(p_version text) returns text language plpgsql as $$
begin
  perform set_config('request.headers', json_build_object('x-m23-version', p_version)::text, true);
  perform m23.refuse_other_versions();
  return 'works';
exception when sqlstate 'PGRST' then return sqlerrm::json ->> 'message';
end $$;

select pg_temp.database_is('1.4.2');
select is(m23.works_with(v), works, format('%s with a database of 1.4.2', v)) from (values
  ('1.4.2', true), ('1.4.0', true), ('1.4.9', true), ('1.3.0', true), ('1.3.12', true),
  ('1.5.0', false), ('1.2.9', false), ('0.4.2', false), ('2.4.2', false), ('0.3.0', false),
  ('', false), ('1.4', false), ('1.4.2-rc1', false), ('1.4.99999999999', false), ('one', false)) t (v, works);
select ok(not m23.works_with(null), 'nobody without a version is known to work');

select is(pg_temp.call_as('1.3.0'), 'works', 'the minor version before');
select is(pg_temp.call_as('1.5.0'), 'M23 is being upgraded: its database is of release 1.4.2, and too old for its functions '
  'of release 1.5.0. The operator has to upgrade the database', 'newer functions are told that the database is too old');
select is(pg_temp.call_as('1.2.0'), 'M23 is being upgraded: its functions are of release 1.2.0, and too old for its '
  'database of release 1.4.2. The operator has to deploy the functions of that release', 'older ones, that they are');
select matches(pg_temp.call_as('<b>'), 'functions are of release unknown', 'what is no version is not repeated');
select pg_temp.database_is('2.0.0');
select matches(pg_temp.call_as('1.9.0'), 'functions are of release 1\.9\.0', 'a major version begins anew');

set local "request.headers" = '{}';
select lives_ok('select m23.refuse_other_versions()', 'a call without a version is not of the functions');
set local "request.headers" = '';
select lives_ok('select m23.refuse_other_versions()', 'nor is one by SQL');

-- Where functions begin something, or get something to do.
set local "request.headers" = '{"x-m23-version": "9.0.0"}';
select throws_like(call, '%The operator has to upgrade the database%', call) from (values
  ($$ select public.m23_authorize('backup-create') $$),
  ($$ select m23.take_lease(gen_random_uuid()) $$),
  ($$ select m23.keep_lease(gen_random_uuid(), gen_random_uuid()) $$),
  ($$ select m23.check_lease(gen_random_uuid(), gen_random_uuid()) $$),
  ($$ select public.m23_next_collection() $$)) t (call);
select lives_ok($$ select public.m23_heartbeat('backup-create', false, null, '9.0.0') $$,
  'a heartbeat is noted, so that the doctor can tell');
select lives_ok('select public.m23_claim_alerts()', 'alerts go on, so that somebody is told');
select results_eq($$ select state, finding from m23.doctor_versions() where state <> 'warning' $$,
  $$ values ('problem', 'the database is of release 2.0.0, and of another are the functions backup-create (9.0.0), '
                        'whose calls are refused') $$, 'and the doctor does');
select is(public.m23_health() -> 'works', 'false', 'as the health endpoint does');

-- What an upgrade does at its end.
create table public.captured (id int primary key, tenant_id uuid not null);
create table public.altered (id int primary key, tenant_id uuid not null);
create table public.suspended (id int primary key, tenant_id uuid not null);
create table public.unlogged (id int primary key, tenant_id uuid not null);
select m23.protect_table('public.captured'), m23.protect_table('public.altered'), m23.protect_table('public.suspended'),
       m23.protect_table('public.unlogged');
create temp table kept as select t.name, t.relid, 'm23_log.update_' || t.id as function from m23.protected_tables t;
alter table public.suspended drop constraint suspended_pkey;
alter table public.unlogged set unlogged;
select bag_eq('select name from m23.protected_tables where suspended is not null', array['suspended', 'unlogged'],
  'two of them are suspended');
alter event trigger m23_follow_ddl disable;
alter table public.altered add column note text;
do $$
declare v_function text;
begin
  for v_function in select k.function from kept k loop
    execute format('create or replace function %s() returns trigger language plpgsql as %L', v_function,
                   'begin raise exception ''of an older version''; end');
  end loop;
end $$;
select m23.write_captures();
select bag_eq($$ select k.name from kept k join pg_proc p on p.oid = k.function::regproc
                  where p.prosrc ~ 'of an older version' $$, array['altered', 'suspended'],
  'captures are written anew, but where the table has changed since, or no trigger calls them');

select * from finish();
rollback;
