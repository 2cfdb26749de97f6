-- Whoever reads a log opens the parts that its tenant has touched since a moment, and no others.
begin;
select no_plan();
set local timezone = 'UTC';
set local request.jwt.claims = '{"role": "service_role"}';

create function pg_temp.tenant(p_n int) returns text language sql immutable as
$$ select lpad(p_n::text, 32, '0') $$;
create function pg_temp.id_of(p_table text) returns int language sql stable as
$$ select (m23.find_table(p_table)).id $$;

-- The parts of t1 that are read for a tenant.
create function pg_temp.parts(p_tenant int, p_from xid8 default null) returns int[] language sql stable as
$$ select m23.parts_of(pg_temp.id_of('test_many.t1'), pg_temp.tenant(p_tenant), p_from) $$;
-- How many entries a query's log has of a tenant.
create function pg_temp.entries(p_log text, p_tenant int) returns bigint language plpgsql as $$
declare v_count bigint;
begin
  execute format('select count(*) from %s l where l.tenant_id = $1', p_log) into v_count using pg_temp.tenant(p_tenant);
  return v_count;
end $$;
create function pg_temp.next_xid() returns xid8 language sql stable as
$$ select (pg_current_xact_id()::text::bigint + 1)::text::xid8 $$;

-- Goes on to the next part of a log.
create function pg_temp.close_part(p_table text) returns void language sql as
$$ select m23.close_log_part(m23.find_table(p_table)) $$;

create schema test_many;
create function pg_temp.make(p_name text) returns void language plpgsql as $$
begin
  execute format('create table test_many.%I (id int primary key, tenant_id text not null, note text)', p_name);
  perform m23.protect_table(format('test_many.%I', p_name)::regclass);
end $$;
select pg_temp.make('t' || n) from generate_series(1, 4) n;

-- Part 1 has changes of the tenants 1 and 2, part 2 of tenant 2, part 3 of nobody yet.
insert into test_many.t1 values (1, pg_temp.tenant(1), 'a'), (2, pg_temp.tenant(2), 'a');
select pg_temp.close_part('test_many.t1');
insert into test_many.t1 values (3, pg_temp.tenant(2), 'b');
select pg_temp.close_part('test_many.t1');

select is(pg_temp.parts(3), '{1,2,3}'::int[],
  'a part that was closed is read until its tenants are known: somebody may still write into it');
select ok(m23.seal_log_part(pg_temp.id_of('test_many.t1'), n), 'a closed part is sealed') from generate_series(1, 2) n;
select is(pg_temp.parts(1), '{1,3}'::int[], 'a sealed part is read for its tenants');
select is(pg_temp.parts(2), '{1,2,3}'::int[], 'and for each of them');
select is(pg_temp.parts(3), '{3}'::int[], 'the open one is read for everybody');
select is(pg_temp.parts(1, pg_temp.next_xid()), '{3}'::int[],
  'a part that the tenant has touched before a moment alone is not read');

-- Who comes late, by a capture that it had read before, is found all the same.
create temp table whole on commit drop as select m23.log_of(pg_temp.id_of('test_many.t1'), pg_temp.tenant(3), null) as log;
select is(pg_temp.entries(log, 3), 0::bigint, 'nothing is there of a tenant') from whole;
do $$ begin
  execute format('insert into %s (tenant_id, op, c1) values (%L, ''I'', 7)',
                 m23.part_name(pg_temp.id_of('test_many.t1'), 1), pg_temp.tenant(3));
end $$;
select is(pg_temp.parts(3), '{1,3}'::int[], 'a sealed part knows who came late');
select is(pg_temp.entries(log, 3), 1::bigint, 'a reader that chose its parts before finds what came late') from whole;
select is(m23.logged_tables(array(select id from m23.protected_tables), pg_temp.tenant(3), '0'),
  array[pg_temp.id_of('test_many.t1')],
  'of a tenant only the tables that it has touched have something');
select is(m23.logged_tables(array(select id from m23.protected_tables), pg_temp.tenant(4), '0'), '{}'::int[],
  'of others none has');

-- A part is made where something was logged.
update m23.settings set value = '0' where name = 'log_part_hours';
select m23.prune_logs();
select is((select array_agg(p.part) from m23.log_parts p where p.table_id = pg_temp.id_of('test_many.t2')), '{1}'::int[],
  'no part is opened after one that nobody has written into');
select is((select max(p.part) from m23.log_parts p where p.table_id = pg_temp.id_of('test_many.t1')), 3,
  'nor after one of a table that has been quiet since');
update m23.settings set value = '24' where name = 'log_part_hours';

-- Sealed parts are kept as long as somebody needs them, whoever came late into them too.
select ok(m23.part_reaches(pg_temp.id_of('test_many.t1'), 1, pg_current_xact_id()),
  'a part reaches as far as its last change');
select ok(not m23.part_reaches(pg_temp.id_of('test_many.t1'), 1, pg_temp.next_xid()), 'and no further');

-- Names -------------------------------------------------------------------------

create table test_many."dotted.name" (id int primary key, tenant_id text not null);
create schema "test_many.more";
create table "test_many.more".t1 (id int primary key, tenant_id text not null);
select m23.protect_table('test_many."dotted.name"'), m23.protect_table('"test_many.more".t1');
select is((select array_agg((f.tbl).relid::regclass::text order by f.n)
             from m23.find_tables('{test_many.t2,test_many.dotted.name,test_many.more.t1,nowhere,test_many.t1}') f),
  '{test_many.t2,"test_many.\"dotted.name\"","\"test_many.more\".t1",test_many.t1}'::text[],
  'names are found as they are, with dots in either part, in their order');
select is(m23.table_faults('{test_many.t2,nowhere,t1}'),
  array['tables: "nowhere" is not a protected table', 'tables: "t1" is not a protected table'],
  'each name that is no protected table is told of');

-- However many names a call has, they are looked up together.
set local track_functions = 'all';
create function pg_temp.lookups() returns bigint language sql volatile as $$
  select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions
   where funcname in ('find_table', 'find_tables', 'public_name') $$;
create temp table many on commit drop as select array_agg('test_many.t' || n) as names from generate_series(1, 300) n;
create temp table looked on commit drop as select pg_temp.lookups() as before;
select is(cardinality(m23.table_faults(names)), 296, 'of 300 names each that is unknown is told of') from many;
select is((select count(*) from m23.chosen(names)), 4::bigint, 'and those that are known are found') from many;
select is(array_length(m23.chosen_tables(names, false), 1), 4, 'by whoever asks') from many;
select cmp_ok(pg_temp.lookups() - before, '<=', 4::bigint, 'not one by one') from looked;

select * from finish();
rollback;
