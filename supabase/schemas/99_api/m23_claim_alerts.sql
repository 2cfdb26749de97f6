-- An end waits for its beginning. What concerns all tenants goes first.
-- open to: service_role
create function public.m23_claim_alerts(p_limit int default 10) returns jsonb
language plpgsql volatile security definer set row_security = off as $$
declare v_messages jsonb;
begin
  perform m23.queue_alerts();
  with due as (
      select d.id from m23.alert_deliveries d join m23.alerts a on a.id = d.alert_id
       where d.delivered_at is null and d.failed_at is null and d.next_at <= clock_timestamp()
         and (d.edge = 'began' or not exists (
                select from m23.alert_deliveries b where b.alert_id = d.alert_id and b.edge = 'began'
                   and b.delivered_at is null and b.failed_at is null))
       order by a.tenant_id is not null, d.created_at, d.id limit p_limit for update of d skip locked),
    taken as (
      update m23.alert_deliveries d set lease = gen_random_uuid(), attempts = d.attempts + 1, next_at = m23.lease_end()
        from due where d.id = due.id returning d.*)
    select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'lease', t.lease, 'body', m23.alert_body(a, t))
                              order by a.tenant_id is not null, t.created_at, t.id), '[]')
      into v_messages from taken t join m23.alerts a on a.id = t.alert_id;
  return v_messages;
end $$;
comment on function public.m23_claim_alerts(int) is
  'For the workers: messages to send now, each with the right to say how that went. Nobody else sends them meanwhile.';
