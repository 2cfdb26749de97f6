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

-- The parts of logs that have grown since they were last searched, the longest unsearched first.
create function m23.grown_parts() returns setof m23.grown_part
language sql volatile rows 10 as $$
  select t, p.part, c.relid, i.inserted, l
    from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
    cross join lateral (select to_regclass(m23.log_name(p.table_id) || '_' || p.part)::oid) c (relid)
    cross join lateral (select pg_stat_get_tuples_inserted(c.relid)) i (inserted)
    left join m23.delete_looks l on l.table_id = p.table_id and l.part = p.part and l.incarnation = t.incarnation
   where c.relid is not null and t.suspended is null and m23.tells_tenants(t)
     and t.incarnation = (select m23.incarnation())
     and (l.inserted is distinct from i.inserted or not current_setting('track_counts')::boolean)
   order by l.seen_at nulls first, p.table_id, p.part
$$;

-- Whether so many deleted rows are more than the setting says of those that a tenant had. What is there now is counted
-- as far as it matters.
create function m23.is_mass(p_table m23.protected_tables, p_tenant text, p_gone bigint) returns boolean
language plpgsql stable as $$
declare
  v_percent numeric := m23.setting('mass_delete_percent')::numeric;
  v_enough  bigint := ceil(p_gone * (100 - v_percent) / greatest(v_percent, 0.001));
  v_left    bigint;
begin
  if p_gone <= 100 then return false; end if;
  execute m23.fill('select count(*) from (select from {table} r where {is_its} limit $2) there',
      'table', m23.qualified_name(p_table.relid), 'is_its', m23.belongs_to(p_table, 'r', '$1'))
    into v_left using p_tenant, v_enough;
  return v_left < v_enough;
end $$;

-- The last moment before a transaction, as callers write it: where commit times are native the microsecond before its
-- own, else the last tick that does not see it.
create function m23.moment_before(p_xid xid8, p_at timestamptz) returns text
language sql stable as $$
  select m23.iso(case when m23.commit_times_are_native() then p_at - interval '1 microsecond'
                      else (select max(k.at) from m23.ticks k where k.incarnation = (select m23.present_life())
                               and not pg_visible_in_snapshot(p_xid, k.position)) end)
$$;

-- A position of a minute before the last look, or earlier: a minute may lie across two looks.
create function m23.look_from(p_look m23.delete_looks) returns pg_snapshot
language sql stable as $$
  select coalesce((select k.position from m23.ticks k
                    where k.incarnation = p_look.incarnation and k.at <= p_look.seen_at - interval '1 minute'
                    order by k.at desc limit 1), '1:1:')
$$;

-- Notes up to where a part of a log has been searched.
create function m23.note_look(p_part m23.grown_part, p_now pg_snapshot) returns void
language sql volatile as $$
  insert into m23.delete_looks (table_id, part, incarnation, seen, inserted)
    values ((p_part.tbl).id, p_part.part, m23.incarnation(), p_now, p_part.inserted)
    on conflict (table_id, part) do update
      set incarnation = excluded.incarnation, seen = excluded.seen, seen_at = excluded.seen_at,
          inserted = excluded.inserted
$$;
