-- The doctor: what is in force on this server, in plain words, and what to do about it.

create type m23.finding as (topic text, state text, finding text, advice text);

-- A finding, by its fields.
create function m23.new_finding(
  p_topic text, p_state text, p_finding text, p_advice text default null
) returns m23.finding
language plpgsql immutable as $$
declare v_finding m23.finding;
begin
  v_finding.topic := p_topic;
  v_finding.state := p_state;
  v_finding.finding := p_finding;
  v_finding.advice := p_advice;
  return v_finding;
end $$;

-- The copies, and what keeps those that have expired.
create function m23.doctor_copies() returns setof m23.finding
language sql stable as $$
  select format('copy %s', c.schema_name), case when a.added = '{}' then 'ok' else 'warning' end,
         format('made for tenant %s, %s %s%s', c.tenant_id,
                case when c.expires_at < clock_timestamp() then 'expired' else 'expires' end,
                to_char(c.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
                '; kept by what was added: ' || nullif(array_to_string(a.added, ', '), '')),
         case when a.added <> '{}' then 'move or drop what was added; the copy is dropped once it has expired' end
    from m23.copies c, lateral (select m23.added_to_copy(c)) a (added)
   order by c.expires_at, c.restore_log_id
$$;

-- open to: service_role
create function m23.doctor() returns setof m23.finding
language plpgsql volatile security definer set row_security = off as $$
begin
  return query select * from m23.doctor_commit_times()
  union all select * from m23.doctor_log()
  union all select * from m23.doctor_event_trigger()
  union all select * from m23.doctor_triggers()
  union all select 'members', 'warning', 'nobody belongs to a tenant yet, so nobody can call anything',
                   'insert into public.tenant_members (tenant_id, user_id, role) values (…, …, ''owner'')'
             where not exists (select from public.tenant_members) and exists (
               select from pg_proc p where p.oid = 'm23.memberships_of(uuid)'::regprocedure
                 and p.prosrc ~ 'public\.tenant_members')  -- the application's own reads other tables
  union all select * from m23.doctor_members()
  union all select * from m23.doctor_access()
  union all select 'tables', 'warning', 'no table is protected yet', 'select m23.protect_table(''public.your_table'')'
             where not exists (select from m23.protected_tables)
  union all (select d.* from m23.protected_tables t cross join lateral m23.doctor_table(t) d order by t.id)
  union all select * from m23.doctor_coverage()
  union all select * from m23.doctor_tenancy()
  union all select * from m23.doctor_paths()
  union all select * from m23.doctor_quoting()
  union all select * from m23.doctor_hooks()
  union all select * from m23.doctor_fills()
  union all select * from m23.doctor_copies()
  union all select * from m23.doctor_service();
end $$;
comment on function m23.doctor() is
  'What is in force (ok), what could be better (warning) and what is broken (problem), with what to do about it: '
  'select * from m23.doctor().';

-- What concerns the service as a whole: versions, crons, plans, tenants, the log's size, alerts.
create function m23.doctor_service() returns setof m23.finding
language sql volatile as $$
  select * from m23.doctor_versions()
  union all select * from m23.doctor_crons()
  union all select * from m23.doctor_plans()
  union all select * from m23.doctor_fleet()
  union all select * from m23.doctor_log_size()
  union all select * from m23.doctor_alerts()
$$;
