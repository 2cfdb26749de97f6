-- open to: authenticated, service_role
create function public.get_audit_log(p_tenant_id text, p_before bigint default null, p_limit int default 100)
returns table (seq bigint, created_at timestamptz, action text, actor uuid, request_id uuid, from_address text,
               user_agent text, outcome text, status int, code text, ended_at timestamptz, detail jsonb)
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner']);
  return query
    (select null::bigint, r.since, r.action, r.actor, r.request_id, r.from_address, r.user_agent, r.event, r.status,
            r.code, null::timestamptz, m23.refusal_detail(r)
       from m23.refusals r where r.tenant_id = p_tenant_id and p_before is null order by r.since desc)
    union all
    (select a.seq, a.created_at, a.action, a.actor, a.request_id, a.from_address, a.user_agent,
           case when a.event <> 'begun' then a.event when e.seq is not null then 'ended'
                else 'no outcome was recorded' end,
           coalesce(e.status, a.status), coalesce(e.code, a.code), e.created_at, a.detail
      from public.audit_log a
      left join public.audit_log e on a.event = 'begun' and e.tenant_id = a.tenant_id and e.request_id = a.request_id
       and e.event = 'ended'
     where a.tenant_id = p_tenant_id and a.event <> 'ended' and (p_before is null or a.seq < p_before)
     order by a.seq desc limit least(greatest(p_limit, 1), 1000));
end $$;
comment on function public.get_audit_log(text, bigint, int) is
  'The calls of a tenant, newest first, each with its outcome; the next page begins before the last seq. Refusals of '
  'the present minute come first, without a seq. Owner.';
