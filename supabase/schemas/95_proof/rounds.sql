-- Rounds: what is done for every tenant, one after the other. Each call does a share and commits, so that no number of
-- tenants is too many; what fails for one is passed over until the next round, and stops nobody else's.

create table m23.rounds (
  name     text primary key,
  begun_at timestamptz not null
);

create table m23.round_tenants (
  round     text not null references m23.rounds (name) on delete cascade,
  tenant_id text not null,
  primary key (round, tenant_id)
);
select m23.close_table('m23.rounds');
select m23.close_table('m23.round_tenants');
comment on table m23.round_tenants is 'For whom a round is still to be done.';

-- Begins a round where the last one is over and began before p_since.
create function m23.begin_round(p_name text, p_since timestamptz) returns void
language plpgsql volatile as $$
begin
  insert into m23.rounds as r values (p_name, clock_timestamp())
    on conflict (name) do update set begun_at = excluded.begun_at
     where r.begun_at < p_since and not exists (select from m23.round_tenants t where t.round = p_name);
  if found then
    insert into m23.round_tenants (round, tenant_id)
      select p_name, t.id
        from (select t.tenant_id from m23.tenants() t) t (id)
       where t.id is not null
      on conflict do nothing;
  end if;
end $$;

-- Does a round's work for one tenant; what fails is told to the server's log.
create function m23.do_for(p_work regprocedure, p_tenant text) returns void
language plpgsql volatile as $$
begin
  execute format('select %s($1)', p_work::regproc) using p_tenant;
exception when others or query_canceled then
  raise log 'm23: % failed for tenant %: % (%)', p_work::regproc, p_tenant, sqlerrm, sqlstate;
end $$;
