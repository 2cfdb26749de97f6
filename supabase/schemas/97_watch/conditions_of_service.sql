-- What is to be told of the service as a whole.
create function m23.conditions_of_service() returns setof m23.condition
language sql volatile as $$
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
