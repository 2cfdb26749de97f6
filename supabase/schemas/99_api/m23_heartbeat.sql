-- open to: service_role
create function public.m23_heartbeat(
  p_name text, p_ended boolean, p_error text default null, p_version text default null)
returns void
language sql volatile security definer set row_security = off as $$
  insert into m23.heartbeats as h (name, begun_at, ended_at, ok, error, version, expected)
    values (p_name, clock_timestamp(), case when p_ended then clock_timestamp() end,
            case when p_ended then p_error is null end, left(p_error, 200), p_version,
            p_name <> 'alerts')  -- only where there is a webhook
    on conflict (name) do update set
      begun_at = case when p_ended then h.begun_at else excluded.begun_at end,
      ended_at = coalesce(excluded.ended_at, h.ended_at),
      ok       = case when p_ended then excluded.ok else h.ok end,
      error    = case when p_ended then excluded.error else h.error end,
      version  = coalesce(excluded.version, h.version)
$$;
comment on function public.m23_heartbeat(text, boolean, text, text) is
  'For the workers: a job of the clock has begun or ended, and how.';
