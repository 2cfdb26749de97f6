-- A foreign key's definition, put together of its parts, is the key itself.
begin;
select plan(1);

create table public.test_parents (
  id   int primary key,
  code text not null,
  "no" int not null,
  unique (code, "no")
);
create table public.test_children (
  id        int primary key,
  parent_id int references public.test_parents on update cascade on delete set null deferrable initially deferred,
  code      text default '-',
  "no"      int,
  other_id  int,
  foreign key (code, "no") references public.test_parents (code, "no") match full on delete cascade,
  constraint "Odd name" foreign key (code, "no") references public.test_parents (code, "no") on delete set null ("no"),
  constraint defaults foreign key (other_id) references public.test_parents on delete set default on update restrict
);
alter table public.test_children add constraint later foreign key (other_id) references public.test_parents not valid;

create table public.test_copies (like public.test_children);
do $$
declare v_key pg_constraint;
begin
  for v_key in select * from pg_constraint where conrelid = 'public.test_children'::regclass and contype = 'f' loop
    execute format('alter table public.test_copies add constraint %I %s', v_key.conname,
                   m23.foreign_key_definition(v_key, 'public.test_parents'::regclass));
  end loop;
end $$;

select set_eq(
  $$ select conname, pg_get_constraintdef(oid) from pg_constraint
      where conrelid = 'public.test_copies'::regclass and contype = 'f' $$,
  $$ select conname, pg_get_constraintdef(oid) from pg_constraint
      where conrelid = 'public.test_children'::regclass and contype = 'f' $$,
  'a foreign key made of its parts is as it was');

select * from finish();
rollback;
