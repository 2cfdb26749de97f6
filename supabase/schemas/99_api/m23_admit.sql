-- open to: service_role
create function public.m23_admit(p_request jsonb) returns json
language plpgsql volatile security definer set row_security = off as $$
declare
  v_tenant   text := p_request ->> 'tenant_id';
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
  update m23.settings set value = p_request ->> 'limit'
   where name = 'limit.' || v_function and value <> p_request ->> 'limit';
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
    perform m23.audit(v_tenant, (p_request -> 'from') || jsonb_build_object(
        'event', 'begun', 'action', v_function, 'actor', v_user, 'request_id', p_request ->> 'id'))
      where p_request ? 'from';
  end if;
  return json_build_object(
    'outcome', v_outcome, 'limit', v_limit, 'used', v_window.used, 'reset', v_window.reset,
    'counted_at', floor(extract(epoch from coalesce(v_counted, clock_timestamp())) * 1000)::bigint,
    'response', case when v_outcome = 'replay'
      then json_build_object('status', v_first.response_status, 'body', v_first.response_body) end);
end $$;
comment on function public.m23_admit(jsonb) is
  'For the edge functions, with the service key: counts a request in its window, or says why not; '
  'finds the answer of an earlier one.';
