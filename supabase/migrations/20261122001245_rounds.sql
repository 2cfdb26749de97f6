-- Rounds: what is done for every tenant, one after the other. Each call does a share and commits, so that no number of
-- tenants is too many; what fails for one is passed over until the next round, and stops nobody else's.

create table m23.rounds (
  name     text primary key,
  begun_at timestamptz not null
);
create table m23.round_tenants (
  round     text not null references m23.rounds (name) on delete cascade,
  tenant_id uuid not null,
  primary key (round, tenant_id)
);
select m23.close_table('m23.rounds');
select m23.close_table('m23.round_tenants');
comment on table m23.round_tenants is 'For whom a round is still to be done.';

-- Begins a round where the last one is over and began before p_since.
create function m23.begin_round(p_name text, p_since timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
  insert into m23.rounds as r values (p_name, clock_timestamp())
    on conflict (name) do update set begun_at = excluded.begun_at
     where r.begun_at < p_since and not exists (select from m23.round_tenants t where t.round = p_name);
  if found then
    insert into m23.round_tenants (round, tenant_id)
      select p_name, t.id
        from (select m23.tenant_uuid(t.tenant_id) from m23.tenants() t) t (id)
       where t.id is not null
      on conflict do nothing;
  end if;
end $$;

create function m23.do_for(p_work regprocedure, p_tenant uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  execute format('select %s($1)', p_work::regproc) using p_tenant;
exception when others or query_canceled then
  raise log 'm23: % failed for tenant %: % (%)', p_work::regproc, p_tenant, sqlerrm, sqlstate;
end $$;

-- A share of a round, until a time. Gives for how many tenants it was done; none: the round is over.
create function m23.go_round(p_name text, p_since timestamptz, p_work regprocedure, p_until timestamptz) returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_tenant uuid;
  v_count  int := 0;
begin
  perform m23.begin_round(p_name, p_since);
  for v_tenant in select tenant_id from m23.round_tenants where round = p_name order by tenant_id limit 200
      for update skip locked loop
    exit when clock_timestamp() > p_until;
    perform m23.do_for(p_work, v_tenant);
    delete from m23.round_tenants where round = p_name and tenant_id = v_tenant;
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;

create function public.m23_go_rounds() returns int
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '30s' as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
begin
  return m23.go_round('default plans', date_bin('10 minutes', v_now, 'epoch'), 'm23.give_default_plan(uuid)', v_until)
       + m23.go_round('retention', date_trunc('hour', v_now), 'm23.retire_backups(uuid)', v_until)
       + m23.go_round('health', date_trunc('day', v_now, 'UTC'), 'm23.note_day(uuid)', v_until);
end $$;
comment on function public.m23_go_rounds() is
  'For the clock: a share of what is done for every tenant (default plans, retention, the health of the day). '
  'Gives for how many, 0 when all is done.';

select m23.open_to('{service_role}', 'public.m23_go_rounds()');
select m23.close_functions();
