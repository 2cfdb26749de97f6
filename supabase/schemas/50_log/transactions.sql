-- History: the log as its tenant may read it, and rows as they were. Old values are for
-- owner, admin and operator only: policies finer than the tenant cannot be applied to them.

-- When a change `l` of a log was committed: the time itself where one is recorded, else the first tick that sees it.
create function m23.committed_at() returns text
language sql immutable as $q$
  select $$coalesce((select c.at from m23.commit_times c where c.xid = l.xid),
               case when current_setting('track_commit_timestamp')::boolean
                    then pg_xact_commit_timestamp(l.xid::xid) end,
               (select t.at from m23.ticks t
                 where pg_snapshot_xmax(t.position) > l.xid and pg_visible_in_snapshot(l.xid, t.position)
                 order by pg_snapshot_xmax(t.position), t.at limit 1))$$
$q$;

-- The names of the columns that an entry `l` of a log does not carry.
create function m23.unchanged_names(p_table m23.protected_tables) returns text
language sql stable as $q$
  select coalesce('case when l.unchanged is null then ''{}''::text[] else array_remove(array['
                    || string_agg(format('case when l.unchanged & %s <> 0 then %L end', b.bits, c.name),
                                  ', ' order by c.attnum) || '], null) end', '''{}''::text[]')
    from m23.columns_of(p_table.relid) c, lateral (select m23.column_bits(p_table, c.attnum)) b (bits) where b.bits <> 0
$q$;

-- An entry of the log, as its tenant reads it.
create type m23.log_entry as (
  id bigint, tenant_id text, created_at timestamptz, transaction_id text, actor uuid, operation text, table_name text,
  row_key jsonb, old_values jsonb, unchanged_columns text[]
);

-- Which entries of the log: null for all.
create type m23.log_filter as (
  first xid8, beyond xid8, before_xid xid8, before_id numeric, op "char", actor uuid, since timestamptz,
  until timestamptz, most int
);

-- A table's entries under a filter. p_shown: as m23.history_query has it.
create function m23.history_rows(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter, p_shown boolean)
returns setof m23.log_entry
language plpgsql stable as $$
declare
  v_query text := m23.history_query(p_table, m23.log_of(p_table.id, p_tenant, p_filter.first), p_shown,
                                    (p_filter).most is not null);
  v_path  text := m23.path_of(p_table.relid);
begin
  perform set_config('search_path', v_path, true);
  return query execute v_query using p_tenant, p_filter;
end $$;

-- The same, whatever has become of the table's types since: a value that does not fit its column any more is told as it
-- was logged, at the price of a look at each. Nothing of the rows before a failure is left: they are given when all are
-- there.
create function m23.history_of(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter)
returns setof m23.log_entry
language plpgsql stable as $$
begin
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, false);
exception when others then
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, true);
end $$;

-- A page of it. What it has opened is let go of, for there may be hundreds of tables: whatever is taken in a block that
-- fails is.
create function m23.history_page(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter)
returns setof m23.log_entry
language plpgsql stable as $$
declare v_page m23.log_entry[];
begin
  begin
    v_page := array(select h from m23.history_of(p_table, p_tenant, p_filter) h);
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return query select p.* from unnest(v_page) p;
end $$;

-- A tenant's newest changes, by their order in the log.
create function m23.newest_changes(p_tenant text) returns setof m23.log_entry
language plpgsql stable as $$
declare v_newest m23.log_filter;
begin
  v_newest.most := m23.setting('history_rows')::int;
  perform m23.begin_heavy_read(p_tenant, 'log');
  return query
  select h.* from m23.tables_with_entries(null, p_tenant, null) t
   cross join lateral m23.history_page(t, p_tenant, v_newest) h
   order by h.transaction_id::xid8 desc, h.id desc limit v_newest.most;
end $$;

-- The newest changes of the caller's tenants: what the view below shows.
-- open to: authenticated
-- runs under: text settings
create function m23.transaction_log() returns setof m23.log_entry
language plpgsql stable security definer set row_security = off as $$
begin
  return query
  select h.* from m23.caller_tenants(array['owner', 'admin', 'operator']) c (tenant)
   cross join lateral m23.newest_changes(c.tenant) h
   order by h.transaction_id::xid8 desc, h.id desc;
end $$;

create view public.transaction_logs with (security_invoker = true) as select * from m23.transaction_log();
comment on view public.transaction_logs is
  'The newest changes of the protected tables (10,000; the setting history_rows), newest first: when each was '
  'committed, by whom, which row, and its old values, without long columns that an update left as they were '
  '(unchanged_columns). '
  'Owner, admin and operator. get_transaction_logs has them all.';
revoke all on public.transaction_logs from anon, authenticated;
grant select on public.transaction_logs to authenticated;

-- The transactions that can have been committed between two times: from `first` on, for a tick before p_since has seen
-- the end of all that are lower, and below `beyond`, for all from there on began after a tick of p_until or later. That
-- tick's clock was read after its position was taken, so `beyond` is told by one that has seen its transaction end.
create function m23.transactions_between(p_since timestamptz, p_until timestamptz, out first xid8, out beyond xid8)
language sql stable as $$
  with ticks as not materialized (select t.* from m23.ticks t where t.incarnation = (select m23.present_life()))
  select (select pg_snapshot_xmin(t.position) from ticks t where t.at < p_since order by t.at desc limit 1),
         (select (select pg_snapshot_xmax(later.position) from ticks later
                   where later.at > t.at and pg_snapshot_xmin(later.position) >= pg_snapshot_xmax(t.position)
                   order by later.at limit 1)
            from ticks t where t.at >= p_until order by t.at limit 1)
$$;

-- What is wrong with the filter of a page of the log.
create function m23.log_filter_faults(p_table text, p_operation text, p_before jsonb) returns text[]
language sql stable as $$
  select array_remove(array[
    case when p_table is not null and (m23.find_table(p_table)).id is null
         then format('p_table: "%s" is not a protected table', p_table) end,
    case when p_operation not in (select o.name from m23.operations() o)
         then 'p_operation: one of ' || (select string_agg(o.name, ', ') from m23.operations() o) end,
    case when p_before is not null
              and not coalesce(p_before ->> 'id' ~ '^\d{1,18}$' and p_before ->> 'transaction_id' ~ '^\d{1,18}$', false)
         then 'p_before: the last row of the page before, or its id and transaction_id' end], null)
$$;

-- The transactions of a part of a log within bounds. It is let go of again.
create function m23.transactions_in(p_part m23.log_parts, p_from xid8, p_to xid8) returns xid8[]
language plpgsql volatile as $$
declare v_xids xid8[];
begin
  begin
    execute format('select array(select distinct l.xid from %s l where l.xid >= $1 and l.xid < $2)',
                   m23.part_name(p_part.table_id, p_part.part))
      into v_xids using p_from, p_to;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_xids;
end $$;
