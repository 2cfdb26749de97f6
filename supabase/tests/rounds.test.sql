-- Rounds: what is done for every tenant, a share at a time; and the default plan, which one of them gives.
begin;
select no_plan();

create function pg_temp.tenant(n int) returns text language sql as
$$ select (lpad(n::text, 8, '0') || '-0000-4000-8000-000000000000') $$;
insert into public.tenant_members select pg_temp.tenant(n), gen_random_uuid(), 'owner' from generate_series(1, 450) n;

create temp table done (tenant_id text);
create function m23.work_for_test(p_tenant text) returns void language plpgsql as $$
begin
  case p_tenant when pg_temp.tenant(1) then perform 1 / 0; when pg_temp.tenant(2) then raise exception 'x' using errcode
      = 'query_canceled'; else null; end case;
  insert into done values (p_tenant);
end $$;
create function pg_temp.go(p_since timestamptz default '-infinity', p_until timestamptz default 'infinity') returns int
    language sql as
$$ select m23.go_round('test', p_since, 'm23.work_for_test(text)', p_until) $$;

select is(pg_temp.go(p_until => '-infinity'), 0, 'whose time is up does nothing');
select is(pg_temp.go(), 200, 'a call does a share');
select is(pg_temp.go(), 200, 'and the next the next');
select is(pg_temp.go('infinity'), 50, 'no round begins before the last one is over');
select is((select count(*) || ' ' || count(distinct tenant_id) from done), '448 448',
    'it is done for each, once; a failure stops nobody else''s');
select is(pg_temp.go(), 0, 'then it is over');
select is(pg_temp.go('infinity'), 200, 'until its time has come again');
select is((select count(*) from m23.round_tenants where round = 'test'), 250::bigint, 'for all of them');
create or replace function m23.tenants() returns table (tenant_id text, name text) language sql stable security definer
    set search_path = '' set row_security = off as
$$ values ('00000009-0000-4000-8000-000000000000'::text, 'A'::text) $$;
delete from m23.rounds;
select is(pg_temp.go(), 1, 'for those whom the application names');

-- The default plan.
create function pg_temp.given() returns bigint language plpgsql as $$
begin
  delete from m23.rounds;
  while public.m23_go_rounds() > 0 loop end loop;
  return (select count(*) from public.dr_plans);
end $$;
select is(pg_temp.given(), 0::bigint, 'nobody gets a plan that the operator has not set');
create function pg_temp.faults(p_plan jsonb) returns text language plpgsql as $$
begin
  perform m23.set_default_plan(p_plan);
  return 'none';
exception when others then
  return sqlerrm;
end $$;
select is(pg_temp.faults('{"rto_minutes": 60, "backup_frequency": "* * * * *", "test_frequency": "weekly", "tenant_id": null}'),
  'that cannot be the default plan: tenant_id: is no column of a plan that can be set; rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years); '
  || 'backup_frequency: "* * * * *" comes a minute after another; at least 5 minutes must lie between',
      'it is checked as any plan, with every fault at once');
select is(pg_temp.faults('{"rto_minutes": 60, "rpo_minutes": 1440, "backup_frequency": "daily", "test_frequency": "weekly"}'), 'none', 'and may leave out what has a default');
select is(pg_temp.given(), 1::bigint, 'every tenant gets it');
select is_empty($$ select from m23.doctor() where finding ~ 'no default plan' $$, 'the doctor says nothing of it');
select results_eq('select tenant_id, plan_name, backup_types, retention_days, is_active, created_by, next_backup_date > now(), next_test_date > now() from public.dr_plans',
  $$ values (pg_temp.tenant(9), 'default', '{full}'::text[], 30, true, null::uuid, true, true) $$,
      'and it is due like any other');
select is(pg_temp.given(), 1::bigint, 'once');
update public.dr_plans set is_active = false;
select is(pg_temp.given(), 1::bigint, 'one that was switched off stays so');
select m23.forget_tenant(pg_temp.tenant(9));
select is(pg_temp.given(), 0::bigint, 'a tenant that was forgotten is not taken up again');
delete from m23.forgotten;
select m23.set_default_plan(null);
select is(pg_temp.given(), 0::bigint, 'null switches it off');
select results_eq($$ select state from m23.doctor() where finding ~ 'no default plan' $$, array['warning'],
    'and the doctor says that there is none');

-- The upkeep.
create or replace function m23.prune_logs() returns int language plpgsql set search_path = '' as $$ begin return 1 / 0;
    end $$;
insert into m23.requests (id, tenant_id, user_id, function, counted_at) select gen_random_uuid(), pg_temp.tenant(1),
    gen_random_uuid(), 'backup-create', now() - interval '8 days' from generate_series(1, 3);
select is(public.m23_sweep()::jsonb, '{"requests": 3, "failed": ["log parts"]}',
    'a step of the upkeep that fails is told, and takes back nothing that others have done');
select is((select count(*) from m23.requests), 0::bigint, 'what is past its time goes');

select * from finish();
rollback;
