-- Requests: who may call what, how often, and what was answered. The rate window is
-- counted here exactly; Workers KV only refuses early.

create table m23.requests (
  id              uuid primary key,
  tenant_id       uuid not null,
  user_id         uuid,  -- null: the service key, whose requests use up no quota
  function        text not null,
  counted_at      timestamptz not null default clock_timestamp(),
  used_at         timestamptz,  -- work has begun with it, or never will
  given_back_at   timestamptz,  -- it ended by our own fault, and counts for nothing
  idempotency_key text,
  body_sha256     text,
  response_status int,
  response_body   jsonb
);
select m23.close_table('m23.requests');
create index requests_window on m23.requests (tenant_id, function, counted_at);
create index requests_time on m23.requests (counted_at);
create unique index requests_idempotency on m23.requests (tenant_id, user_id, function, idempotency_key)
  nulls not distinct where idempotency_key is not null;
comment on table m23.requests is 'Every request that was admitted, for the rate window and for idempotent answers.';

create function m23.window_start() returns timestamptz
language sql volatile set search_path = '' as $$ select clock_timestamp() - interval '1 hour' $$;

create function m23.window_key(p_tenant uuid, p_function text) returns bigint
language sql immutable set search_path = '' as
$$ select hashtextextended(concat_ws('.', 'm23.window', p_tenant, p_function), 0) $$;

create function m23.window_of(p_tenant uuid, p_function text, out used int, out reset bigint)
language sql volatile security definer set search_path = '' set row_security = off as $$
  select count(*)::int,
         ceil(extract(epoch from coalesce(min(r.counted_at), clock_timestamp()) + interval '1 hour'))::bigint
    from m23.requests r
   where r.tenant_id = p_tenant and r.function = p_function and r.counted_at > m23.window_start()
     and r.given_back_at is null and r.user_id is not null
$$;

-- Names of tables ------------------------------------------------------------------

-- The protected tables that names mean, all of them looked up at once: `orders` or `schema.orders`, raw. Either part
-- may have dots in it, so a name is cut at each of them, and looked for where it would stand.
create function m23.find_tables(p_names text[]) returns table (n bigint, name text, tbl m23.protected_tables)
language plpgsql stable security definer rows 20 set search_path = '' set row_security = off
set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select distinct on (u.n) u.n, u.name, t
    from unnest(p_names) with ordinality u (name, n)
   cross join lateral (
      select 'public' as schema, u.name as relation
      union all
      select left(u.name, dot - 1), substr(u.name, dot + 1) from generate_series(1, length(u.name)) dot
       where substr(u.name, dot, 1) = '.') called
    join pg_namespace s on s.nspname = called.schema
    join pg_class c on c.relnamespace = s.oid and c.relname = called.relation
    join m23.protected_tables t on t.relid = c.oid
   order by u.n, t.id;
end $$;

create function m23.find_table(p_name text) returns m23.protected_tables
language plpgsql stable security definer set search_path = '' set row_security = off as
$$ begin return (select f.tbl from m23.find_tables(array[p_name]) f); end $$;

create function m23.tables_named(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query select distinct on ((f.tbl).id) (f.tbl).* from m23.find_tables(p_names) f order by (f.tbl).id;
end $$;

-- The same; null for all that are protected.
create function m23.chosen(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 set search_path = '' as $$
begin
  if p_names is not null then return query select * from m23.tables_named(p_names); return; end if;
  return query select t.* from m23.protected_tables t join pg_class c on c.oid = t.relid order by t.id;
end $$;

-- The tables among them whose logs can have changes of a tenant from a transaction on.
create function m23.tables_with_entries(p_names text[], p_tenant uuid, p_from xid8) returns setof m23.protected_tables
language plpgsql volatile rows 20 set search_path = '' as $$
declare v_ids int[] := m23.logged_tables(array(select t.id from m23.chosen(p_names) t), p_tenant, coalesce(p_from, '0'));
begin
  return query select t.* from m23.protected_tables t where t.id = any (v_ids) order by t.id;
end $$;

create function m23.table_faults(p_tables text[]) returns text[]
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return array(select format('tables: "%s" is not a protected table', u.name)
                 from unnest(p_tables) with ordinality u (name, n)
                where u.n not in (select f.n from m23.find_tables(p_tables) f) order by u.n);
end $$;

-- As the edge functions have it.
create function m23.is_system_schema(p_schema text) returns boolean
language sql immutable set search_path = '' as $$
  select lower(p_schema) ~ '^(m23_|pg_|supabase_)' or lower(p_schema) in (
    'auth', 'cron', 'dbdev', 'extensions', 'graphql', 'graphql_public', 'information_schema', 'm23', 'net', 'pgbouncer',
    'pgmq', 'pgsodium', 'pgsodium_masks', 'pgtle', 'public', 'realtime', 'repack', 'storage', 'tiger', 'vault')
$$;

create function m23.schema_faults(p_schema text) returns text[]
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_oid oid;
begin
  if p_schema is null then
    return '{}';
  end if;
  v_oid := (select oid from pg_namespace where nspname = p_schema);
  -- One sentence for all, which does not tell what there is.
  if m23.is_system_schema(p_schema)
     or exists (select from pg_class where relnamespace = v_oid)
     or exists (select from pg_proc where pronamespace = v_oid)
     or exists (select from pg_type where typnamespace = v_oid) then
    return array[format('targetSchema: "%s" is not free; choose another name', p_schema)];
  end if;
  return '{}';
end $$;

-- The pipeline's calls ---------------------------------------------------------------

create function public.m23_authorize(p_function text, p_dry_run boolean default false, p_tables text[] default null,
                                     p_target_schema text default null, p_target_timestamp timestamptz default null,
                                     p_base_backup_id uuid default null, p_tenant_id uuid default null) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_tenant  uuid;
  v_role    text;
  v_window  record;
  v_allowed boolean;
begin
  if m23.is_service() then
    v_role := 'owner';
    v_tenant := case when m23.knows_tenant(p_tenant_id) then p_tenant_id end;
  elsif p_tenant_id is not null then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'only the service key may name a tenant');
  else
    perform m23.refuse_anonymous();
    select m.tenant_id, m.role into v_tenant, v_role from m23.caller_membership() m;
  end if;
  if v_tenant is null then
    return json_build_object('tenant_id', null, 'role', null, 'allowed', false, 'used', 0,
                             'reset', floor(extract(epoch from clock_timestamp()))::bigint, 'faults', '[]'::json);
  end if;
  select * into v_window from m23.window_of(v_tenant, p_function);
  v_allowed := m23.may_call(p_function, v_role, coalesce(p_dry_run, false));
  return json_build_object(
    'tenant_id', v_tenant, 'role', v_role, 'allowed', v_allowed,
    'used', v_window.used, 'reset', v_window.reset, 'raised', m23.raised_limit(v_tenant, p_function),
    'faults', array_to_json(m23.table_faults(p_tables)
                            || case when v_allowed then m23.schema_faults(p_target_schema) else '{}' end
                            || m23.target_faults(v_tenant, p_target_timestamp, p_tables, p_base_backup_id)));
end $$;
comment on function public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, uuid) is
  'For the edge functions: the caller''s tenant and role (the service names one, as its owner), whether it may call, its '
  'rate window, and the faults that only the database sees.';

create function public.m23_admit(p_request jsonb) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_tenant   uuid := (p_request ->> 'tenant_id')::uuid;
  v_user     uuid := (p_request ->> 'user_id')::uuid;
  v_function text := p_request ->> 'function';
  v_key      text := p_request ->> 'idempotency_key';
  v_first    m23.requests;
  v_window   record;
  v_outcome  text;
  v_counted  timestamptz;
  v_limit    int := greatest((p_request ->> 'limit')::int, m23.raised_limit(v_tenant, v_function));
begin
  perform pg_advisory_xact_lock(m23.window_key(v_tenant, v_function));
  -- The functions know the limit that their operator has set; calls that do without them obey it as well.
  update m23.settings set value = p_request ->> 'limit' where name = 'limit.' || v_function and value <> p_request ->> 'limit';
  if v_key is not null then
    select * into v_first from m23.requests r
     where r.tenant_id = v_tenant and r.user_id is not distinct from v_user and r.function = v_function
       and r.idempotency_key = v_key;
  end if;
  -- A first request that never answered, long after every limit on it, is no longer waited for.
  if v_first.response_status is null and v_first.counted_at < clock_timestamp() - interval '15 minutes' then
    update m23.requests set idempotency_key = null where id = v_first.id;
    v_first := null;
  end if;
  select * into v_window from m23.window_of(v_tenant, v_function);
  if v_first.id is not null then
    v_outcome := case
      when v_first.body_sha256 is distinct from p_request ->> 'body_sha256' then 'key_reused'
      when v_first.response_status is null then 'running'
      else 'replay' end;
  elsif v_user is not null and v_window.used >= v_limit then
    v_outcome := 'limited';
  else
    v_outcome := 'admitted';
    insert into m23.requests (id, tenant_id, user_id, function, idempotency_key, body_sha256)
      values ((p_request ->> 'id')::uuid, v_tenant, v_user, v_function, v_key, p_request ->> 'body_sha256')
      returning counted_at into v_counted;
    select * into v_window from m23.window_of(v_tenant, v_function);
    -- Here rather than by a call of its own, so that no call begins without it.
    perform m23.audit(v_tenant, (p_request -> 'from') || jsonb_build_object('event', 'begun', 'action', v_function, 'actor', v_user, 'request_id', p_request ->> 'id'))
      where p_request ? 'from';
  end if;
  return json_build_object(
    'outcome', v_outcome, 'limit', v_limit, 'used', v_window.used, 'reset', v_window.reset,
    'counted_at', floor(extract(epoch from coalesce(v_counted, clock_timestamp())) * 1000)::bigint,
    'response', case when v_outcome = 'replay'
      then json_build_object('status', v_first.response_status, 'body', v_first.response_body) end);
end $$;
comment on function public.m23_admit(jsonb) is
  'For the edge functions, with the service key: counts a request in its window, or says why not; finds the answer of an earlier one.';

create function public.m23_finish_request(p_id uuid, p_status int, p_body jsonb) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.requests set response_status = p_status, response_body = p_body where id = p_id $$;
comment on function public.m23_finish_request(uuid, int, jsonb) is 'Keeps the answer of a request for a retry with the same idempotency key.';

create function public.m23_abandon_request(p_id uuid) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.requests set idempotency_key = null where id = p_id $$;
comment on function public.m23_abandon_request(uuid) is
  'Frees the idempotency key of a request that failed for our own reasons.';

-- Takes a request out of the window that ended by our own fault, at most 10 an hour. It is used up all the same.
create function m23.give_back(p_id uuid) returns m23.requests
language plpgsql volatile set search_path = '' as $$
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

create function public.m23_give_back(p_id uuid) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.give_back(p_id);
  v_window  record;
begin
  select * into v_window from m23.window_of(v_request.tenant_id, v_request.function);
  return json_build_object('given_back', v_request.given_back_at is not null,
                           'used', v_window.used, 'reset', v_window.reset);
end $$;
comment on function public.m23_give_back(uuid) is
  'For the edge functions, with the service key: what ended by our own fault does not count; tells the window.';

-- Whom to ask, for those who decide.
create function m23.limit_sentence(p_is_owner boolean) returns text
language sql immutable set search_path = '' as $$
  select 'this tenant''s hourly limit for this function is used up'
         || case when p_is_owner then '; the operator of the service can raise it for a time (raise_limit)' else '' end
$$;

-- Counts a call that reaches the database without an edge function, in the same window.
create function m23.count_call(p_tenant uuid, p_user uuid, p_function text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_admitted json := public.m23_admit(jsonb_build_object('id', gen_random_uuid(), 'tenant_id', p_tenant, 'user_id', p_user, 'function', p_function,
                                                               'limit', m23.setting('limit.' || p_function)::int));
begin
  if v_admitted ->> 'outcome' <> 'admitted' then
    perform m23.refuse('RATE_LIMIT_EXCEEDED', m23.limit_sentence(exists (
        select from m23.memberships_of(p_user) m where m.tenant_id = p_tenant and m.role = 'owner')), null,
      greatest(1, least(3600, (v_admitted ->> 'reset')::bigint - floor(extract(epoch from clock_timestamp()))))::int);
  end if;
end $$;

-- Work begins with an admitted request, once: the quota cannot be passed by calling the
-- database directly. Gives the request; refuses in the caller's words. Used is used: callers keep this transaction
-- whatever comes after it (m23.answer_refusal).
create function m23.use_request(p_id uuid, p_function text, p_dry_run boolean default false) returns m23.requests
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests;
  v_role    text;
begin
  perform m23.refuse_anonymous();
  update m23.requests set used_at = clock_timestamp()
   where id = p_id and function = p_function and used_at is null
     and case when m23.is_service() then user_id is null else user_id = auth.uid() end
   returning * into v_request;
  v_role := case when m23.is_service() then 'owner'
                 else (select m.role from m23.caller_memberships() m where m.tenant_id = v_request.tenant_id) end;
  if v_request.id is null or not m23.may_call(p_function, v_role, p_dry_run) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', format('call the edge function %s: this needs a request that it has admitted', p_function));
  end if;
  return v_request;
end $$;

select m23.open_to('{authenticated, service_role}',
  'public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, uuid)');
select m23.open_to('{service_role}', 'public.m23_admit(jsonb)', 'public.m23_finish_request(uuid, int, jsonb)',
  'public.m23_abandon_request(uuid)', 'public.m23_give_back(uuid)');
select m23.close_functions();
