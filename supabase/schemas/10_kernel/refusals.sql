-- A call of the API that is refused takes back whatever it has written, an entry of the audit
-- as well: so who it was stands in the server's log. Calls of the edge functions have their audit;
-- what they use, and others may not, is called without one.
create function m23.log_refusal(p_code text) returns void
language plpgsql stable as $$
declare
  v_path text := current_setting('request.path', true);
  v_from jsonb := coalesce(nullif(current_setting('request.headers', true), ''), '{}');
begin
  if v_path <> '' and (v_path !~ '/m23_' or p_code = 'INSUFFICIENT_PERMISSIONS') then
    raise log 'm23: refused %', jsonb_build_object(
      'code', p_code, 'method', current_setting('request.method', true), 'path', v_path,
      'actor', auth.jwt() ->> 'sub', 'role', auth.jwt() ->> 'role',
      'tenants', (select jsonb_agg(m.tenant_id) from m23.memberships_of(auth.uid()) m),
      'from_address', m23.address_of(v_from), 'user_agent', left(v_from ->> 'user-agent', 300));
  end if;
end $$;

-- Where a call of the database came from, by its headers.
create function m23.address_of(p_headers jsonb) returns text
language sql immutable as $$
  select left(coalesce(p_headers ->> 'cf-connecting-ip',
                       trim(split_part(p_headers ->> 'x-forwarded-for', ',', 1))), 64)
$$;

-- What passes says when to come again.
create function m23.refusal_headers(p_code text, p_retry_after int) returns json
language sql immutable as $$
  select case when s.seconds is null then '{}'::json else json_build_object('Retry-After', s.seconds::text) end
    from (select coalesce(p_retry_after, case when p_code in ('RESTORE_IN_PROGRESS', 'UNAVAILABLE') then 5 end))
         s (seconds)
$$;

-- Every refusal that a caller may see is raised here. PostgREST turns SQLSTATE PGRST into that response.
create function m23.refuse(p_code text, p_message text, p_details text[] default null, p_retry_after int default null)
returns void
language plpgsql as $$
begin
  perform m23.log_refusal(p_code);
  raise sqlstate 'PGRST' using
    message = json_build_object('code', p_code, 'message', p_message,
                                'details', array_to_json(p_details)::text, 'hint', null)::text,
    detail = json_build_object('status', m23.refusal_status(p_code),
                               'headers', m23.refusal_headers(p_code, p_retry_after))::text;
end $$;
comment on function m23.refuse(text, text, text[], int) is
  'Raises the refusal p_code of the public contract, with a sentence for a person and one detail a fault.';

-- A refusal as the answer of a call whose transaction is kept, so that what it has used stays used. PostgREST takes
-- status and headers from these settings.
create function m23.answer_refusal(p_state text, p_message text, p_detail text) returns json
language plpgsql as $$
declare v_is_ours boolean := p_state = 'PGRST';
begin
  perform set_config('response.status', case when v_is_ours then p_detail::json ->> 'status'
                                             when p_state ~ '^(08|53|57)' then '503' else '500' end, true);
  if v_is_ours then
    perform set_config('response.headers', (select coalesce(json_agg(json_build_object(h.key, h.value)), '[]')::text
                                              from json_each_text(p_detail::json -> 'headers') h), true);
    return p_message::json;
  end if;
  return json_build_object('code', p_state, 'message', p_message, 'details', null, 'hint', null);
end $$;

-- Whether PostgREST calls, and so gives that answer.
create function m23.is_api_call() returns boolean
language sql stable as $$ select coalesce(current_setting('request.method', true), '') <> '' $$;
