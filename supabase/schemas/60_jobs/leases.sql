-- Leases: who works on a backup, restore, test or key. Its driver renews the lease while it works; another one takes
-- over where it is silent for lease_seconds.

create table m23.leases (
  work_id uuid primary key,
  token   uuid not null,
  until   timestamptz not null,
  taken   int not null default 1 check (taken > 0),  -- by how many workers since the last progress
  pid     int default pg_backend_pid(),  -- which backend took or renewed it last,
  backend_start timestamptz,             -- and since when that has run
  check (backend_start is null or pid is not null)
);
select m23.close_table('m23.leases');

-- When this backend was started.
create function m23.own_start() returns timestamptz
language sql volatile as
$$ select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a $$;

-- Until when a lease holds that is taken or renewed now.
create function m23.lease_end() returns timestamptz
language plpgsql volatile as $$
begin
  return clock_timestamp() + make_interval(secs => m23.setting('lease_seconds')::int);
end $$;

-- Takes or takes over a lease; null while somebody else holds it.
create function m23.take_lease(p_work uuid) returns m23.leases
language plpgsql as $$
declare v_lease m23.leases;
begin
  perform m23.refuse_other_versions();
  insert into m23.leases as l (work_id, token, until, backend_start)
    values (p_work, gen_random_uuid(), m23.lease_end(), m23.own_start())
    on conflict (work_id) do update set token = excluded.token, until = excluded.until, taken = l.taken + 1,
                                        pid = excluded.pid, backend_start = excluded.backend_start
     where l.until < clock_timestamp()
    returning * into v_lease;
  return v_lease;
end $$;

-- Renews a lease, or says that it was lost: the worker must stop then.
create function m23.keep_lease(p_work uuid, p_token uuid) returns void
language plpgsql as $$
begin
  perform m23.refuse_other_versions();
  update m23.leases set until = m23.lease_end(), pid = pg_backend_pid(), backend_start = m23.own_start()
   where work_id = p_work and token = p_token;
  if not found then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;

-- Whether the backend that renewed a lease last is known to have died with its server. A pool closes connections for
-- other reasons, so that one which is only gone says nothing of its worker, but where nothing is between two calls.
create function m23.holder_is_dead(p_lease m23.leases, p_is_one_call boolean) returns boolean
language plpgsql volatile as $$
declare v_server_start timestamptz := greatest(pg_postmaster_start_time(),
  (select a.backend_start from pg_stat_activity a where a.backend_type = 'checkpointer'));  -- crashes end it, too
begin
  return coalesce(p_lease.backend_start < v_server_start, false)
      or p_is_one_call and p_lease.pid is not null and not exists (
    select from pg_stat_activity a
     where a.pid = p_lease.pid and coalesce(a.backend_start = p_lease.backend_start, true));
end $$;

-- The same without renewing it, for a long read beside which others renew it.
create function m23.check_lease(p_work uuid, p_token uuid) returns void
language plpgsql as $$
begin
  perform m23.refuse_other_versions();
  if not exists (select from m23.leases where work_id = p_work and token = p_token) then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;
