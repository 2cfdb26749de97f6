-- Adoption notes a backup, and executes nothing that its manifest says.
begin;
select no_plan();

create temp table t (name text primary key, id uuid not null default gen_random_uuid()) on commit drop;
insert into t (name) values ('tenant'), ('full'), ('next'), ('other');
create function pg_temp.id(p_name text) returns uuid language sql as $$ select id from t where name = p_name $$;
create function pg_temp.object_of(p_name text) returns text language sql as
$$ select format('tenants/%s/backups/%s/manifest.json', pg_temp.id('tenant'), pg_temp.id(p_name)) $$;

create function pg_temp.manifest(p_name text) returns jsonb language sql as $$
  select jsonb_build_object('format', 'm23-archive', 'version', 2, 'backup_id', pg_temp.id(p_name), 'tenant_id', pg_temp.id('tenant'),
    'backup_name', 'b', 'job_type', 'full', 'position', '10:12:', 'position_at', now(), 'incarnation', gen_random_uuid(), 'stored_bytes', 1,
    'definitions', jsonb_build_array('create schema pwned', 'create domain public.pwned as text'),
    'tables', jsonb_build_array(jsonb_build_object('schema', 'pwned', 'name', 'pwned', 'tenant_column', 'tenant_id', 'key', '["id"]'::jsonb,
      'columns', '[{"name": "id", "type": "bigint"}, {"name": "tenant_id", "type": "uuid"}]'::jsonb, 'chunks', '[]'::jsonb,
      'definition', jsonb_build_object('create', jsonb_build_array('create table public.pwned as select 1'), 'finish', '[]'::jsonb, 'references', '[]'::jsonb))))
$$;

select is(m23.adopt_backup(pg_temp.manifest('full'), pg_temp.object_of('full'), repeat('0', 64)), pg_temp.id('full'), 'a backup is noted');
select is(m23.adopt_backup(pg_temp.manifest('full'), pg_temp.object_of('full'), repeat('0', 64)), pg_temp.id('full'), 'and once is enough');
select is(to_regnamespace('pwned'), null, 'no schema is made');
select is(to_regclass('public.pwned'), null, 'no table is made');
select is(to_regtype('public.pwned'), null, 'no type is made');
select results_eq($$ select w.definitions, b.definition from m23.backup_work w join m23.backup_tables b using (job_id) where job_id = pg_temp.id('full') $$,
  $$ values ('[]'::jsonb, null::jsonb) $$, 'and no definition is kept');
select throws_ok($$ select m23.adopt_backup(pg_temp.manifest('next'), pg_temp.object_of('other'), repeat('0', 64)) $$, '22023', null,
  'a manifest lies where its ids say: else the objects of others would go with it');
select is((select array_agg(p.proname::text) from pg_proc p where p.pronamespace = 'm23'::regnamespace
            and p.proname in ('define', 'make_defined', 'check_definition', 'protect_adopted')), null, 'there is nothing that would execute a definition');

select * from finish();
rollback;
