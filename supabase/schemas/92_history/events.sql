-- What has happened to a tenant's data beside its own changes: for the axis of a history.

create type m23.event as (at timestamptz, kind text, id text, summary text);

-- The records of a tenant, as events.
create function m23.recorded_events(p_tenant text, p_since timestamptz, p_until timestamptz) returns setof m23.event
language plpgsql stable as $$
begin
  return query
  select j.created_at, 'backup', j.id::text, format('%s backup "%s": %s', j.job_type, j.backup_name, j.status)
    from public.backup_jobs j where j.tenant_id = p_tenant and j.created_at >= p_since and j.created_at < p_until
  union all
  select s.created_at, 'snapshot', s.id::text,
         format('%s snapshot "%s": %s', s.snapshot_type, s.snapshot_name, s.status)
    from public.pitr_snapshots s where s.tenant_id = p_tenant and s.created_at >= p_since and s.created_at < p_until
  union all
  select r.created_at, 'restore', r.id::text,
         concat(case r.restore_type when 'pitr' then 'restore to ' || m23.iso(r.target_timestamp)
                                    else 'restore of a backup' end, ': ', r.status, m23.rows_told(r.rows_restored))
    from public.restore_logs r where r.tenant_id = p_tenant and r.created_at >= p_since and r.created_at < p_until
  union all
  select b.created_at, 'rollback', b.id::text, concat('rollback: ', b.status, m23.rows_told(b.rows_restored))
    from public.pitr_rollbacks b where b.tenant_id = p_tenant and b.created_at >= p_since and b.created_at < p_until
  union all
  select t.created_at, 'test', t.id::text, format('recovery test "%s": %s', t.test_name, t.status)
    from public.recovery_tests t where t.tenant_id = p_tenant and t.created_at >= p_since and t.created_at < p_until;
end $$;

-- `, 12 rows`; nothing where it is not known.
create function m23.rows_told(p_rows bigint) returns text
language sql immutable as $$
  select format(', %s %s', p_rows, case p_rows when 1 then 'row' else 'rows' end) where p_rows is not null
$$;

-- Columns that were added, retyped or dropped since the present history of a table began.
create function m23.column_events() returns setof m23.event
language plpgsql stable as $$
begin
  return query
  select m23.time_of(c.xid), 'schema_change', c.xid::text,
         format('%s: column %s %s', m23.public_name(t.relid), f.column_name, c.what)
    from m23.log_columns f join m23.protected_tables t on t.id = f.table_id join pg_class r on r.oid = t.relid
   cross join lateral (
     select f.since_xid, case when f.name = 'c' || f.attnum then 'was added'
                              else format('is %s now', f.column_type) end where f.since > '0/0'
     union all
     select f.until_xid, 'was dropped' where f.until_xid is not null and not exists (
       select from m23.log_columns l where l.table_id = f.table_id and l.attnum = f.attnum and l.until_xid is null))
     c (xid, what);
end $$;

-- The events of a tenant between two times, newest first, at most a thousand.
create function m23.events(p_tenant text, p_since timestamptz, p_until timestamptz) returns setof m23.event
language plpgsql volatile as $$
begin
  return query
  select e.* from (
    select * from m23.recorded_events(p_tenant, p_since, p_until)
    union all
    select * from m23.column_events()
    union all
    select g.until, 'gap', null::text, format('%s: nothing before is known: %s', m23.public_name(t.relid), g.reason)
      from m23.protected_tables t join pg_class c on c.oid = t.relid cross join lateral m23.gaps_of(t, p_tenant) g) e
   where e.at >= p_since and e.at < p_until
   order by e.at desc, e.kind, e.id limit 1000;
end $$;
