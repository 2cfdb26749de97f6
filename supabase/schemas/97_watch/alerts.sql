-- Alerts: what somebody has to know without asking. A condition begins and ends, and each of the two is told once, by
-- one webhook that a Worker calls. What happens at once (a mass delete, a gap) only begins. No alert holds a value of a
-- row.

insert into m23.settings (name, value, about) values
  ('watch_seconds',  '50', 'how long what would raise an alert is not looked at again'),
  ('alert_attempts', '12', 'how often the delivery of an alert is tried, at growing intervals of at most an hour'),
  ('alert_days',     '90', 'how long alerts that have ended are kept');

create table m23.alerts (
  id        uuid primary key default gen_random_uuid(),
  kind      text not null,
  subject   text not null,  -- what it is about: a tenant, a table, a job of the clock
  tenant_id text,
  summary   text not null,
  detail    jsonb not null default '{}',
  began_at  timestamptz not null default clock_timestamp(),
  ended_at  timestamptz,
  is_event  boolean not null default false,  -- has no end that could be told
  constraint event_has_ended check (ended_at is not null or not is_event)
);
select m23.close_table('m23.alerts');
create unique index alerts_open on m23.alerts (kind, subject) where ended_at is null;
create index alerts_subject on m23.alerts (kind, subject, began_at);
create index alerts_tenant on m23.alerts (tenant_id);
comment on table m23.alerts is 'Conditions that somebody has to know of: when each began, and ended.';

create table m23.alert_deliveries (
  id           uuid primary key default gen_random_uuid(),
  alert_id     uuid not null references m23.alerts (id) on delete cascade,
  edge         text not null check (edge in ('began', 'ended')),
  created_at   timestamptz not null default clock_timestamp(),
  attempts     int not null default 0,
  next_at      timestamptz not null default clock_timestamp(),  -- not before; while it is being sent, the end of that
  lease        uuid,
  delivered_at timestamptz,
  failed_at    timestamptz,
  error        text,
  unique (alert_id, edge),
  constraint ends_once check (delivered_at is null or failed_at is null),
  constraint no_negative_counts check (attempts >= 0)
);
select m23.close_table('m23.alert_deliveries');
create index alert_deliveries_due on m23.alert_deliveries (next_at) where delivered_at is null and failed_at is null;
comment on table m23.alert_deliveries is 'What was told of alerts, is to be told, or could not be.';

create type m23.condition as (kind text, subject text, tenant_id text, summary text, detail jsonb);

-- What is to be told of single tenants.
create function m23.conditions_of_tenants() returns setof m23.condition
language sql stable as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backup_overdue', f.tenant_id, f.tenant_id,
         format('the newest backup of this tenant is %s; its RPO is %s minutes',
                coalesce('of ' || m23.iso(f.last_backup_at), 'still to come'), f.rpo_minutes),
         jsonb_build_object('lastBackupAt', m23.iso(f.last_backup_at), 'rpoMinutes', f.rpo_minutes)
    from fleet f where f.late
  union all
  select 'score_low', f.tenant_id, f.tenant_id,
         format('the health of this tenant is %s, below 70', f.score),
         jsonb_build_object('score', f.score)
    from fleet f where f.score < 70
$$;

-- The newest backup that has ended has failed; one that somebody cancelled has not.
create function m23.conditions_of_backups() returns setof m23.condition
language sql stable as $$
  select 'backup_failed', j.tenant_id, j.tenant_id, 'the last backup of this tenant failed',
         jsonb_build_object('jobId', (array_agg(j.id order by j.completed_at desc))[1])
    from public.backup_jobs j
   where j.status = 'completed' or j.status = 'failed' and coalesce(j.error_message, '') not like 'cancelled by %'
   group by j.tenant_id
  having max(j.completed_at) filter (where j.status = 'failed')
         > coalesce(max(j.completed_at) filter (where j.status = 'completed'), '-infinity')
$$;

-- Until a later test of the same tenant, which reads at least as far, finds none.
create function m23.conditions_of_tests() returns setof m23.condition
language sql stable as $$
  select distinct on (t.tenant_id) 'damage_found', t.tenant_id, t.tenant_id,
         'a recovery test of this tenant found damage',
         jsonb_build_object('testId', t.id, 'jobId', t.backup_job_id)
    from public.recovery_tests t, lateral (select array_position('{basic,full,deep}', t.validation_level)) d (depth)
   where t.status = 'completed' and t.results -> 'findings' <> '[]' and m23.found_damage(t)
     and not exists (select from public.recovery_tests l
                      where l.tenant_id = t.tenant_id and l.status = 'completed' and l.completed_at > t.completed_at
                        and not m23.found_damage(l)
                        and array_position('{basic,full,deep}', l.validation_level) >= d.depth)
   order by t.tenant_id, t.completed_at desc
$$;

-- Histories that have ended: each is told once.
create function m23.note_gaps() returns void
language sql volatile as $$
  insert into m23.alerts (kind, subject, is_event, ended_at, summary, detail)
    select 'gap', s.subject, true, clock_timestamp(),
           format('no moment before %s can be reached in %s any more', m23.iso(g.until), n.name),
           jsonb_build_object('table', n.name, 'since', m23.iso(g.since), 'until', m23.iso(g.until), 'reason', g.reason)
      from m23.gaps g join m23.protected_tables t on t.id = g.table_id,
           lateral (select coalesce(m23.public_name(t.relid), t.name)) n (name),
           lateral (select concat_ws('/', g.table_id, m23.iso(g.until))) s (subject)
     where g.until > clock_timestamp() - interval '1 day'
       and not exists (select from m23.alerts a where a.kind = 'gap' and a.subject = s.subject)
$$;

-- One at a time, and not more often than there is need for: every Worker with a cron trigger asks for it.
create table m23.watches (one boolean primary key default true check (one), at timestamptz not null);
select m23.close_table('m23.watches');
comment on table m23.watches is 'When alerts were last looked for.';

-- Where there is a webhook: what holds is told, and what happened within a day; an end is told to whom the beginning
-- was.
create function m23.queue_alerts() returns void
language sql volatile as $$
  insert into m23.alert_deliveries (alert_id, edge)
    select a.id, 'began' from m23.alerts a
     where (a.ended_at is null or a.is_event and a.began_at > clock_timestamp() - interval '1 day')
       and not exists (select from m23.alert_deliveries d where d.alert_id = a.id)
    union all
    select a.id, 'ended' from m23.alerts a join m23.alert_deliveries b on b.alert_id = a.id and b.edge = 'began'
     where a.ended_at is not null and not a.is_event
       and not exists (select from m23.alert_deliveries d where d.alert_id = a.id and d.edge = 'ended')
    on conflict do nothing
$$;

-- The message as it is signed: the same bytes at each attempt.
create function m23.alert_body(p_alert m23.alerts, p_delivery m23.alert_deliveries) returns text
language sql stable as $$
  select jsonb_build_object(
    'type', p_alert.kind || '.' || p_delivery.edge,
    'timestamp', m23.iso(case p_delivery.edge when 'began' then p_alert.began_at else p_alert.ended_at end),
    'data', jsonb_build_object('detail', p_alert.detail) || jsonb_strip_nulls(jsonb_build_object(
      'alertId', p_alert.id, 'kind', p_alert.kind, 'edge', p_delivery.edge, 'tenantId', p_alert.tenant_id,
      'summary', p_alert.summary, 'advice', m23.alert_advice(p_alert), 'beganAt', m23.iso(p_alert.began_at),
      'endedAt', case p_delivery.edge when 'ended' then m23.iso(p_alert.ended_at) end)))::text
$$;

-- open to: service_role
create function m23.failed_alerts()
returns table (delivery_id uuid, kind text, edge text, tenant_id text, summary text, began_at timestamptz,
               ended_at timestamptz, attempts int, failed_at timestamptz, error text)
language sql stable security definer rows 10 set row_security = off as $$
  select d.id, a.kind, d.edge, a.tenant_id, a.summary, a.began_at, a.ended_at, d.attempts, d.failed_at, d.error
    from m23.alert_deliveries d join m23.alerts a on a.id = d.alert_id
   where d.failed_at is not null order by d.failed_at desc
$$;
comment on function m23.failed_alerts() is 'The deliveries of alerts that were given up.';

-- open to: service_role
create function m23.retry_alerts() returns bigint
language plpgsql volatile security definer set row_security = off as $$
declare v_count bigint;
begin
  update m23.alert_deliveries set failed_at = null, attempts = 0, next_at = clock_timestamp()
   where failed_at is not null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function m23.retry_alerts() is 'Tries the deliveries that were given up once more; gives how many.';
