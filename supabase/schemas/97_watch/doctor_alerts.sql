-- Whether somebody is told of alerts.
create function m23.doctor_alerts() returns setof m23.finding
language sql stable as $$
  select 'alerts', case when h.name is null or not h.ok then 'warning' else 'ok' end,
         case when h.name is null then 'nobody is told: no function has a webhook'
              when not h.ok then format('the webhook cannot be used: %s', h.error)
              else format('a webhook is told; %s alerts hold now',
                          (select count(*) from m23.alerts where ended_at is null)) end,
         case when h.name is null or not h.ok
              then 'set the secrets ALERT_WEBHOOK_URL (https) and ALERT_WEBHOOK_SECRET (whsec_…) of the functions with '
                   'a cron trigger; docs/monitoring.md' end
    from (select) one left join m23.heartbeats h on h.name = 'alerts'
  union all
  select 'alerts', 'problem',
         format('%s deliveries were given up; the last one said: %s', count(*),
                (array_agg(f.error order by f.failed_at desc))[1]),
         'select * from m23.failed_alerts(); mend the receiver, then select m23.retry_alerts()'
    from m23.failed_alerts() f having count(*) > 0
$$;
