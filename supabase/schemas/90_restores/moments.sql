-- Why a table cannot be gone back with at all; null when it can.
create function m23.present_gap(p_table m23.protected_tables) returns text
language plpgsql volatile as $$
begin
  return case when not exists (select from pg_class c where c.oid = p_table.relid)
                then 'the table was dropped while it was protected; its rows cannot come back'
              when p_table.incarnation <> m23.incarnation()
                then 'the database was restored or copied since the table was protected'
              else m23.capture_fault(p_table) end;
end $$;

-- Moments of which some rows alone are out of reach.
create function m23.partial_gaps(p_table m23.protected_tables, p_tenant text) returns jsonb
language sql volatile as $$
  select coalesce(jsonb_agg(jsonb_build_object('from', m23.history_since(p_table), 'until', r.at, 'partial', true,
           'reason', format('the partition %s was dropped with its rows: they alone cannot come back', r.name))
           order by r.id), '[]')
    from m23.removed_partitions r
   where r.table_id = p_table.id and r.lost and m23.can_concern(r.bounds, p_table, p_tenant)
$$;

-- The earliest moment that a tenant's rows of a table can be gone back to.
create function m23.earliest_moment(p_table m23.protected_tables, p_tenant text) returns timestamptz
language plpgsql volatile as $$
begin
  return greatest(m23.history_since(p_table), p_table.pruned_at,
    (select f.at from m23.forgotten f where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation));
end $$;

-- Each protected table; one that was dropped, unless another has its name by now.
create function m23.recovery_window(p_tenant text)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language sql volatile as $$
  select coalesce(m23.public_name(t.relid), t.name), case when g.gap is null then m23.earliest_moment(t, p_tenant) end,
         case when g.gap is null then clock_timestamp() end,
         case when m23.commit_times_are_native() then 'native' else 'ticks' end,
         (select jsonb_agg(g order by g.until, g."from" nulls first) from m23.gaps_of(t, p_tenant) g)
           || m23.partial_gaps(t, p_tenant)
    from m23.protected_tables t, lateral (select m23.present_gap(t)) g (gap)
   where exists (select from pg_class c where c.oid = t.relid)
      or not exists (select from m23.protected_tables o join pg_class c on c.oid = o.relid where o.name = t.name)
   order by 1
$$;

-- What lies between a time and the tables' common history.
create function m23.reason_before(p_tenant text, p_tables text[], p_at timestamptz) returns text
language sql volatile as $$
  select format(' (%s: %s)', m23.public_name(t.relid), g.reason) from m23.chosen(p_tables) t, m23.gaps_of(t, p_tenant) g
   where g.until > p_at order by g.until desc, g."from" nulls last limit 1
$$;

-- The tables of a restore: as chosen, or all; with includeRelated also those that they are
-- tied to by foreign keys, in either direction, as far as they are protected.
create function m23.chosen_tables(p_tables text[], p_related boolean) returns text[]
language plpgsql stable as $$
begin
  return (with recursive tied as materialized (
      select m23.root_of(k.conrelid) as child, m23.root_of(k.confrelid) as parent from pg_constraint k
       where p_related and k.contype = 'f' and k.conparentid = 0),
    chosen (relid) as (
      select t.relid from m23.chosen(p_tables) t
      union
      select t.relid from chosen c join tied k on c.relid in (k.child, k.parent)
        join m23.protected_tables t on t.relid in (k.child, k.parent))
    select array_agg(n.nspname || '.' || c.relname order by n.nspname, c.relname)
      from chosen join pg_class c on c.oid = chosen.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;

-- Why tables cannot answer for a moment, and their tenant.
create function m23.moment_refusals(p_tenant text, p_moment m23.moment, p_tables text[]) returns text[]
language plpgsql volatile as $$
begin
  return array(select 'targetTimestamp: ' || f.fault from m23.moment_faults(p_tables, p_moment) f)
      || array(select 'targetTimestamp: ' || f from m23.tenant_fault(p_tenant, p_moment) f where f is not null);
end $$;

-- What a caller must know of a moment: with ticks it is the last one before the target; a
-- table that was dropped cannot come back.
create function m23.moment_warnings(p_at timestamptz, p_moment m23.moment, p_chosen text[]) returns text[]
language plpgsql stable as $$
begin
  return case when (p_moment).taken <> p_at
      then array[format('this server records no commit times: the moment taken is %s', m23.iso((p_moment).taken))]
    else '{}' end
    || case when p_chosen is null then array(
      select format('%s was dropped while it was protected; its rows cannot come back', t.name)
        from m23.protected_tables t where not exists (select from pg_class c where c.oid = t.relid) order by t.name)
        || m23.name_warnings(p_at) else '{}' end;
end $$;

-- The tables that a request names, or that a backup names for it; null: all that are protected.
create function m23.named_tables(p_restore jsonb) returns text[]
language plpgsql immutable as $$
begin
  return coalesce(m23.list_of(p_restore -> 'tables'),
                  case when p_restore ->> 'baseBackupId' is not null then array[]::text[] end);
end $$;
