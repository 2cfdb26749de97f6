-- A text column may have a collation of its own, one that replace() and strpos() refuse too.
begin;
select plan(1);

create collation public.test_no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table public.test_collation (
  id        int primary key,
  tenant_id uuid not null,
  word      text collate public.test_no_case
);
insert into public.test_collation values (1, '11111111-1111-4111-8111-111111111111', E'Stra\u00dfe\t\\N');

create function pg_temp.copied() returns text language plpgsql as $$
declare v_line text;
begin
  execute format('select %s from public.test_collation r', m23.copy_line('public.test_collation'::regclass)) into v_line;
  return v_line;
end $$;
select is(pg_temp.copied(), E'1\t11111111-1111-4111-8111-111111111111\tStra\u00dfe\\t\\\\N', 'its values go into a line of an archive');

select * from finish();
rollback;
