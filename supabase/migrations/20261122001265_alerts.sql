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
  tenant_id uuid,
  summary   text not null,
  detail    jsonb not null default '{}',
  began_at  timestamptz not null default clock_timestamp(),
  ended_at  timestamptz,
  is_event  boolean not null default false  -- has no end that could be told
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
  unique (alert_id, edge)
);
select m23.close_table('m23.alert_deliveries');
create index alert_deliveries_due on m23.alert_deliveries (next_at) where delivered_at is null and failed_at is null;
comment on table m23.alert_deliveries is 'What was told of alerts, is to be told, or could not be.';

-- Conditions --------------------------------------------------------------------------------

create type m23.condition as (kind text, subject text, tenant_id uuid, summary text, detail jsonb);

create function m23.conditions_of_tenants() returns setof m23.condition
language sql stable set search_path = '' as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backup_overdue', f.tenant_id, m23.tenant_uuid(f.tenant_id),
         format('the newest backup of this tenant is %s; its RPO is %s minutes',
                coalesce('of ' || m23.iso(f.last_backup_at), 'still to come'), f.rpo_minutes),
         jsonb_build_object('lastBackupAt', m23.iso(f.last_backup_at), 'rpoMinutes', f.rpo_minutes)
    from fleet f where f.late
  union all
  select 'score_low', f.tenant_id, m23.tenant_uuid(f.tenant_id), format('the health of this tenant is %s, below 70', f.score),
         jsonb_build_object('score', f.score)
    from fleet f where f.score < 70
$$;

-- The newest backup that has ended has failed; one that somebody cancelled has not.
create function m23.conditions_of_backups() returns setof m23.condition
language sql stable set search_path = '' as $$
  select 'backup_failed', j.tenant_id::text, j.tenant_id, 'the last backup of this tenant failed',
         jsonb_build_object('jobId', (array_agg(j.id order by j.completed_at desc))[1])
    from public.backup_jobs j
   where j.status = 'completed' or j.status = 'failed' and coalesce(j.error_message, '') not like 'cancelled by %'
   group by j.tenant_id
  having max(j.completed_at) filter (where j.status = 'failed')
         > coalesce(max(j.completed_at) filter (where j.status = 'completed'), '-infinity')
$$;

-- Until a later test of the same tenant, which reads at least as far, finds none.
create function m23.conditions_of_tests() returns setof m23.condition
language sql stable set search_path = '' as $$
  select distinct on (t.tenant_id) 'damage_found', t.tenant_id::text, t.tenant_id,
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

create function m23.conditions_of_service() returns setof m23.condition
language sql volatile set search_path = '' as $$
  select 'cron_late', c.name, null::uuid, format('the clock''s job %s has not come for %s seconds', c.name, c.age),
         jsonb_build_object('cron', c.name)
    from m23.crons() c where c.late
  union all
  select 'capture_broken', t.id::text, null, format('changes of %s are not captured as they should be', n.name),
         jsonb_build_object('table', n.name)
    from m23.protected_tables t, lateral (select coalesce(m23.public_name(t.relid), t.name)) n (name)
   where t.suspended is not null or not exists (select from pg_class c where c.oid = t.relid)
      or m23.capture_fault(t) is not null
  union all
  select 'log_large', 'log', null,
         format('all logs together have %s, more than four fifths of their cap of %s', pg_size_pretty(s.bytes),
                pg_size_pretty(cap.bytes)),
         jsonb_build_object('bytes', s.bytes, 'capBytes', cap.bytes)
    from m23.log_size() s, (select m23.setting('log_cap_bytes')::bigint) cap (bytes) where s.bytes > cap.bytes * 0.8
$$;

-- Histories that have ended: each is told once.
create function m23.note_gaps() returns void
language sql volatile set search_path = '' as $$
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

-- Begins the alerts whose condition holds by now, and ends those whose condition does not any more.
create function m23.renew_alerts() returns void
language plpgsql volatile set search_path = '' as $$
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

-- One at a time, and not more often than there is need for: every Worker with a cron trigger asks for it.
create table m23.watches (one boolean primary key default true check (one), at timestamptz not null);
select m23.close_table('m23.watches');
comment on table m23.watches is 'When alerts were last looked for.';

create function public.m23_watch() returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('m23.watch', 0))
     or exists (select from m23.watches
                 where at > clock_timestamp() - make_interval(secs => m23.setting('watch_seconds')::int)) then
    return false;
  end if;
  insert into m23.watches (at) values (clock_timestamp()) on conflict (one) do update set at = excluded.at;
  perform m23.renew_alerts();
  perform m23.search_deletes();
  return true;
end $$;
comment on function public.m23_watch() is
  'For the clock: looks for what has to be told, and for what is over; false if somebody else just has.';

-- Deliveries ------------------------------------------------------------------------------------

-- Where there is a webhook: what holds is told, and what happened within a day; an end is told to whom the beginning
-- was.
create function m23.queue_alerts() returns void
language sql volatile set search_path = '' as $$
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

-- What to do about each kind.
create function m23.alert_advice(p_alert m23.alerts) returns text
language sql immutable set search_path = '' as $$
  select case p_alert.kind
    when 'backup_failed'
      then 'read error_message of the job in public.backup_jobs, and begin another with backup-create'
    when 'backup_overdue'
      then 'see whether the cron trigger of backup-create comes, and whether the tenant''s last jobs failed'
    when 'damage_found'
      then 'read results of the test in public.recovery_tests, make a full backup now, and test it'
    when 'score_low' then 'call get_health for the tenant: its parts say what is missing'
    when 'capture_broken' then 'select * from m23.doctor(): it says what stands in the way, and what to do'
    when 'gap' then 'make a full backup now: it is what can be restored of the time before'
    when 'cron_late' then 'look at the function''s cron trigger and its log'
    when 'log_large' then 'give the disk more room and raise log_cap_bytes, or lower log_days in m23.settings'
    when 'mass_delete'
      then 'ask the tenant; if it was no intention, preview pitr-restore with this targetTimestamp' end
$$;

-- The message as it is signed: the same bytes at each attempt.
create function m23.alert_body(p_alert m23.alerts, p_delivery m23.alert_deliveries) returns text
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'type', p_alert.kind || '.' || p_delivery.edge,
    'timestamp', m23.iso(case p_delivery.edge when 'began' then p_alert.began_at else p_alert.ended_at end),
    'data', jsonb_build_object('detail', p_alert.detail) || jsonb_strip_nulls(jsonb_build_object(
      'alertId', p_alert.id, 'kind', p_alert.kind, 'edge', p_delivery.edge, 'tenantId', p_alert.tenant_id,
      'summary', p_alert.summary, 'advice', m23.alert_advice(p_alert), 'beganAt', m23.iso(p_alert.began_at),
      'endedAt', case p_delivery.edge when 'ended' then m23.iso(p_alert.ended_at) end)))::text
$$;

-- An end waits for its beginning. What concerns all tenants goes first.
create function public.m23_claim_alerts(p_limit int default 10) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
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

create function public.m23_note_alert(p_id uuid, p_lease uuid, p_error text default null) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
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

create function m23.failed_alerts()
returns table (delivery_id uuid, kind text, edge text, tenant_id text, summary text, began_at timestamptz,
               ended_at timestamptz, attempts int, failed_at timestamptz, error text)
language sql stable security definer rows 10 set search_path = '' set row_security = off as $$
  select d.id, a.kind, d.edge, a.tenant_id::text, a.summary, a.began_at, a.ended_at, d.attempts, d.failed_at, d.error
    from m23.alert_deliveries d join m23.alerts a on a.id = d.alert_id
   where d.failed_at is not null order by d.failed_at desc
$$;
comment on function m23.failed_alerts() is 'The deliveries of alerts that were given up.';

create function m23.retry_alerts() returns bigint
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_count bigint;
begin
  update m23.alert_deliveries set failed_at = null, attempts = 0, next_at = clock_timestamp()
   where failed_at is not null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function m23.retry_alerts() is 'Tries the deliveries that were given up once more; gives how many.';

create function m23.doctor_alerts() returns setof m23.finding
language sql stable set search_path = '' as $$
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

select m23.open_to('{service_role}', 'public.m23_watch()', 'public.m23_claim_alerts(int)',
  'public.m23_note_alert(uuid, uuid, text)', 'm23.failed_alerts()', 'm23.retry_alerts()');
select m23.close_functions();
