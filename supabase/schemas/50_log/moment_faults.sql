-- Why the log cannot answer for a moment: of a table, and of a tenant.

-- Why a table's log cannot answer for a moment; null when it can.
create function m23.moment_fault(p_table m23.protected_tables, p_moment m23.moment) returns text
language plpgsql volatile as $$
begin
  return case
    when p_table.incarnation <> m23.incarnation()
      then format('the history of %s belongs to another life of this database, which was restored or copied since',
                  m23.public_name(p_table.relid))
    when p_moment.position is null or not pg_visible_in_snapshot(p_table.xid, p_moment.position)
         or p_moment.at < m23.history_since(p_table)
      then format('the history of %s begins at %s, after that moment: %s', m23.public_name(p_table.relid),
                  m23.iso(m23.history_since(p_table)), m23.history_reason(p_table))
    when p_moment.floor < p_table.pruned_below
      then format('the history of %s goes back to %s', m23.public_name(p_table.relid), m23.iso(p_table.pruned_at))
    else 'changes of ' || m23.public_name(p_table.relid) || ' may have gone unseen: ' || m23.capture_fault(p_table)
  end;
end $$;

-- m23.moment_fault of tables, where there is one.
create function m23.moment_faults(p_ids int[], p_moment m23.moment) returns table (table_id int, fault text)
language plpgsql volatile rows 1 as $$
declare
  v_life   uuid := m23.incarnation();
  v_native boolean := m23.commit_times_are_native();
  v_sound  int[] := m23.sound_tables(p_ids);
begin
  return query
  select t.id, f.fault
    from m23.protected_tables t cross join lateral (select m23.moment_fault(t, p_moment) as fault offset 0) f
   where t.id = any (p_ids) and f.fault is not null
     and not (t.id = any (v_sound) and t.incarnation = v_life and pg_visible_in_snapshot(t.xid, p_moment.position)
              and (p_moment.at is null or v_native and p_moment.at >= coalesce(
                (select c.at from m23.commit_times c where c.xid = t.xid), pg_xact_commit_timestamp(t.xid::xid),
                t.protected_at))
              and p_moment.floor >= t.pruned_below) is true
   order by t.name;
end $$;

-- Why the logs of tables, as callers name them, cannot answer for a moment: the tables, and the reasons.
create function m23.moment_faults(p_names text[], p_moment m23.moment) returns table (table_id int, fault text)
language plpgsql volatile rows 1 as
$$
begin
  return query select f.* from m23.moment_faults(array(select t.id from m23.tables_named(p_names) t), p_moment) f;
end $$;

-- Tenants whose log was removed, and when: m23.forget_tenant.
create table m23.forgotten (
  tenant_id   text primary key,
  at          timestamptz not null default clock_timestamp(),
  xid         xid8 not null default pg_current_xact_id(),
  incarnation uuid not null references m23.incarnations (id)
);
select m23.close_table('m23.forgotten');
create index forgotten_incarnation on m23.forgotten (incarnation);

-- Why no log can answer for a tenant at a moment; null when it can.
create function m23.tenant_fault(p_tenant text, p_moment m23.moment) returns text
language plpgsql volatile as $$
begin
  return (select format('the history of this tenant begins at %s; what was before has been removed', m23.iso(f.at))
      from m23.forgotten f
     where f.tenant_id = p_tenant and f.incarnation = (select m23.incarnation())
       and (p_moment.position is null or not pg_visible_in_snapshot(f.xid, p_moment.position) or p_moment.at < f.at));
end $$;
