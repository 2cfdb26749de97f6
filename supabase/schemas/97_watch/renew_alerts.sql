-- Begins the alerts whose condition holds by now, and ends those whose condition does not any more.
create function m23.renew_alerts() returns void
language plpgsql volatile as $$
declare
  v_hold m23.condition[] := array(
    select c from m23.conditions_of_tenants() c union all select c from m23.conditions_of_backups() c
    union all select c from m23.conditions_of_tests() c union all select c from m23.conditions_of_service() c);
begin
  update m23.alerts a set ended_at = clock_timestamp()
   where a.ended_at is null and (a.kind, a.subject) not in (select c.kind, c.subject from unnest(v_hold) c);
  insert into m23.alerts (kind, subject, tenant_id, summary, detail)
    select c.kind, c.subject, c.tenant_id, c.summary, coalesce(c.detail, '{}') from unnest(v_hold) c
    on conflict (kind, subject) where ended_at is null do nothing;
  perform m23.note_gaps();
  delete from m23.alerts where ended_at < clock_timestamp() - make_interval(days => m23.setting('alert_days')::int);
end $$;
