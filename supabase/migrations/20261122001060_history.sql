-- History: the log as its tenant may read it, and rows as they were. Old values are for
-- owner, admin and operator only: policies finer than the tenant cannot be applied to them.

-- One table's part of the log, as transaction_logs shows it.
create function m23.history_query(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $q$
  select format($$select l.change_id as id, l.tenant_id,
      coalesce((select c.at from m23.commit_times c where c.xid = l.xid),
               case when current_setting('track_commit_timestamp')::boolean then pg_xact_commit_timestamp(l.xid::xid) end,
               (select min(t.at) from m23.ticks t where pg_visible_in_snapshot(l.xid, t.position))) as created_at,
      l.xid::text as transaction_id, l.actor,
      case l.op when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' when 'o' then 'KEY_FROM' when 'n' then 'KEY_TO'
                when 'l' then 'TENANT_FROM' when 'a' then 'TENANT_TO' end as operation,
      %1$L::text as table_name, (select to_jsonb(m23_k) from (select %2$s) m23_k) as row_key,
      case when l.op in ('U', 'D') then (select to_jsonb(m23_v) from (select %3$s) m23_v) end as old_values
    from %4$s l where l.tenant_id = $1$$,
    m23.public_name(p_table.relid),
    (select string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord) from m23.columns_of(p_table.relid) c where c.key_ord is not null),
    m23.log_images(p_table),
    m23.log_name(p_table.id))
$q$;

create function m23.transaction_log() returns table (id bigint, tenant_id uuid, created_at timestamptz, transaction_id text, actor uuid,
                                                     operation text, table_name text, row_key jsonb, old_values jsonb)
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare
  v_tenant uuid;
  v_table  m23.protected_tables;
begin
  for v_tenant in select m23.caller_tenants(array['owner', 'admin', 'operator']) loop
    for v_table in select t.* from m23.protected_tables t where exists (select from pg_class c where c.oid = t.relid) loop
      return query execute m23.history_query(v_table) using v_tenant;
    end loop;
  end loop;
end $$;

create view public.transaction_logs with (security_invoker = true) as select * from m23.transaction_log();
comment on view public.transaction_logs is
  'Every change of the protected tables: when it was committed, by whom, which row, and its old values. Owner, admin and operator.';
revoke all on public.transaction_logs from anon, authenticated;
grant select on public.transaction_logs to authenticated;

-- A page of the log, newest first, read by its index: for long logs.
create function public.get_transaction_logs(p_tenant_id uuid, p_table text default null, p_before bigint default null, p_limit int default 100)
returns table (id bigint, tenant_id uuid, created_at timestamptz, transaction_id text, actor uuid, operation text, table_name text, row_key jsonb, old_values jsonb)
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_query text;
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  v_query := (select string_agg(format('(select * from (%s) h where $2 is null or h.id < $2 order by h.id desc limit $3)', m23.history_query(t)), ' union all ')
                from m23.protected_tables t
               where exists (select from pg_class c where c.oid = t.relid) and (p_table is null or t.id = (m23.find_table(p_table)).id));
  if v_query is not null then
    return query execute format('select * from (%s) h order by h.id desc limit $3', v_query) using p_tenant_id, p_before, least(greatest(p_limit, 1), 1000);
  end if;
end $$;
comment on function public.get_transaction_logs(uuid, text, bigint, int) is
  'The newest changes, at most p_limit (1,000), older than the change p_before. Owner, admin and operator.';

create function public.get_rows_as_of(p_table text, p_timestamp timestamptz, p_after jsonb default null, p_limit int default 100, p_tenant_id uuid default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set datestyle = 'ISO, YMD' set intervalstyle = 'postgres'
set timezone = 'UTC' set extra_float_digits = 1 set statement_timeout = '60s' as $$
declare
  v_tenant uuid := coalesce(p_tenant_id, m23.caller_tenant());
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_moment m23.moment;
  v_rows   jsonb;
begin
  perform m23.require_role(v_tenant, array['owner', 'admin', 'operator']);
  if v_table.id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the rows cannot be given', array[format('p_table: "%s" is not a protected table', p_table)]);
  end if;
  v_moment := m23.requested_moment(v_tenant, p_timestamp, array[p_table]);
  execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  execute format('select jsonb_agg(m23.double_safe(to_jsonb(m23_x))) from (select * from (%s) r order by %s limit %s) m23_x', m23.as_of_query(v_table, least(greatest(p_limit, 1), 1000)),
                 m23.key_list(v_table.relid, 'r'), least(greatest(p_limit, 1), 1000)) into v_rows
    using v_tenant, v_moment.position, v_moment.at, v_moment.floor,
          (select array_agg(p_after ->> k order by n) from unnest(m23.key_of(v_table.relid)) with ordinality u (k, n) where p_after is not null);
  return coalesce(v_rows, '[]');
end $$;
comment on function public.get_rows_as_of(text, timestamptz, jsonb, int, uuid) is
  'Rows of a protected table as they were committed at p_timestamp, in key order, at most p_limit (1,000), after the row with the key p_after. Owner, admin and operator.';

-- The server forgets commit times when it freezes transactions, 200 million later by default:
-- those still in the log are copied at a quarter of that, many at a time.
create function m23.keep_commit_times() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_table m23.protected_tables;
  v_age   numeric := m23.setting('commit_times_age')::numeric;
  v_to    numeric := pg_snapshot_xmin(pg_current_snapshot())::text::numeric - v_age;
  v_from  numeric := m23.setting('commit_times_kept')::numeric;
  v_kept  bigint := 0;
  v_count bigint;
begin
  if not m23.commit_times_are_native() or v_to <= v_from + v_age / 50 then return 0; end if;
  for v_table in select t.* from m23.protected_tables t where to_regclass(m23.log_name(t.id)) is not null loop
    execute format('insert into m23.commit_times select x.xid, pg_xact_commit_timestamp(x.xid::xid)
        from (select distinct l.xid from %s l where l.xid >= $1 and l.xid < $2) x where pg_xact_commit_timestamp(x.xid::xid) is not null
      on conflict do nothing', m23.log_name(v_table.id)) using v_from::text::xid8, v_to::text::xid8;
    get diagnostics v_count = row_count;
    v_kept := v_kept + v_count;
  end loop;
  update m23.settings set value = v_to::text where name = 'commit_times_kept';
  return v_kept;
end $$;

select m23.open_to('{authenticated, service_role}', 'public.get_transaction_logs(uuid, text, bigint, int)',
  'public.get_rows_as_of(text, timestamptz, jsonb, int, uuid)');
select m23.open_to('{authenticated}', 'm23.transaction_log()');
select m23.close_functions();
