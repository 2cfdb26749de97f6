-- Mass deletes: whether a transaction or a minute of a tenant's has deleted much of a table. It is read from the log,
-- once a minute and apart from capture, of the parts that have grown since.

insert into m23.settings (name, value, about) values
  ('mass_delete_percent', '30', 'what share of a table a tenant''s transaction or minute has to delete to be told');

-- What was looked at: every transaction that `seen` sees.
create table m23.delete_looks (
  table_id    int not null references m23.protected_tables (id) on delete cascade,
  part        int not null,
  incarnation uuid not null,
  seen        pg_snapshot not null,
  seen_at     timestamptz not null default clock_timestamp(),
  inserted    bigint not null,  -- the server's count of rows that were ever logged there
  primary key (table_id, part)
);
select m23.close_table('m23.delete_looks');
comment on table m23.delete_looks is 'How far each part of a log was searched for mass deletes.';

-- A part that has grown, or is new. Where the server counts no rows, each may have.
create type m23.grown_part as (tbl m23.protected_tables, part int, relid oid, inserted bigint, look m23.delete_looks);

create function m23.grown_parts() returns setof m23.grown_part
language sql volatile rows 10 set search_path = '' as $$
  select t, p.part, c.relid, i.inserted, l
    from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
    cross join lateral (select to_regclass(m23.log_name(p.table_id) || '_' || p.part)::oid) c (relid)
    cross join lateral (select pg_stat_get_tuples_inserted(c.relid)) i (inserted)
    left join m23.delete_looks l on l.table_id = p.table_id and l.part = p.part and l.incarnation = t.incarnation
   where c.relid is not null and t.suspended is null and m23.tenant_column(t) is not null
     and t.incarnation = (select m23.incarnation())
     and (l.inserted is distinct from i.inserted or not current_setting('track_counts')::boolean)
   order by l.seen_at nulls first, p.table_id, p.part
$$;

-- The tenants' transactions with deletes since `before` ($1), and what each minute of them came to: one row a tenant,
-- of the minute with most, if it ends with a transaction that was not looked at ($2) and is done by now ($3). What a
-- restore of ours deletes is asked for, and can be undone.
create function m23.deletes_query(p_part text) returns text
language sql stable set search_path = '' as $outer$
  select m23.fill($sql$
    with recursive tenant (id) as (
      (select l.tenant_id from {part} l order by l.tenant_id limit 1)
      union all
      select (select l.tenant_id from {part} l where l.tenant_id > t.id order by l.tenant_id limit 1)
        from tenant t where t.id is not null),
    deleted as (
      select t.id as tenant_id, l.xid, coalesce({at}, clock_timestamp()) as at, l.rows
        from tenant t cross join lateral (
          select l.xid, count(*) as rows from {part} l
           where l.tenant_id = t.id and l.op = 'D' and l.xid >= pg_snapshot_xmin($1)
             and not pg_visible_in_snapshot(l.xid, $1) and pg_visible_in_snapshot(l.xid, $3) group by l.xid) l
       where not exists (
         select from public.pitr_snapshots s
          where s.tenant_id = t.id and s.snapshot_type = 'pre_restore'
            and s.snapshot_data ->> 'transaction' = l.xid::text)),
    minute as (
      select d.tenant_id, d.xid, d.at as until, sum(d.rows) over last as rows,
             first_value(d.xid) over last as first_xid, first_value(d.at) over last as since
        from deleted d
      window last as (partition by d.tenant_id order by d.at
                      range between interval '1 minute' preceding and current row))
    select distinct on (tenant_id) tenant_id, first_xid, since, until from minute
     where not pg_visible_in_snapshot(xid, $2) and rows > 100 order by tenant_id, rows desc, until$sql$,
    'part', p_part, 'at', m23.committed_at())
$outer$;

-- How many of a tenant's keys ($1) were deleted since a time ($2) and have not come back by now ($3). No transaction
-- below $4 matters.
create function m23.gone_query(p_table m23.protected_tables, p_part text) returns text
language sql stable set search_path = '' as $outer$
  select m23.fill($sql$
    select count(*) from (
      select from {part} l
       where l.tenant_id = $1 and l.xid >= $4 and pg_visible_in_snapshot(l.xid, $3)
         and coalesce({at}, clock_timestamp()) >= $2
       group by {key}
      having bool_or(l.op = 'D')
         and sum(case when l.op in ('I', 'n', 'a') then 1 when l.op in ('D', 'o', 'l') then -1 else 0 end) < 0
      ) gone$sql$,
    'part', p_part, 'at', m23.committed_at(),
    'key', (select string_agg('l.' || m23.log_field(p_table, c.attnum), ', ' order by c.key_ord)
              from m23.columns_of(p_table.relid, p_of_key => true) c))
$outer$;

-- Whether so many deleted rows are more than the setting says of those that a tenant had. What is there now is counted
-- as far as it matters.
create function m23.is_mass(p_table m23.protected_tables, p_tenant uuid, p_gone bigint) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  v_percent numeric := m23.setting('mass_delete_percent')::numeric;
  v_enough  bigint := ceil(p_gone * (100 - v_percent) / greatest(v_percent, 0.001));
  v_left    bigint;
begin
  if p_gone <= 100 then return false; end if;
  execute m23.fill('select count(*) from (select from {table} r where r.{tenant} = $1 limit $2) there',
      'table', m23.qualified_name(p_table.relid), 'tenant', quote_ident(m23.tenant_column(p_table)))
    into v_left using p_tenant, v_enough;
  return v_left < v_enough;
end $$;

-- The last moment before a transaction, as callers write it: where commit times are native the microsecond before its
-- own, else the last tick that does not see it.
create function m23.moment_before(p_xid xid8, p_at timestamptz) returns text
language sql stable set search_path = '' as $$
  select m23.iso(case when m23.commit_times_are_native() then p_at - interval '1 microsecond'
                      else (select max(k.at) from m23.ticks k where k.incarnation = (select m23.present_life())
                               and not pg_visible_in_snapshot(p_xid, k.position)) end)
$$;

-- What was told already is not told again, unless it was a small part of this.
create function m23.note_mass_delete(
  p_part m23.grown_part, p_tenant uuid, p_first xid8, p_since timestamptz, p_until timestamptz, p_rows bigint)
returns void
language sql volatile set search_path = '' as $$
  insert into m23.alerts (kind, subject, tenant_id, is_event, ended_at, summary, detail)
    select 'mass_delete', about.subject, p_tenant, true, clock_timestamp(),
           format('%s rows of %s were deleted within a minute', p_rows, about.name),
           jsonb_build_object('table', about.name, 'rowsDeleted', p_rows, 'transactionId', p_first::text,
                              'since', m23.iso(p_since), 'until', m23.iso(p_until),
                              'targetTimestamp', m23.moment_before(p_first, p_since))
      from (select concat_ws('/', (p_part.tbl).id, p_tenant), m23.public_name((p_part.tbl).relid)) about (subject, name)
     where not exists (
       select from m23.alerts a
        where a.kind = 'mass_delete' and a.subject = about.subject and a.detail ->> 'until' >= m23.iso(p_since)
          and (a.detail ->> 'rowsDeleted')::bigint * 2 >= p_rows)
$$;

-- A position of a minute before the last look, or earlier: a minute may lie across two looks.
create function m23.look_from(p_look m23.delete_looks) returns pg_snapshot
language sql stable set search_path = '' as $$
  select coalesce((select k.position from m23.ticks k
                    where k.incarnation = p_look.incarnation and k.at <= p_look.seen_at - interval '1 minute'
                    order by k.at desc limit 1), '1:1:')
$$;

-- It waits for no lock: what somebody alters meanwhile is searched the next time. What takes longer than the call may, as
-- the log of a long outage could, is passed over: it would keep all others from being searched.
create function m23.search_part(p_part m23.grown_part, p_now pg_snapshot) returns boolean
language plpgsql volatile set search_path = '' set lock_timeout = '200ms' as $$
declare
  v_log    text := p_part.relid::regclass::text;
  v_from   pg_snapshot := m23.look_from(p_part.look);
  v_minute record;
  v_gone   bigint;
begin
  for v_minute in execute m23.deletes_query(v_log) using v_from, coalesce((p_part.look).seen, '1:1:'), p_now loop
    execute m23.gone_query(p_part.tbl, v_log)
      into v_gone using v_minute.tenant_id, v_minute.since, p_now, pg_snapshot_xmin(v_from);
    if m23.is_mass(p_part.tbl, v_minute.tenant_id, v_gone) then
      perform m23.note_mass_delete(p_part, v_minute.tenant_id, v_minute.first_xid, v_minute.since, v_minute.until,
                                   v_gone);
    end if;
  end loop;
  return true;
exception when undefined_table or undefined_column or lock_not_available or query_canceled then
  raise log 'm23: a log was not searched for mass deletes: % (%)', sqlerrm, sqlstate;
  return sqlstate = '57014';
end $$;

create function m23.note_look(p_part m23.grown_part, p_now pg_snapshot) returns void
language sql volatile set search_path = '' as $$
  insert into m23.delete_looks (table_id, part, incarnation, seen, inserted)
    values ((p_part.tbl).id, p_part.part, m23.incarnation(), p_now, p_part.inserted)
    on conflict (table_id, part) do update
      set incarnation = excluded.incarnation, seen = excluded.seen, seen_at = excluded.seen_at,
          inserted = excluded.inserted
$$;

-- Searches what has grown, what waits longest first, and begins no part after some seconds: the rest comes next time.
-- The very first look only notes where the logs end.
create function m23.search_deletes(p_budget interval default '5 seconds') returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_until timestamptz := clock_timestamp() + p_budget;
  v_first boolean := not exists (select from m23.delete_looks l where l.incarnation = (select m23.incarnation()));
  v_part  m23.grown_part;
  v_now   pg_snapshot;
  v_count int := 0;
begin
  for v_part in select * from m23.grown_parts() loop
    exit when clock_timestamp() > v_until and not v_first;
    v_now := m23.current_position();
    if v_first or m23.search_part(v_part, v_now) then
      perform m23.note_look(v_part, v_now);
      v_count := v_count + 1;
    end if;
  end loop;
  return v_count;
end $$;
comment on function m23.search_deletes(interval) is
  'For the clock: looks for mass deletes in what was logged since the last time.';

select m23.close_functions();
