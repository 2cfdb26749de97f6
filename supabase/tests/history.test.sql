-- A page of the log is the log under its filters, in order, and reads no more of it than that takes.
begin;
select no_plan();
set local request.jwt.claims = '{"role": "service_role"}';
set local timezone = 'UTC';

create table public.test_notes (id int primary key, tenant_id uuid not null);
create table public.test_tags (id int primary key, tenant_id uuid not null);
select m23.protect_table('public.test_notes'), m23.protect_table('public.test_tags');

create function pg_temp.part_of(p_table text) returns regclass language sql as $$ select m23.log_part((m23.find_table(p_table)).id)::regclass $$;
create function pg_temp.minute(p_n numeric) returns timestamptz language sql as $$ select '2026-01-31 10:00Z'::timestamptz + p_n * interval '1 minute' $$;

-- 300 changes in ten groups of three transactions that run at once, by two users. A tick follows each group; its third
-- transaction is still running then, and has ended by the next.
create function pg_temp.write_log() returns void language plpgsql as $$
declare v_table text;
begin
  foreach v_table in array array['test_notes', 'test_tags'] loop
    execute format($q$insert into %s (tenant_id, xid, change_id, op, actor, c1, c2)
        select t, (1001 + n / 30 * 3 + n %% 3)::text::xid8, '0/0'::pg_lsn + n, (array['I', 'U', 'D', 'n'])[1 + n %% 4]::"char", lpad((n %% 3 %% 2)::text, 32, '0')::uuid, n, t
          from generate_series(0, 299) n, (values ('11111111-1111-4111-8111-111111111111'::uuid), ('22222222-2222-4222-8222-222222222222')) v (t)
         where (n %% 5 = 0) = ($1 = 'test_tags')$q$, pg_temp.part_of(v_table)) using v_table;
  end loop;
  delete from m23.ticks;
  insert into m23.ticks (at, position, incarnation, native)
    select pg_temp.minute(g), format('%1$s:%2$s:%1$s', 1003 + g * 3, 1004 + g * 3)::pg_snapshot, m23.incarnation(), false from generate_series(0, 9) g
    union all select pg_temp.minute(9 + n), format('%1$s:%1$s:', 1030 + n)::pg_snapshot, m23.incarnation(), false from generate_series(1, 3000) n;
end $$;
select pg_temp.write_log();
do $$ begin execute format('analyze %s, m23.ticks', pg_temp.part_of('test_notes')); end $$;

create temp table whole as select * from public.get_transaction_logs('11111111-1111-4111-8111-111111111111', p_limit => 1000);
select is((select count(*) from whole), 300::bigint, 'the whole log of one tenant is listed');
select is((select array_agg(id) from whole), (select array_agg(n order by 1001 + n / 30 * 3 + n % 3 desc, n desc)::bigint[] from generate_series(0, 299) n),
  'transactions newest first, the changes of each in their order');
select is((select array_agg(distinct created_at order by created_at) from whole where transaction_id in ('1007', '1009')), array[pg_temp.minute(2), pg_temp.minute(3)],
  'without recorded times a transaction was committed by the first tick that sees it');

-- All pages of a filter, one after the other.
create function pg_temp.pages(p_table text, p_operation text, p_actor uuid, p_since timestamptz, p_until timestamptz) returns bigint[] language plpgsql as $$
declare
  v_last jsonb;
  v_ids  bigint[] := '{}';
  v_page bigint[];
begin
  loop
    select array_agg(l.id), (array_agg(to_jsonb(l)))[count(*)] into v_page, v_last
      from public.get_transaction_logs('11111111-1111-4111-8111-111111111111', p_table, p_operation, p_actor, p_since, p_until, v_last, 40) l;
    v_ids := v_ids || v_page;
    if coalesce(cardinality(v_page), 0) < 40 then return v_ids; end if;
  end loop;
end $$;

create temp table filters as
  select * from (values (null), ('test_tags')) t (tab), (values (null), ('UPDATE')) o (operation), (values (null::uuid), ('00000000-0000-0000-0000-000000000001')) a (actor),
    (values (null::numeric), (3), (3.5)) s (since), (values (null::numeric), (7), (7.5)) u (until);
select is_empty($$
  select * from filters f where pg_temp.pages(f.tab, f.operation, f.actor, pg_temp.minute(f.since), pg_temp.minute(f.until)) is distinct from coalesce((
    select array_agg(w.id order by w.transaction_id::xid8 desc, w.id desc) from whole w
     where (f.tab is null or w.table_name = f.tab) and (f.operation is null or w.operation = f.operation) and (f.actor is null or w.actor = f.actor)
       and (f.since is null or w.created_at >= pg_temp.minute(f.since)) and (f.until is null or w.created_at < pg_temp.minute(f.until))), '{}') $$,
  'the pages of every filter together are the log under that filter, in order, each change once');
select cmp_ok((select count(*) from filters f where cardinality(pg_temp.pages(f.tab, f.operation, f.actor, pg_temp.minute(f.since), pg_temp.minute(f.until))) > 0), '>', 60::bigint,
  'and most of them let something through');

select throws_like($$ select * from public.get_transaction_logs('11111111-1111-4111-8111-111111111111', 'nowhere', 'MERGE', p_before => '{"id": 3}') $$,
  '%VALIDATION_FAILED%p_table: %p_operation: %p_before: %', 'every fault of a filter is told');

-- How many rows of a table a page reads.
create function pg_temp.read(p_relation regclass) returns bigint language sql volatile as $$
  select seq_tup_read + idx_tup_fetch from pg_stat_xact_all_tables where relid = p_relation $$;
create function pg_temp.reading(p_relation regclass, p_since numeric, p_until numeric, p_limit int) returns bigint language plpgsql as $$
declare v_before bigint := pg_temp.read(p_relation);
begin
  perform from public.get_transaction_logs('11111111-1111-4111-8111-111111111111', 'test_notes', p_since => pg_temp.minute(p_since), p_until => pg_temp.minute(p_until), p_limit => p_limit);
  return pg_temp.read(p_relation) - v_before;
end $$;
select cmp_ok(pg_temp.reading(pg_temp.part_of('test_notes'), null, null, 10), '<=', 11::bigint, 'a page reads a page');
select is(pg_temp.reading(pg_temp.part_of('test_notes'), null, null, 1000), 240::bigint + 1,
  'all pages read all, after a look whether there is something');
select cmp_ok(pg_temp.reading(pg_temp.part_of('test_notes'), 3, 5, 1000), '<=', 5 * 24::bigint, 'a time reads the transactions that can have ended in it');
select cmp_ok(pg_temp.reading('m23.ticks', null, null, 10), '<=', 30::bigint, 'a transaction finds its tick without a look at the others');

select * from finish();
rollback;
