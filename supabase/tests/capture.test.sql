-- What a statement that writes many rows asks once: who writes, and which groups of columns it has changed.
begin;
select plan(3);
set local track_functions = 'all';

create table public.many_rows (id int primary key, tenant_id uuid not null, title text);
select m23.protect_table('public.many_rows');
create function pg_temp.asked() returns bigint language sql as $$
  select coalesce(sum(pg_stat_get_xact_function_calls(p.oid)), 0)::bigint from pg_proc p
   where p.proname = 'actor' and p.pronamespace = 'm23'::regnamespace
$$;
select set_config('request.jwt.claims', '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}', true);

create temp table calls as select 'none' as after, pg_temp.asked() as asked;
insert into public.many_rows select n, '11111111-1111-4111-8111-111111111111', 'a' from generate_series(1, 1000) n;
insert into calls select 'insert', pg_temp.asked();
update public.many_rows set title = 'b';
insert into calls select 'update', pg_temp.asked();
delete from public.many_rows;
insert into calls select 'delete', pg_temp.asked();

select is(b.asked - a.asked, 1::bigint, format('%s of 1,000 rows asks once who writes', b.after))
  from (select *, row_number() over (order by asked) as n from calls) b
  join (select *, row_number() over (order by asked) as n from calls) a on a.n = b.n - 1 order by b.n;
select * from finish();
rollback;
