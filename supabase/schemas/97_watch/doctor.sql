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

-- Whether times mean what was committed then.
create function m23.doctor_commit_times() returns setof m23.finding
language sql stable as $$
  select 'commit times', 'ok', 'native: track_commit_timestamp is on, so a time means exactly what was committed then',
         null::text
   where current_setting('track_commit_timestamp')::boolean
  union all
  select 'commit times', 'warning',
         format('stamped: track_commit_timestamp is off, so the moments to come back to '
                'are about a second apart (%s noted so far)',
                (select count(*) from m23.ticks)),
         'turn track_commit_timestamp on and restart the server; it costs nothing measurable'
   where not current_setting('track_commit_timestamp')::boolean
$$;

-- Change ids are places in the server's log (WAL). Ticks that lie beyond its present end are of a server that was
-- reset.
create function m23.doctor_log() returns setof m23.finding
language sql volatile as $$
  select 'log', 'problem',
         format('gap: what was noted until %s lies beyond the present end of the server''s log (WAL): '
                'it was reset, and later changes would come before earlier ones', m23.iso(max(t.at))),
         'unprotect and protect every table again: history begins anew, backups are not affected'
    from m23.ticks t where t.incarnation = (select m23.incarnation()) and t.wal > pg_current_wal_insert_lsn()
  having count(*) > 0
  union all
  select 'locks', 'warning',
         'track_counts is off: a transaction that writes rows of very many tenants takes a lock for each of them, '
         'and can fill the server''s lock table',
         'turn track_counts on; autovacuum needs it as well'
   where current_setting('track_counts') = 'off'
$$;

-- Whether schema changes are followed.
create function m23.doctor_event_trigger() returns setof m23.finding
language sql stable as $$
  select 'schema changes', case when ok then 'ok' else 'warning' end,
         case when ok
                then 'followed: an event trigger renews the capture after every ALTER TABLE, and for every partition'
              else 'followed by the next write only: there is no enabled event trigger m23_follow_ddl' end,
         case when not ok
                then 'call m23.protect_table again for a table right after another '
                     'primary key, a new partition, or a subscription' end
    from (select exists (select from pg_event_trigger where evtname = 'm23_follow_ddl' and evtenabled <> 'D')) e (ok)
$$;

-- Whether a restore can silence triggers.
create function m23.doctor_triggers() returns setof m23.finding
language plpgsql volatile as $$
declare
  v_before text := current_setting('session_replication_role');
  v_ok     boolean := m23.silence_triggers();
begin
  perform set_config('session_replication_role', v_before, true) where v_ok;
  return next m23.new_finding('restores', case when v_ok then 'ok' else 'warning' end,
    case when v_ok then 'silent: the application''s triggers do not fire while a restore writes'
         else 'this server does not allow session_replication_role: '
              'tables with triggers of their own cannot be restored in place' end,
    case when not v_ok then 'grant set on parameter session_replication_role to the owner of the schema m23' end);
end $$;

-- Columns that the log does not have in the shape of the table.
create function m23.drifted_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return (select array_agg(c.name) from m23.columns_of(p_table.relid) c
     where not c.generated
       and not exists (select from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                          and f.type_name = m23.logged_type(c)));
end $$;

-- The partitions of a table that were dropped with their rows, as the doctor says it.
create function m23.lost_partitions(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select '; partitions were dropped, whose rows of before cannot come back: '
                 || string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id)
            from m23.removed_partitions r where r.table_id = p_table.id and r.lost);
end $$;

-- Tables that look like a tenant's and are not protected: easy to forget, costly to miss.
create function m23.doctor_unprotected() returns setof m23.finding
language sql stable as $$
  select m23.public_name(c.oid), 'warning', 'not protected, though it has a column "tenant_id"',
         format('select m23.protect_table(%L)', m23.qualified_name(c.oid))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype
     and not a.attisdropped
   where c.relkind = 'r' and n.nspname not in ('m23', 'm23_log', 'm23_staging', 'auth', 'information_schema')
     and n.nspname not like 'pg\_%'
     and not (n.nspname = 'public'
              and c.relname in ('tenant_members', 'backup_jobs', 'restore_logs', 'pitr_snapshots', 'pitr_rollbacks',
                                'dr_plans', 'recovery_tests', 'health_snapshots', 'audit_log'))
     and not exists (select from public.restore_logs r where r.target_schema = n.nspname)
     and not exists (select from m23.protected_tables t where t.relid = c.oid)
$$;

-- Schemas that the application's own code does without while its rows are restored: others could plant something there.
create function m23.doctor_paths() returns setof m23.finding
language sql stable as $$
  select format('search path of %I', pg_get_userbyid(o.relowner)), 'warning',
         format('the schema "%s" is left out of it in backups and restores: %s may create there',
                p.name, p.open),
         format('revoke create on schema %I from %s; else a function of %s that finds something there by name fails',
                p.name, p.open, o.tables)
    from (select c.relowner, string_agg(m23.public_name(c.oid), ', ' order by t.id) as tables
            from m23.protected_tables t join pg_class c on c.oid = t.relid
           where m23.has_own_code(c.oid) group by c.relowner) o,
         m23.path_of_role(o.relowner) p
   where p.open is not null order by 1, p.name
$$;

-- What keeps PostgREST from finding functions: the name of a type is quoted then.
create function m23.doctor_quoting() returns setof m23.finding
language sql stable as $$
  select 'PostgREST', 'problem',
         format('it connects as %I with quote_all_identifiers, and so finds no function that takes bytes: '
                'nothing can be restored from an archive', r.rolname),
         format('alter role %I set quote_all_identifiers = off; notify pgrst', r.rolname)
    from pg_roles r where r.rolname = 'authenticator' and m23.setting_of_role(r.oid, 'quote_all_identifiers') = 'on'
$$;

-- The hooks, and whether each can be called.
create function m23.doctor_hooks() returns setof m23.finding
language sql stable as $$
  select format('hook %I.%I', h.schema_name, h.function_name), case when f.fault is null then 'ok' else 'problem' end,
         coalesce(format('every restore that calls it fails: it %s', f.fault),
                  format('called after a restore changes %s of %s', coalesce(m23.public_name(h.relid), 'any table'),
                         coalesce('tenant ' || h.tenant_id, 'any tenant'))),
         case when f.fault is not null
                then format('make the function, or delete from m23.after_restore_hooks where id = %s', h.id) end
    from m23.after_restore_hooks h,
         lateral (select m23.hook_fault(h.schema_name, h.function_name)) called (fault),
         lateral (select coalesce(called.fault,
                                  case when h.relid is not null and m23.public_name(h.relid) is null
                                       then 'is of a table that was dropped' end)) f (fault)
   order by h.id
$$;

-- The functions that fill columns, and whether each is there.
create function m23.doctor_fills() returns setof m23.finding
language sql stable as $$
  select format('fill of %s.%I', m23.public_name(t.relid), a.attname),
         case when m23.fill_function(f) is null then 'problem' else 'ok' end,
         case when m23.fill_function(f) is null
              then format('the function %I.%I is gone: '
                          'rows that come back get the default of the column, or are refused',
                          f.schema_name, f.function_name)
              else format('%I.%I gives rows that come back without a value one', f.schema_name, f.function_name) end,
         case when m23.fill_function(f) is null
              then format('make the function again, or select m23.set_fill(%L, %L, null)', m23.qualified_name(t.relid),
                          a.attname) end
    from m23.fills f join m23.protected_tables t on t.id = f.table_id
    join pg_attribute a on a.attrelid = t.relid and a.attnum = f.attnum and not a.attisdropped
   order by 1
$$;

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
             where not exists (select from public.tenant_members)
  union all select * from m23.doctor_members()
  union all select 'tables', 'warning', 'no table is protected yet', 'select m23.protect_table(''public.your_table'')'
             where not exists (select from m23.protected_tables)
  union all (select (m23.doctor_table(t)).* from m23.protected_tables t order by t.id)
  union all (select * from m23.doctor_unprotected() order by 1)
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
