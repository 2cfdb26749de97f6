-- open to: service_role
create function public.m23_note_alert(p_id uuid, p_lease uuid, p_error text default null) returns boolean
language plpgsql volatile security definer set row_security = off as $$
begin
  update m23.alert_deliveries d set
    lease = null, error = left(p_error, 200),
    delivered_at = case when p_error is null then clock_timestamp() end,
    failed_at = case when p_error is not null and d.attempts >= m23.setting('alert_attempts')::int
                     then clock_timestamp() end,
    next_at = clock_timestamp() + least(interval '1 minute' * 2 ^ (d.attempts - 1), interval '1 hour')
   where d.id = p_id and d.lease = p_lease;
  return found;
end $$;
comment on function public.m23_note_alert(uuid, uuid, text) is
  'For the workers: a message was delivered, or why not; false if it is somebody else''s by now.';
