-- Requests: who may call what, how often, and what was answered. The rate window is
-- counted here exactly; Workers KV only refuses early.

create table m23.requests (
  id              uuid primary key,
  tenant_id       text not null,
  user_id         uuid,  -- null: the service key, whose requests use up no quota
  function        text not null
                  check (function in ('backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback',
                                      'recovery-test')),
  counted_at      timestamptz not null default clock_timestamp(),
  used_at         timestamptz,  -- work has begun with it, or never will
  given_back_at   timestamptz,  -- it ended by our own fault, and counts for nothing
  idempotency_key text,
  body_sha256     text,
  response_status int check (response_status between 100 and 599),
  response_body   jsonb,
  -- What is given back is used, and had been counted.
  check (given_back_at is null or used_at is not null and user_id is not null),
  check (response_body is null or response_status is not null)
);
select m23.close_table('m23.requests');
create index requests_window on m23.requests (tenant_id, function, counted_at);
create index requests_time on m23.requests (counted_at);
create unique index requests_idempotency on m23.requests (tenant_id, user_id, function, idempotency_key)
  nulls not distinct where idempotency_key is not null;
comment on table m23.requests is 'Every request that was admitted, for the rate window and for idempotent answers.';

-- Since when requests count.
create function m23.window_start() returns timestamptz
language sql volatile as $$ select clock_timestamp() - interval '1 hour' $$;

-- The lock under which the requests of a tenant's window are counted.
create function m23.window_key(p_tenant text, p_function text) returns bigint
language sql immutable as
$$ select hashtextextended(concat_ws('.', 'm23.window', p_tenant, p_function), 0) $$;

-- How many requests of a tenant's window are used, and when the oldest of them leaves it, as Unix time.
create function m23.window_of(p_tenant text, p_function text, out used int, out reset bigint)
language sql volatile security definer set row_security = off as $$
  select count(*)::int,
         ceil(extract(epoch from coalesce(min(r.counted_at), clock_timestamp()) + interval '1 hour'))::bigint
    from m23.requests r
   where r.tenant_id = p_tenant and r.function = p_function and r.counted_at > m23.window_start()
     and r.given_back_at is null and r.user_id is not null
$$;

-- Takes a request out of the window that ended by our own fault, at most 10 an hour. It is used up all the same.
create function m23.give_back(p_id uuid) returns m23.requests
language plpgsql volatile as $$
declare v_request m23.requests;
begin
  select * into v_request from m23.requests r where r.id = p_id;
  perform pg_advisory_xact_lock(m23.window_key(v_request.tenant_id, v_request.function));
  update m23.requests r set given_back_at = clock_timestamp(), used_at = coalesce(r.used_at, clock_timestamp())
   where r.id = p_id and r.given_back_at is null and r.user_id is not null
     and (select count(*) from m23.requests o where o.tenant_id = r.tenant_id and o.function = r.function
                                                 and o.given_back_at > m23.window_start()) < 10;
  select * into v_request from m23.requests r where r.id = p_id;
  return v_request;
end $$;

-- Whom to ask, for those who decide.
create function m23.limit_sentence(p_is_owner boolean) returns text
language sql immutable as $$
  select 'this tenant''s hourly limit for this function is used up'
         || case when p_is_owner then '; the operator of the service can raise it for a time (raise_limit)' else '' end
$$;

-- Counts a call that reaches the database without an edge function, in the same window.
create function m23.count_call(p_tenant text, p_user uuid, p_function text) returns void
language plpgsql volatile as $$
declare
  v_admitted json := public.m23_admit(jsonb_build_object(
    'id', gen_random_uuid(), 'tenant_id', p_tenant, 'user_id', p_user, 'function', p_function,
    'limit', m23.setting('limit.' || p_function)::int));
begin
  if v_admitted ->> 'outcome' <> 'admitted' then
    perform m23.refuse('RATE_LIMIT_EXCEEDED', m23.limit_sentence(exists (
        select from m23.memberships_of(p_user) m where m.tenant_id = p_tenant and m.role = 'owner')), null,
      greatest(1, least(3600, (v_admitted ->> 'reset')::bigint - floor(extract(epoch from clock_timestamp()))))::int);
  end if;
end $$;
