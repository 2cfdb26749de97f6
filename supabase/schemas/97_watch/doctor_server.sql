-- What the doctor says of the server and its settings.

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
