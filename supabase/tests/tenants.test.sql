-- Who the tenants are: whoever looks after all of them asks one function.
begin;
select no_plan();

create function pg_temp.tenants() returns text[] language sql as
$$ select array_agg(left(tenant_id, 1) order by tenant_id) from m23.tenants() $$;
create function pg_temp.tenant(n text) returns text language sql as
$$ select (repeat(n, 8) || '-0000-4000-8000-000000000000') $$;

select is(pg_temp.tenants(), null, 'at first there is none');
insert into public.tenant_members select pg_temp.tenant('1'), gen_random_uuid(), r from unnest('{owner,viewer}'::text[])
    r;
select results_eq('select * from m23.tenants()', $$ values (pg_temp.tenant('1')::text, null::text) $$,
    'a tenant with members is one');
insert into public.backup_jobs (tenant_id, backup_name, job_type) select pg_temp.tenant('2'), n::text, 'full'
    from generate_series(1, 3) n;
insert into public.dr_plans (tenant_id, plan_name, rto_minutes, rpo_minutes, backup_frequency, test_frequency)
  values (pg_temp.tenant('3'), 'p', 60, 60, 'daily', 'weekly');
insert into public.restore_logs (tenant_id, restore_type) values (pg_temp.tenant('4'), 'pitr');
insert into public.pitr_snapshots (tenant_id, snapshot_name, snapshot_type, snapshot_data, affected_tables)
  values (pg_temp.tenant('5'), 's', 'manual', '{}', '{}');
select m23.audit(pg_temp.tenant('6'), '{"event": "done", "action": "x"}');
select is(pg_temp.tenants(), '{1,2,3,4,5,6}', 'so is one that records tell of, once each');

create schema tenants_test;
create table tenants_test.a (id int primary key, tenant_id text not null);
create table tenants_test.b (id int primary key, tenant_id text not null);
insert into tenants_test.a values (0, pg_temp.tenant('0'));
select m23.protect_table('tenants_test.a'), m23.protect_table('tenants_test.b');
insert into tenants_test.a select n, pg_temp.tenant(n::text) from generate_series(6, 8) n, generate_series(1, 1);
insert into tenants_test.b values (1, pg_temp.tenant('9'));
select is(m23.see_tenants(2), 2::bigint, 'the upkeep sees those whose rows have changed, so many at a time');
select is(m23.see_tenants(2), 1::bigint, 'one log after the other');
select is(m23.see_tenants(2), 1::bigint, 'and goes on where it has stopped');
select is(pg_temp.tenants(), '{1,2,3,4,5,6,7,8,9}', 'nobody needs to belong to them');
select is(m23.see_tenants() + m23.see_tenants(), 0::bigint, 'what was seen is not new again');
insert into tenants_test.a values (5, 'ffffffff-0000-4000-8000-000000000000');
select is(m23.see_tenants() + m23.see_tenants(), 1::bigint, 'each log is looked at again and again');
select m23.forget_tenant('ffffffff-0000-4000-8000-000000000000');
select is(pg_temp.tenants(), '{1,2,3,4,5,6,7,8,9}', 'a tenant that was forgotten is none until it writes again');

-- Roots: the tables that tenant columns refer to.
create table tenants_test.orgs (id varchar(20) primary key, name text);
create table tenants_test.docs (id int primary key, org varchar(20) not null references tenants_test.orgs);
create table tenants_test.accounts (id char(5) primary key, "displayName" varchar);
create table tenants_test.files (id int primary key, account_id char(5) not null references tenants_test.accounts);
create table tenants_test.people (id serial primary key);
create table tenants_test.lists (id int primary key, person int not null references tenants_test.people);
insert into tenants_test.orgs values ('acme', 'Acme Ltd'), ('bare', null);
insert into tenants_test.accounts values ('x', 'Ex');
insert into tenants_test.people values (42);
create function pg_temp.of_roots() returns table (tenant_id text, name text) language sql as
$$ select t.* from m23.tenants() t where t.tenant_id !~ '-0000-4000-8000-' $$;
select is_empty('select * from pg_temp.of_roots()', 'a table to which no protected one refers names no tenants');
select m23.protect_table('tenants_test.orgs', 'id'), m23.protect_table('tenants_test.docs', 'org'),
       m23.protect_table('tenants_test.files', 'account_id'), m23.protect_table('tenants_test.lists', 'person');
select set_eq('select * from pg_temp.of_roots()',
  $$ values ('acme', 'Acme Ltd'), ('bare', null), ('x', 'Ex'), ('42', null) $$,
  'rows of a root are tenants, with their names, be it protected or not, by a key of any type');
select is(array(select t || ':' || m23.knows_tenant(t) from unnest('{acme,x,42,y,7}'::text[]) t order by t),
  '{42:true,7:false,acme:true,x:true,y:false}', 'the service may call for them, though nothing else knows them');
select m23.see_tenants() from generate_series(1, 6);
delete from tenants_test.orgs;
select m23.see_tenants() from generate_series(1, 6);
select set_eq($$ select * from pg_temp.of_roots() where tenant_id ~ '[a-z]' $$,
  $$ values ('acme', null), ('bare', null), ('x', 'Ex') $$,
  'and one whose row was deleted goes on being one, by the log');
select is(m23.knows_tenant('acme'), true, 'for which the service may call');
select m23.unprotect_table('tenants_test.orgs');
select is(m23.has_rows('acme'), false, 'even if the log is gone');
select is(m23.knows_tenant('acme'), true, 'if the upkeep has seen it');

create or replace function m23.tenants() returns table (tenant_id text, name text)
language sql stable security definer set search_path = '' set row_security = off as $$ values ('a'::text,
    'Acme'::text) $$;
select is(pg_temp.tenants(), '{a}', 'an application with a table of tenants replaces the function');
select ok(not has_function_privilege('authenticated', 'm23.tenants()', 'execute'), 'no user lists the tenants');

select * from finish();
rollback;
