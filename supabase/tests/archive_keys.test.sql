-- Which key is a tenant's: the database decides, and remembers what was erased.
begin;
select no_plan();

create temp table t (name text primary key, id uuid not null default gen_random_uuid());
insert into t (name) values ('tenant'), ('other'), ('one'), ('two'), ('three'), ('first key'), ('second key'), ('third key'), ('fourth key'), ('adopted');
create function pg_temp.id(p_name text) returns uuid language sql as $$ select id from pg_temp.t where name = p_name $$;

-- A job of the tenant that a worker drives.
create function pg_temp.begin_job(p_name text) returns void language sql as $$
  insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status) values (pg_temp.id(p_name), pg_temp.id('tenant'), p_name, 'full', 'in_progress');
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, prefix)
    values (pg_temp.id(p_name), pg_temp.id('tenant'), pg_current_snapshot(), m23.incarnation(), now(), 'native', 'p');
  select m23.take_lease(pg_temp.id(p_name));
$$;
create function pg_temp.plan_of(p_name text) returns json language sql as
$$ select m23.key_plan(w) from m23.backup_work w where w.job_id = pg_temp.id(p_name) $$;
create function pg_temp.choose(p_job text, p_key text, p_instead_of text default null) returns text language sql as $$
  select t.name from pg_temp.t where t.id = public.m23_choose_key(pg_temp.id(p_job), (select token from m23.leases where work_id = pg_temp.id(p_job)), pg_temp.id(p_key), pg_temp.id(p_instead_of))
$$;
select pg_temp.begin_job(n) from unnest('{one,two,three}'::text[]) n;

select is(pg_temp.plan_of('one') ->> 'tenant_key_id', null, 'a tenant has no key at first');
select is(pg_temp.choose('one', 'first key'), 'first key', 'the first key that is offered is the tenant''s');
select is(pg_temp.choose('one', 'second key'), 'first key', 'a backup keeps its key');
select is(pg_temp.choose('two', 'second key'), 'first key', 'whoever comes second gets the key of the first');
select is(pg_temp.plan_of('three') ->> 'tenant_key_id', pg_temp.id('first key')::text, 'and it is what the next is told of');
select is((select count(*) from m23.archive_keys where tenant_id = pg_temp.id('tenant')::text), 1::bigint, 'one key is in use, and one is known');

select is(pg_temp.choose('three', 'third key', 'first key'), 'third key', 'a key that is not in the store any more is replaced');
select is((pg_temp.plan_of('one') ->> 'key_id')::uuid, pg_temp.id('first key'), 'but not in what was sealed with it');
select throws_ok($$ select public.m23_choose_key(pg_temp.id('one'), gen_random_uuid(), pg_temp.id('second key')) $$, 'PGRST', null, 'only who holds the lease chooses');

insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, key, whole, estimated_rows, history_done)
  values (pg_temp.id('one'), 1, 1, 's', 't', 'c', '[]', '{k}', true, 1, true);
insert into m23.backup_chunks (job_id, ordinal, seq, object, rows, bytes, stored_bytes, sha256, last_key) values (pg_temp.id('one'), 1, 1, 'o', 1, 2, 3, repeat('0', 64), '{1}');
select is(pg_temp.plan_of('one') ->> 'plain', 'false', 'a sealed backup with chunks is not plain');
update m23.backup_work set key_id = null where job_id = pg_temp.id('one');
select is(pg_temp.plan_of('one') ->> 'plain', 'true', 'one that has chunks and no key is');
select is(pg_temp.plan_of('two') ->> 'plain', 'false', 'one without chunks may still be sealed');
update m23.backup_work set key_id = pg_temp.id('first key') where job_id = pg_temp.id('one');

-- Erasing.
select is(public.erase_archive_key(pg_temp.id('tenant')::text) - 'tenant_id', jsonb_build_object('prefix', format('keys/%s/', pg_temp.id('tenant')), 'keys', 2, 'status', 'pending'),
  'an erasure tells of the objects that go');
select is(public.erase_archive_key(pg_temp.id('tenant')::text) ->> 'keys', '0', 'twice is the same');
select is((select count(*) from m23.key_erasures where tenant_id = pg_temp.id('tenant')::text), 1::bigint, 'and one erasure');
update m23.backup_work set key_id = null where job_id = pg_temp.id('two');
select throws_like($$ select pg_temp.choose('two', 'second key') $$, '%being erased%', 'no key is chosen while the tenant''s are being erased');
update public.backup_jobs set status = 'completed' where id = pg_temp.id('one');
select is(m23.chain_fault(j), 'this backup is encrypted with a key that was erased', 'what was sealed with it cannot be read') from public.backup_jobs j where j.id = pg_temp.id('one');
update m23.backup_tables set done = true where job_id = pg_temp.id('one');
select throws_like($$ select public.m23_backup_facts(pg_temp.id('one'), (select token from m23.leases where work_id = pg_temp.id('one'))) $$, '%was erased while it was made%',
  'a backup under way does not end as a good one');

create temp table claimed as select public.m23_claim_erasure() as c;
select is(public.m23_claim_erasure()::text, null, 'one worker at a time erases');
select is((c ->> 'prefix'), format('keys/%s/', pg_temp.id('tenant')), 'and is told which objects') from claimed;
select throws_ok($$ select public.m23_finish_erasure((c ->> 'work_id')::uuid, gen_random_uuid()) from claimed $$, 'PGRST', null, 'only it can say that they are gone');
select public.m23_finish_erasure((c ->> 'work_id')::uuid, (c ->> 'lease')::uuid) from claimed;
select is((select count(*) from m23.key_erasures), 0::bigint, 'then the erasure is done');
select is(pg_temp.choose('two', 'second key'), 'second key', 'and a later backup gets a new key');

select is(public.erase_archive_key(pg_temp.id('other')::text) ->> 'keys', '0', 'a tenant whose keys the database does not know can be erased as well');
select throws_ok($$ select public.erase_archive_key(null) $$, 'PGRST', null, 'a tenant must be named');

-- A backup that only the store knew of.
select m23.adopt_backup(jsonb_build_object('format', 'm23-archive', 'version', 1, 'backup_id', pg_temp.id('adopted'), 'tenant_id', pg_temp.id('other'), 'backup_name', 'b', 'job_type', 'full',
    'position', '10:12:', 'position_at', now(), 'incarnation', gen_random_uuid(), 'stored_bytes', 1, 'tables', '[]'::jsonb,
    'encryption', jsonb_build_object('key_id', pg_temp.id('fourth key'), 'algorithm', 'AES-256-GCM')),
  format('tenants/%s/backups/%s/manifest.json', pg_temp.id('other'), pg_temp.id('adopted')), repeat('0', 64));
select is(m23.key_plan(w) ->> 'key_id', pg_temp.id('fourth key')::text, 'an adopted backup names its key') from m23.backup_work w where w.job_id = pg_temp.id('adopted');
select is(m23.key_plan(w) ->> 'tenant_key_id', null, 'which is not used for new ones') from m23.backup_work w where w.job_id = pg_temp.id('adopted');

set local role authenticated;
select throws_ok($$ select public.erase_archive_key(gen_random_uuid()::text) $$, '42501', null, 'no user erases keys');

select * from finish();
rollback;
