-- Adoption notes a backup, and executes nothing that its manifest says.
begin;
select no_plan();

create temp table t (name text primary key, id uuid not null default gen_random_uuid()) on commit drop;
insert into t (name) values ('tenant'), ('full'), ('next'), ('other');
create function pg_temp.id(p_name text) returns uuid language sql as $$ select id from t where name = p_name $$;

create function pg_temp.manifest(p_name text) returns jsonb language sql as $$
  select jsonb_build_object(
    'format', 'm23-archive', 'version', 2, 'backup_id', pg_temp.id(p_name), 'tenant_id', pg_temp.id('tenant'),
    'backup_name', 'b', 'job_type', 'full', 'position', '10:12:', 'position_at', now(),
    'incarnation', gen_random_uuid(), 'stored_bytes', 1,
    'definitions', '["create schema pwned", "create domain public.pwned as text"]'::jsonb,
    'tables', '[{"schema": "pwned", "name": "pwned", "tenant_column": "tenant_id", "key": ["id"], "chunks": [],
                 "columns": [{"name": "id", "type": "bigint"}, {"name": "tenant_id", "type": "uuid"}],
                 "definition": {"create": ["create table public.pwned as select 1"],
                                "finish": [], "references": []}}]'::jsonb)
$$;

-- Adopts a manifest as if it lay where the ids of another say.
create function pg_temp.adopt(p_name text, p_place text) returns uuid language sql as $$
  select m23.adopt_backup(pg_temp.manifest(p_name),
    format('tenants/%s/backups/%s/manifest.json', pg_temp.id('tenant'), pg_temp.id(p_place)), repeat('0', 64))
$$;

select is(pg_temp.adopt('full', 'full'), pg_temp.id('full'), 'a backup is noted');
select is(pg_temp.adopt('full', 'full'), pg_temp.id('full'), 'and once is enough');
select is(to_regnamespace('pwned'), null, 'no schema is made');
select is(to_regclass('public.pwned'), null, 'no table is made');
select is(to_regtype('public.pwned'), null, 'no type is made');
select results_eq($$
  select w.definitions, b.definition from m23.backup_work w join m23.backup_tables b using (job_id)
   where job_id = pg_temp.id('full') $$,
  $$ values ('[]'::jsonb, null::jsonb) $$, 'and no definition is kept');
select throws_ok($$ select pg_temp.adopt('next', 'other') $$, '22023', null,
  'a manifest lies where its ids say: else the objects of others would go with it');
select is_empty($$
  select from pg_proc p where p.pronamespace = 'm23'::regnamespace
     and p.proname in ('define', 'make_defined', 'check_definition', 'protect_adopted') $$,
  'there is nothing that would execute a definition');

select * from finish();
rollback;
