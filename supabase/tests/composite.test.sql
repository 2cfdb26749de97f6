-- A composite value whose fields are all null is not a null, though IS NULL holds for it.
begin;
select plan(2);

create type public.test_pair as (a text, b int);
create table public.test_composite (
  id        int primary key,
  tenant_id uuid not null,
  one       public.test_pair,
  many      public.test_pair[]
);
select m23.protect_table('public.test_composite');
insert into public.test_composite values
  (1, '11111111-1111-4111-8111-111111111111', row(null, null)::public.test_pair, '{"(,)"}'),
  (2, '11111111-1111-4111-8111-111111111111', null, null);

update public.test_composite set one = row('x', 1)::public.test_pair, many = '{}';

create function pg_temp.logged() returns setof text language plpgsql as $$
begin
  return query execute format('select coalesce(c3, ''a null'') from %s where op = ''U'' order by c1',
    m23.log_name((select id from m23.protected_tables where relid = 'public.test_composite'::regclass)));
end $$;
select results_eq('select pg_temp.logged()', array['(,)', 'a null'], 'the log keeps the two apart');

create function pg_temp.copied() returns text language plpgsql as $$
declare v_line text;
begin
  execute format('select %s from (select 1 as id, null::uuid as tenant_id, row(null, null)::public.test_pair as one, null::public.test_pair[] as many) r',
                 m23.copy_line('public.test_composite'::regclass)) into v_line;
  return v_line;
end $$;
select is(pg_temp.copied(), E'1\t\\N\t(,)\t\\N', 'a line of an archive does so too');

select * from finish();
rollback;
