-- History: the log as its tenant may read it, and rows as they were. Old values are for
-- owner, admin and operator only: policies finer than the tenant cannot be applied to them.

-- What is logged, and what it is called outside.
create function m23.operations() returns table (op "char", name text)
language sql immutable set search_path = '' as $$
  values ('I'::"char", 'INSERT'), ('U', 'UPDATE'), ('D', 'DELETE'), ('o', 'KEY_FROM'), ('n', 'KEY_TO'), ('l', 'TENANT_FROM'), ('a', 'TENANT_TO')
$$;

-- When a change `l` of a log was committed: the time itself where one is recorded, else the first tick that sees it.
create function m23.committed_at() returns text
language sql immutable set search_path = '' as $q$
  select $$coalesce((select c.at from m23.commit_times c where c.xid = l.xid),
               case when current_setting('track_commit_timestamp')::boolean then pg_xact_commit_timestamp(l.xid::xid) end,
               (select t.at from m23.ticks t where pg_snapshot_xmax(t.position) > l.xid and pg_visible_in_snapshot(l.xid, t.position)
                 order by pg_snapshot_xmax(t.position), t.at limit 1))$$
$q$;

-- The names of the columns that an entry `l` of a log does not carry.
create function m23.unchanged_names(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $q$
  select coalesce('case when l.unchanged is null then ''{}''::text[] else array_remove(array['
                    || string_agg(format('case when l.unchanged & %s <> 0 then %L end', b.bits, c.name), ', ' order by c.attnum) || '], null) end', '''{}''::text[]')
    from m23.columns_of(p_table.relid) c, lateral (select m23.column_bits(p_table, c.attnum)) b (bits) where b.bits <> 0
$q$;

-- An entry of the log, as its tenant reads it.
create type m23.log_entry as (
  id bigint, tenant_id uuid, created_at timestamptz, transaction_id text, actor uuid, operation text, table_name text,
  row_key jsonb, old_values jsonb, unchanged_columns text[]
);

-- Which entries of the log: null for all.
create type m23.log_filter as (
  first xid8, beyond xid8, before_xid xid8, before_id numeric, op "char", actor uuid, since timestamptz,
  until timestamptz, most int
);

-- One table's entries of the log, p_log, under a filter, $2. p_shown: values that do not fit their columns any more as
-- they were logged.
create function m23.history_query(p_table m23.protected_tables, p_log text, p_shown boolean, p_is_page boolean) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$select (l.change_id - '0/0')::bigint, l.tenant_id, {at}, l.xid::text, l.actor,
      case l.op {operations} end, {name}::text,
      (select to_jsonb(m23_k) from (select {key}) m23_k),
      case when l.op in ('U', 'D') then (select to_jsonb(m23_v) from (select {images}) m23_v) - u.names end,
      case when u.names <> '{}' then u.names end
    from {log} l, lateral (select {unchanged}) u (names) where l.tenant_id = $1 and (l.op <> 'a' or l.xid >= {pruned}){page}$sql$,
    'at', m23.committed_at(),
    'operations', (select string_agg(format('when %L then %L', o.op, o.name), ' ') from m23.operations() o),
    'name', quote_literal(m23.public_name(p_table.relid)),
    'key', coalesce((select string_agg(format('%s as %I', m23.log_value(p_table, c, p_shown), c.name), ', ' order by c.key_ord)
                       from m23.columns_of(p_table.relid, p_of_key => true) c), ''),
    'images', m23.log_images(p_table, p_shown), 'log', p_log, 'unchanged', m23.unchanged_names(p_table),
    'pruned', quote_literal(p_table.pruned_below),
    'page', case when p_is_page then m23.fill($sql$
       and (($2).first is null or l.xid >= ($2).first) and (($2).beyond is null or l.xid < ($2).beyond)
       and (($2).before_xid is null or (l.xid, l.change_id) < (($2).before_xid, '0/0'::pg_lsn + ($2).before_id))
       and (($2).op is null or l.op = ($2).op) and (($2).actor is null or l.actor = ($2).actor)
       and (($2).since is null or {at} >= ($2).since) and (($2).until is null or {at} < ($2).until)
     order by l.xid desc, l.change_id desc limit ($2).most$sql$, 'at', m23.committed_at()) else '' end);
end $outer$;

create function m23.history_rows(p_table m23.protected_tables, p_tenant uuid, p_filter m23.log_filter, p_shown boolean)
returns setof m23.log_entry
language plpgsql stable set search_path = '' as $$
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
create function m23.history_of(p_table m23.protected_tables, p_tenant uuid, p_filter m23.log_filter)
returns setof m23.log_entry
language plpgsql stable set search_path = '' as $$
begin
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, false);
exception when others then
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, true);
end $$;

-- A page of it. What it has opened is let go of, for there may be hundreds of tables: whatever is taken in a block that
-- fails is.
create function m23.history_page(p_table m23.protected_tables, p_tenant uuid, p_filter m23.log_filter)
returns setof m23.log_entry
language plpgsql stable set search_path = '' as $$
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
create function m23.newest_changes(p_tenant uuid) returns setof m23.log_entry
language plpgsql stable set search_path = '' as $$
declare v_newest m23.log_filter;
begin
  v_newest.most := m23.setting('history_rows')::int;
  perform m23.begin_heavy_read(p_tenant, 'log');
  return query
  select h.* from m23.tables_with_entries(null, p_tenant, null) t
   cross join lateral m23.history_page(t, p_tenant, v_newest) h
   order by h.transaction_id::xid8 desc, h.id desc limit v_newest.most;
end $$;

create function m23.transaction_log() returns setof m23.log_entry
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return query
  select h.* from m23.caller_tenants(array['owner', 'admin', 'operator']) c (tenant)
   cross join lateral m23.newest_changes(c.tenant) h
   order by h.transaction_id::xid8 desc, h.id desc;
end $$;

create view public.transaction_logs with (security_invoker = true) as select * from m23.transaction_log();
comment on view public.transaction_logs is
  'The newest changes of the protected tables (10,000; the setting history_rows), newest first: when each was committed, '
  'by whom, which row, and its old values, without long columns that an update left as they were (unchanged_columns). '
  'Owner, admin and operator. get_transaction_logs has them all.';
revoke all on public.transaction_logs from anon, authenticated;
grant select on public.transaction_logs to authenticated;

-- The transactions that can have been committed between two times: from `first` on, for a tick before p_since has seen
-- the end of all that are lower, and below `beyond`, for all from there on began after a tick of p_until or later. That
-- tick's clock was read after its position was taken, so `beyond` is told by one that has seen its transaction end.
create function m23.transactions_between(p_since timestamptz, p_until timestamptz, out first xid8, out beyond xid8)
language sql stable set search_path = '' as $$
  with ticks as not materialized (select t.* from m23.ticks t where t.incarnation = (select m23.present_life()))
  select (select pg_snapshot_xmin(t.position) from ticks t where t.at < p_since order by t.at desc limit 1),
         (select (select pg_snapshot_xmax(later.position) from ticks later
                   where later.at > t.at and pg_snapshot_xmin(later.position) >= pg_snapshot_xmax(t.position) order by later.at limit 1)
            from ticks t where t.at >= p_until order by t.at limit 1)
$$;

-- What is wrong with the filter of a page of the log.
create function m23.log_filter_faults(p_table text, p_operation text, p_before jsonb) returns text[]
language sql stable set search_path = '' as $$
  select array_remove(array[
    case when p_table is not null and (m23.find_table(p_table)).id is null then format('p_table: "%s" is not a protected table', p_table) end,
    case when p_operation not in (select o.name from m23.operations() o)
         then 'p_operation: one of ' || (select string_agg(o.name, ', ') from m23.operations() o) end,
    case when p_before is not null and not coalesce(p_before ->> 'id' ~ '^\d{1,18}$' and p_before ->> 'transaction_id' ~ '^\d{1,18}$', false)
         then 'p_before: the last row of the page before, or its id and transaction_id' end], null)
$$;

-- A page of the log, newest first: transactions by their beginning, the changes of each by their order. So stands the
-- log's index: a page reads a page, and what its filters pass over in the transactions that they leave.
create function public.get_transaction_logs(p_tenant_id uuid, p_table text default null, p_operation text default null, p_actor uuid default null,
  p_since timestamptz default null, p_until timestamptz default null, p_before jsonb default null, p_limit int default 100)
returns table (id bigint, tenant_id uuid, created_at timestamptz, transaction_id text, actor uuid, operation text, table_name text, row_key jsonb, old_values jsonb, unchanged_columns text[])
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[] := m23.log_filter_faults(p_table, p_operation, p_before);
  v_bounds record;
  v_filter m23.log_filter;
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the changes cannot be listed', v_faults);
  end if;
  v_bounds := m23.transactions_between(p_since, p_until);
  v_filter := row(v_bounds.first, v_bounds.beyond, p_before ->> 'transaction_id', p_before ->> 'id',
                  (select o.op from m23.operations() o where o.name = p_operation), p_actor, p_since, p_until,
                  least(greatest(p_limit, 1), 1000))::m23.log_filter;
  return query
  select h.*
    from m23.tables_with_entries(case when p_table is not null then array[p_table] end, p_tenant_id, v_filter.first) t
    cross join lateral m23.history_page(t, p_tenant_id, v_filter) h
   order by h.transaction_id::xid8 desc, h.id desc limit v_filter.most;
end $$;
comment on function public.get_transaction_logs(uuid, text, text, uuid, timestamptz, timestamptz, jsonb, int) is
  'The newest changes, at most p_limit (1,000): of a table, of one operation, by one user, committed from p_since on and before p_until, older than the row p_before. Owner, admin and operator.';

create function public.get_rows_as_of(p_table text, p_timestamp timestamptz, p_after jsonb default null, p_limit int default 100, p_tenant_id uuid default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as $$
declare
  v_tenant uuid := coalesce(p_tenant_id, m23.caller_tenant());
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_limit  int := least(greatest(p_limit, 1), 1000);
  v_moment m23.moment;
  v_after  text[];
  v_path   text;
  v_query  text;
  v_rows   jsonb;
begin
  perform m23.require_role(v_tenant, array['owner', 'admin', 'operator']);
  perform m23.begin_heavy_read(v_tenant, 'rows');
  if v_table.id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the rows cannot be given', array[format('p_table: "%s" is not a protected table', p_table)]);
  end if;
  v_moment := m23.requested_moment(v_tenant, p_timestamp, array[p_table]);
  execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  v_after := (select array_agg(p_after ->> k order by n) from unnest(m23.key_of(v_table.relid)) with ordinality u (k, n)
               where p_after is not null);
  v_query := format('select pg_catalog.jsonb_agg(m23.double_safe(pg_catalog.to_jsonb(m23_x))) from (
      select * from (%s) r order by %s limit %s) m23_x',
    m23.as_of_query(v_table, m23.log_of(v_table.id, v_tenant, v_moment.floor), v_limit),
    m23.key_list(v_table.relid, 'r'), v_limit);
  v_path := m23.path_of(v_table.relid);
  perform set_config('search_path', v_path, true);
  execute v_query into v_rows using v_tenant, v_moment, v_after;
  return coalesce(v_rows, '[]');
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(select m23.unfit_columns(m23.target_of(v_table, v_moment), v_tenant)));
  raise;
end $$;
comment on function public.get_rows_as_of(text, timestamptz, jsonb, int, uuid) is
  'Rows of a protected table as they were committed at p_timestamp, in key order, at most p_limit (1,000), after the row with the key p_after. Owner, admin and operator.';

-- The transactions of a part of a log within bounds. It is let go of again.
create function m23.transactions_in(p_part m23.log_parts, p_from xid8, p_to xid8) returns xid8[]
language plpgsql volatile set search_path = '' as $$
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

-- The server forgets commit times when it freezes transactions, 200 million later by default:
-- those still in the log are copied at a quarter of that, many at a time.
create function m23.keep_commit_times() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_part  m23.log_parts;
  v_xids  xid8[];
  v_age   numeric := m23.setting('commit_times_age')::numeric;
  v_to    numeric := pg_snapshot_xmin(pg_current_snapshot())::text::numeric - v_age;
  v_from  numeric := m23.setting('commit_times_kept')::numeric;
  v_kept  bigint := 0;
  v_count bigint;
begin
  if not m23.commit_times_are_native() or v_to <= v_from + v_age / 50 then return 0; end if;
  for v_part in select p.* from m23.log_parts p
                 where not p.sealed or m23.part_reaches(p.table_id, p.part, v_from::text::xid8) loop
    v_xids := m23.transactions_in(v_part, v_from::text::xid8, v_to::text::xid8);
    insert into m23.commit_times
      select x, pg_xact_commit_timestamp(x::xid) from unnest(v_xids) x where pg_xact_commit_timestamp(x::xid) is not null
      on conflict do nothing;
    get diagnostics v_count = row_count;
    v_kept := v_kept + v_count;
  end loop;
  update m23.settings set value = v_to::text where name = 'commit_times_kept';
  return v_kept;
end $$;

select m23.open_to('{authenticated, service_role}', 'public.get_transaction_logs(uuid, text, text, uuid, timestamptz, timestamptz, jsonb, int)',
  'public.get_rows_as_of(text, timestamptz, jsonb, int, uuid)');
select m23.open_to('{authenticated}', 'm23.transaction_log()');
select m23.pin_text('m23.transaction_log()');
select m23.close_functions();
