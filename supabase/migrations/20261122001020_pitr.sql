-- Point-in-time recovery: the wanted rows come from the log, as of a moment. A preview is
-- the same plan, stopped before the write.

-- How far back ------------------------------------------------------------------------

-- Why a table cannot be gone back with at all; null when it can.
create function m23.present_gap(p_table m23.protected_tables) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return case when not exists (select from pg_class c where c.oid = p_table.relid) then 'the table was dropped while it was protected; its rows cannot come back'
              when p_table.incarnation <> m23.incarnation() then 'the database was restored or copied since the table was protected'
              else m23.capture_fault(p_table) end;
end $$;

-- The moments of a table that cannot be gone back to, and why.
create function m23.gaps_of(p_table m23.protected_tables, p_tenant uuid) returns table ("from" timestamptz, until timestamptz, reason text)
language sql volatile rows 2 set search_path = '' as $$
  with began as (select coalesce((select min(g.since) from m23.gaps g where g.table_id = p_table.id), m23.history_since(p_table)) as at)
  select null::timestamptz, began.at, 'the table was not protected yet' from began
  union all
  select g.since, g.until, g.reason from m23.gaps g where g.table_id = p_table.id
  union all
  select m23.history_since(p_table), p_table.pruned_at, format('the log is kept for %s days', m23.setting('log_days')) where p_table.pruned_at is not null
  union all
  select null, f.at, 'the tenant was forgotten' from m23.forgotten f where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation
  union all
  select m23.history_since(p_table), clock_timestamp(), m23.present_gap(p_table) where m23.present_gap(p_table) is not null
  union all
  select d.protected_at, began.at, 'the table was dropped and made again' from began, m23.protected_tables d
   where d.name = p_table.name and d.protected_at < p_table.protected_at and not exists (select from pg_class c where c.oid = d.relid)
  union all
  select s.since, s.until, 'the clock was set back: these times came twice' from m23.clock_steps s where s.incarnation = p_table.incarnation
$$;

-- Moments of which some rows alone are out of reach.
create function m23.partial_gaps(p_table m23.protected_tables, p_tenant uuid) returns jsonb
language sql volatile set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('from', m23.history_since(p_table), 'until', r.at, 'partial', true,
           'reason', format('the partition %s was dropped with its rows: they alone cannot come back', r.name))
           order by r.id), '[]')
    from m23.removed_partitions r
   where r.table_id = p_table.id and r.lost and m23.can_concern(r.bounds, p_table, p_tenant)
$$;

create function m23.earliest_moment(p_table m23.protected_tables, p_tenant uuid) returns timestamptz
language plpgsql volatile set search_path = '' as $$ begin return greatest(m23.history_since(p_table), p_table.pruned_at, (select f.at from m23.forgotten f where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation)); end $$;

-- Each protected table; one that was dropped, unless another has its name by now.
create function m23.recovery_window(p_tenant uuid)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language sql volatile set search_path = '' as $$
  select coalesce(m23.public_name(t.relid), t.name), case when g.gap is null then m23.earliest_moment(t, p_tenant) end, case when g.gap is null then clock_timestamp() end,
         case when m23.commit_times_are_native() then 'native' else 'ticks' end,
         (select jsonb_agg(g order by g.until, g."from" nulls first) from m23.gaps_of(t, p_tenant) g)
           || m23.partial_gaps(t, p_tenant)
    from m23.protected_tables t, lateral (select m23.present_gap(t)) g (gap)
   where exists (select from pg_class c where c.oid = t.relid)
      or not exists (select from m23.protected_tables o join pg_class c on c.oid = o.relid where o.name = t.name)
   order by 1
$$;

-- The windows of some tables, as one.
create function m23.common_window(p_tenant uuid, p_tables text[], out earliest timestamptz, out closed text)
language plpgsql volatile set search_path = '' as $$
declare
  v_ids    int[] := array(select t.id from m23.chosen(p_tables) t);
  v_life   uuid := m23.incarnation();
  v_native boolean := m23.commit_times_are_native();
  v_sound  int[] := m23.sound_tables(v_ids);
begin
  -- Of a table that nothing has been done to, no more is asked than when its history began.
  select greatest(max(case when v_native and t.id = any (v_sound) and t.incarnation = v_life
                           then greatest(m23.began_at(t), t.pruned_at)
                           else m23.earliest_moment(t, p_tenant) end),
                  (select f.at from m23.forgotten f where f.tenant_id = p_tenant and f.incarnation = v_life and v_ids <> '{}')),
         min(case when t.id <> all (v_sound) or t.incarnation <> v_life
                  then m23.public_name(t.relid) || ': ' || m23.present_gap(t) end)
    into earliest, closed
    from m23.protected_tables t where t.id = any (v_ids);
end $$;

-- What lies between a time and the tables' common history.
create function m23.reason_before(p_tenant uuid, p_tables text[], p_at timestamptz) returns text
language sql volatile set search_path = '' as $$
  select format(' (%s: %s)', m23.public_name(t.relid), g.reason) from m23.chosen(p_tables) t, m23.gaps_of(t, p_tenant) g
   where g.until > p_at order by g.until desc, g."from" nulls last limit 1
$$;

-- Why a tenant's tables cannot be gone back with to a time; empty when they can. A backup that is
-- named may reach further back than the log.
create function m23.target_faults(p_tenant uuid, p_at timestamptz, p_tables text[], p_base uuid default null) returns text[]
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_window record;
  v_range  text;
  v_fault  text;
begin
  if p_at is null then return '{}'; end if;
  select * into v_window from m23.common_window(p_tenant, p_tables);
  v_range := format('it can be from %s to %s', m23.iso(v_window.earliest), m23.iso(clock_timestamp()));
  v_fault := case
    when p_at > clock_timestamp() then concat('is in the future; it can be ', 'from ' || m23.iso(v_window.earliest) || ' ', 'to ', m23.iso(clock_timestamp()))
    when p_base is null and v_window.closed is not null then format('cannot be gone back to (%s)', v_window.closed)
    when p_base is null and v_window.earliest is null then 'cannot be gone back to: no table is protected'
    when p_base is null and p_at < v_window.earliest then 'is before the history begins' || m23.reason_before(p_tenant, p_tables, p_at) || '; ' || v_range
    else m23.clock_fault(p_at) || '; ' || v_range || ', but for these' end;
  return case when v_fault is null then '{}' else array['targetTimestamp: ' || v_fault] end;
end $$;

-- The tables of a restore: as chosen, or all; with includeRelated also those that they are
-- tied to by foreign keys, in either direction, as far as they are protected.
create function m23.chosen_tables(p_tables text[], p_related boolean) returns text[]
language plpgsql stable set search_path = '' as $$
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
create function m23.moment_refusals(p_tenant uuid, p_moment m23.moment, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return array(select 'targetTimestamp: ' || f.fault from m23.moment_faults(p_tables, p_moment) f)
      || array(select 'targetTimestamp: ' || f from m23.tenant_fault(p_tenant, p_moment) f where f is not null);
end $$;

-- The moment of a request, for tables that can answer for it. What can be gone back to is looked up where they cannot.
create function m23.requested_moment(p_tenant uuid, p_at timestamptz, p_tables text[]) returns m23.moment
language plpgsql volatile set search_path = '' as $$
declare
  v_faults text[];
  v_moment m23.moment;
begin
  if p_tables <> '{}' and p_at <= clock_timestamp() and m23.clock_fault(p_at) is null then
    v_moment := m23.moment_at(p_at);
    if m23.moment_refusals(p_tenant, v_moment, p_tables) = '{}' then return v_moment; end if;
  end if;
  v_faults := m23.target_faults(p_tenant, p_at, p_tables);
  if v_faults = '{}' then
    v_moment := m23.moment_at(p_at);
    v_faults := m23.moment_refusals(p_tenant, v_moment, p_tables);
  end if;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', v_faults);
  end if;
  return v_moment;
end $$;

-- Tables that are not protected and have the name that a protected one had at a time, as after an exchange for a copy.
create function m23.name_warnings(p_at timestamptz) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(
    select format('%1$s was another table then, which is called %2$s now; '
                  'the present %1$s is not protected, and is left as it is', f.name, m23.public_name(t.relid))
      from m23.former_names f join m23.protected_tables t on t.id = f.table_id and f.until > p_at
      join pg_class mine on mine.oid = t.relid  -- dropped ones are told of by themselves
      join (pg_class c join pg_namespace n on n.oid = c.relnamespace)
        on c.relkind in ('r', 'p')
       and case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end = f.name
     where not exists (select from m23.protected_tables o where o.relid = c.oid)
       and not exists (select from m23.former_names l where l.table_id = t.id and l.until > p_at and l.until < f.until)
     order by f.name);
end $$;

-- What a caller must know of a moment: with ticks it is the last one before the target; a
-- table that was dropped cannot come back.
create function m23.moment_warnings(p_at timestamptz, p_moment m23.moment, p_chosen text[]) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return case when (p_moment).taken <> p_at
      then array[format('this server records no commit times: the moment taken is %s', m23.iso((p_moment).taken))] else '{}' end
    || case when p_chosen is null then array(
      select format('%s was dropped while it was protected; its rows cannot come back', t.name)
        from m23.protected_tables t where not exists (select from pg_class c where c.oid = t.relid) order by t.name)
        || m23.name_warnings(p_at) else '{}' end;
end $$;

-- Restore -----------------------------------------------------------------------------

-- The tables that a request names, or that a backup names for it; null: all that are protected.
create function m23.named_tables(p_restore jsonb) returns text[]
language plpgsql immutable set search_path = '' as $$ begin return coalesce(m23.list_of(p_restore -> 'tables'), case when p_restore ->> 'baseBackupId' is not null then array[]::text[] end); end $$;

-- The work of a restore to a time: from the chain of the backup that is named, as far as that
-- reaches; after its last member from that backup and the log; else from the log.
create function m23.pitr_work(p_tenant uuid, p_restore jsonb) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare
  v_job    uuid := (p_restore ->> 'baseBackupId')::uuid;
  v_dry    boolean := coalesce((p_restore ->> 'dryRun')::boolean, false);
  v_work   m23.restore_work;
  v_tables text[];
  v_parts  text[];  -- what the backup calls them
  v_moment m23.moment;
  v_backup m23.backup_work;
begin
  if v_job is not null then
    v_work := m23.chain_work(p_tenant, p_restore);
    if v_work.work_id is not null then return v_work; end if;
  end if;
  v_tables := m23.chosen_tables(m23.list_of(p_restore -> 'tables'), coalesce((p_restore ->> 'includeRelated')::boolean, false));
  v_moment := m23.requested_moment(p_tenant, (p_restore ->> 'targetTimestamp')::timestamptz, v_tables);
  if v_job is not null then
    v_parts := m23.tables_in_backup(v_job, v_tables);
    select * into v_backup from m23.backup_work where job_id = v_job;
    -- A log that does not know all that has changed since the backup answers alone.
    if v_backup.incarnation <> m23.incarnation() or not m23.log_reaches(p_tenant, v_tables, m23.moment_of(v_backup.position, v_backup.position_at)) then
      v_job := null;
    end if;
  end if;
  return row(gen_random_uuid(), p_tenant, 'pitr', v_job, v_moment, case when v_job is null then v_tables else v_parts end, p_restore ->> 'planHash', null, 'exact', v_dry, false)::m23.restore_work;
end $$;

create function public.m23_begin_pitr(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off set plan_cache_mode = force_generic_plan as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-restore');
  v_work    m23.restore_work;
  v_at      timestamptz;
  v_begun   json;
  v_detail  text;
begin
  perform m23.refuse_body('pitr-restore', p_restore, false);
  v_work := m23.pitr_work(v_request.tenant_id, p_restore);
  v_at := (p_restore ->> 'targetTimestamp')::timestamptz;
  v_begun := m23.log_restore(v_request.tenant_id, v_work, v_at, null);
  update public.restore_logs set warnings = m23.moment_warnings(v_at, coalesce(v_work.inside, v_work.moment), m23.named_tables(p_restore)) where id = v_work.work_id;
  return v_begun;
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_pitr(uuid, jsonb) is
  'For pitr-restore: accepts a restore to a moment under an admitted request.';

-- Preview -----------------------------------------------------------------------------

create table m23.previews (
  id         uuid primary key default gen_random_uuid(),
  tenant_id  uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  moment     m23.moment,  -- none: of rows that were staged, and are kept in m23.preview_rows
  tables     text[] not null,
  plan_hash  text not null,
  left_alone boolean not null  -- some rows are: which, only all tables together tell
);
create table m23.preview_rows (
  preview_id uuid not null references m23.previews (id) on delete cascade,
  table_name text not null,
  changes    jsonb not null,
  primary key (preview_id, table_name)
);
select m23.close_table('m23.previews');
select m23.close_table('m23.preview_rows');
create index previews_created on m23.previews (created_at);
create index previews_tenant on m23.previews (tenant_id, created_at desc);

-- Only so many of a tenant are kept: their rows can be many.
create function m23.drop_old_previews(p_tenant uuid) returns void
language sql volatile set search_path = '' as $$
  delete from m23.previews where id in (
    select p.id from m23.previews p where p.tenant_id = p_tenant
     order by p.created_at desc offset m23.setting('kept_previews')::int)
$$;

-- What a preview shows at most, and each page of it.
create function m23.preview_bytes() returns bigint
language sql immutable set search_path = '' as $$ select 1000000::bigint $$;

-- A page of a planned table, by key: `{"operation", "key", "now", "then"}`. Of an update only
-- the columns that differ are shown.
-- It ends where it would have more than p_bytes; with p_some it has one row at least.
create function m23.preview_rows(
  p_target m23.target, p_tenant uuid, p_offset int, p_limit int, p_bytes bigint, p_some boolean default false
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_rows  jsonb;
  v_query text := m23.fill($sql$
    select pg_catalog.jsonb_agg(y.change order by y.n)
      from (select s.n, s.change, sum(octet_length(s.change::text) + 2) over (order by s.n) as bytes
              from (select x.n, m23.double_safe(pg_catalog.jsonb_build_object('operation', x.operation, 'key', x.key,
                             'now', case x.operation when 'insert' then null when 'delete' then x.live
                                    else m23.only_different(x.live, x.wanted) end,
                             'then', case x.operation when 'insert' then x.wanted when 'delete' then null
                                     else m23.only_different(x.wanted, x.live) end)) as change
                      from (select row_number() over (order by {key_list}) as n, pg_catalog.jsonb_build_object({key}) as key,
                                   case when m23_d.m23_op in ('I', 'T') then 'insert' when m23_d.m23_op = 'D' then 'delete' else 'update' end as operation,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {planned}) m23_s) as wanted,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {live_columns}) m23_s) as live
                              from {diff} m23_d left join (select * from {live} r where {is_tenants}) m23_l on {same_key}
                             order by {key_list} offset $1 limit $2) x offset 0) s) y
     where y.bytes <= $3 or $4 and y.n = $1 + 1$sql$,
    'key_list', m23.key_list((p_target.tbl).relid, 'm23_d'),
    'key', (select string_agg(format('%L, m23_d.%I', k, k), ', ') from unnest(m23.key_of((p_target.tbl).relid)) k),
    'planned', m23.shown_columns((p_target.tbl).relid, p_target.columns, 'm23_d'),
    'live_columns', m23.shown_columns((p_target.tbl).relid, p_target.columns, 'm23_l'),
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'is_tenants', m23.is_tenants(p_target.tbl, 'r', quote_literal(p_tenant)),
    'same_key', m23.key_match((p_target.tbl).relid, 'm23_l', 'm23_d'));
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_rows using p_offset, p_limit, p_bytes, p_some;
  return coalesce(v_rows, '[]');
end $$;

-- The columns of a row for to_jsonb. Text of the type json can be what jsonb does not take, such as \u0000: it is shown
-- as text then.
create function m23.shown_columns(p_relid oid, p_columns text[], p_row text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format(case when m23.base_of(a.atttypid) = 'json'::regtype then 'm23.shown_json(%1$s.%2$I) as %2$I'
                                        else '%s.%I' end, p_row, c.name), ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n)
            left join pg_attribute a on a.attrelid = p_relid and a.attname = c.name);
end $$;

create function m23.shown_json(p_value json) returns jsonb
language plpgsql immutable strict set search_path = '' as $$
begin
  return p_value::jsonb;
exception when data_exception then return to_jsonb(p_value::text);
end $$;

-- Readers of JSON make doubles of its numbers: one that a double would change is given as a string.
create function m23.double_safe(p_json jsonb) returns jsonb
language sql immutable set search_path = '' set extra_float_digits = 1 as $$
  select case
    when p_json::text !~ '[0-9.]{16}' then p_json
    when jsonb_typeof(p_json) = 'object' then (select jsonb_object_agg(e.key, m23.double_safe(e.value)) from jsonb_each(p_json) e)
    when jsonb_typeof(p_json) = 'array' then (select jsonb_agg(m23.double_safe(e.value) order by e.n) from jsonb_array_elements(p_json) with ordinality e (value, n))
    when jsonb_typeof(p_json) = 'number' and not (case when abs(p_json::numeric) between 1e-300 and 1e300 then p_json::float8::text::numeric = p_json::numeric else p_json::numeric = 0 end)
      then to_jsonb(p_json #>> '{}')
    else p_json end
$$;

create function m23.only_different(p_these jsonb, p_those jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select coalesce(jsonb_object_agg(t.key, t.value), '{}') from jsonb_each(p_these) t where t.value is distinct from p_those -> t.key
$$;

-- Plans, tells, and takes the plan away: stats, rows, hash, faults of the choice. Without a
-- moment the first 10,000 rows of each table are kept for the pages to come.
create function m23.preview_targets(p_tenant uuid, p_targets m23.target[], p_moment m23.moment, p_tables text[], p_warnings text[]) returns jsonb
language plpgsql volatile set search_path = '' set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_plan    record;
  v_target  m23.target;
  v_changes jsonb := '{}';
  v_counts  jsonb := '{}';
  v_planned bigint;
  v_room    bigint := m23.preview_bytes();
  v_cut     boolean := false;
  v_shown   jsonb;
  v_rows    jsonb;
  v_preview m23.previews;
  v_foreseen record;
begin
  v_plan := m23.plan_fitting(p_tenant, p_targets);
  if cardinality(v_plan.faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_plan.faults);
  end if;
  v_foreseen := m23.foresee(p_tenant, v_plan.targets, v_plan.unfit);
  insert into m23.previews (tenant_id, moment, tables, plan_hash, left_alone)
    values (p_tenant, p_moment, coalesce(p_tables, '{}'), m23.plan_hash(p_tenant, v_plan.targets), exists (select from m23.plan p where p.left_alone > 0)) returning * into v_preview;
  perform m23.drop_old_previews(p_tenant);
  foreach v_target in array m23.changing(v_plan.targets) loop
    select p.inserts + p.updates + p.deletes into v_planned from m23.plan p where p.table_id = (v_target.tbl).id;
    v_shown := m23.preview_rows(v_target, p_tenant, 0, 100, v_room);
    v_room := v_room - octet_length(v_shown::text);
    v_cut := v_cut or jsonb_array_length(v_shown) < least(v_planned, 100);
    v_changes := v_changes || jsonb_build_object(m23.public_name((v_target.tbl).relid), v_shown);
    v_counts := v_counts || jsonb_build_object(m23.public_name((v_target.tbl).relid), v_planned);
    if (p_moment).floor is null then
      v_rows := m23.preview_rows(v_target, p_tenant, 0, 10000, 32 * m23.preview_bytes(), true);
      insert into m23.preview_rows values (v_preview.id, m23.public_name((v_target.tbl).relid), v_rows);
    end if;
  end loop;
  return m23.plan_report(p_warnings || v_foreseen.warnings) || jsonb_strip_nulls(jsonb_build_object(
    'previewId', v_preview.id, 'planHash', v_preview.plan_hash, 'truncated', case when v_cut then true end,
    'wouldFail', v_foreseen.refusal)) || jsonb_build_object('previewChanges', v_changes, 'changeCounts', v_counts);
end $$;

create function m23.preview(p_tenant uuid, p_moment m23.moment, p_tables text[], p_warnings text[]) returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return m23.preview_targets(p_tenant, m23.logged_targets(p_tables, p_moment), p_moment, p_tables, p_warnings);
end $$;

-- The preview of work whose rows are staged, or come from a snapshot.
create function m23.preview_work(p_work m23.restore_work) returns json
language plpgsql volatile set search_path = '' as $$
begin
  if p_work.job_id is null and p_work.mode = 'exact' then
    return m23.preview(p_work.tenant_id, p_work.moment, p_work.tables, '{}');
  end if;
  perform m23.lock_tables(m23.relations_of(p_work));
  if m23.is_empty(p_work) then
    return m23.plan_report('{}') || jsonb_build_object('previewChanges', '{}'::jsonb, 'changeCounts', '{}'::jsonb,
      'wouldFail', m23.refusal_told('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id)));
  end if;
  return m23.preview_targets(p_work.tenant_id, m23.targets_of(p_work), null, null, m23.staging_warnings(p_work.work_id) ||
    case when (p_work.inside).taken is not null and (p_work.inside).position is not null
      then array[format('this server recorded no commit times: the moment taken is %s', m23.iso((p_work.inside).taken))] else '{}' end);
end $$;

-- Gives what a restore would do; null where that is for the archive alone to say, and p_work then.
create function m23.look_at_pitr(p_work m23.restore_work, p_restore jsonb) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment := case when (p_work.moment).position is not null then p_work.moment
                              else m23.logged_moment(p_work) end;
  v_tables text[] := case when p_work.job_id is null then p_work.tables
                          else m23.names_now(p_work.job_id, p_work.tables) end;
begin
  -- Without a backup the log has been asked already.
  if p_work.job_id is not null and not m23.log_reaches(p_work.tenant_id, v_tables, v_moment) then
    return null;
  end if;
  return m23.preview(p_work.tenant_id, v_moment, v_tables,
    m23.moment_warnings((p_restore ->> 'targetTimestamp')::timestamptz, v_moment, m23.named_tables(p_restore)));
end $$;

-- Gives what a restore would do; or, where that is for the archive alone to say, work for the
-- caller to drive first: it ends with the same.
create function public.m23_preview_pitr(p_request_id uuid, p_restore jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-restore', true);
  v_work    m23.restore_work;
  v_detail  text;
begin
  perform m23.refuse_body('pitr-restore', p_restore, true);
  perform m23.begin_heavy_read(v_request.tenant_id, 'preview');
  v_work := m23.pitr_work(v_request.tenant_id, p_restore);
  return coalesce(m23.look_at_pitr(v_work, p_restore), m23.begin_work(v_work)::jsonb);
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_preview_pitr(uuid, jsonb) is 'For pitr-restore: what a restore would do, and has not done.';

-- A page of rows that were kept.
create function m23.page_of(p_rows jsonb, p_offset int, p_limit int) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(jsonb_agg(e.change order by e.n), '[]')
            from (select c.change, c.n, sum(octet_length(c.change::text) + 2) over (order by c.n) as bytes
                    from jsonb_array_elements(p_rows) with ordinality c (change, n)
                   where c.n > p_offset and c.n <= p_offset + p_limit) e
           where e.bytes <= m23.preview_bytes() or e.n = p_offset + 1);
end $$;

-- The next rows of a preview, a table at a time; not counted by the rate limit.
create function public.get_pitr_preview_page(p_preview_id uuid, p_table text, p_offset int default 0, p_limit int default 100) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as $$
declare
  v_preview m23.previews;
  v_targets m23.target[];
  v_target  m23.target;
  v_plan    record;
  v_rows    jsonb;
begin
  select * into v_preview from m23.previews where id = p_preview_id;
  perform m23.require_role(v_preview.tenant_id, array['owner', 'admin', 'operator']);
  perform m23.begin_heavy_read(v_preview.tenant_id, 'preview');
  if (v_preview.moment).floor is null then
    select m23.page_of(r.changes, greatest(p_offset, 0), least(greatest(p_limit, 1), 1000)) into v_rows
      from m23.preview_rows r where r.preview_id = p_preview_id and r.table_name = p_table;
    if found then return v_rows; end if;
  end if;
  v_targets := m23.logged_targets(v_preview.tables, v_preview.moment);
  select (t).* into v_target from unnest(v_targets) t where m23.public_name((t).tbl.relid) = p_table;
  if (v_target.tbl).id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the page cannot be given', array[format('p_table: "%s" is not in this preview', p_table)]);
  end if;
  v_plan := m23.plan_targets(v_preview.tenant_id,
                             case when v_preview.left_alone then v_targets else array[v_target] end);
  perform m23.end_plan();
  select t.* into v_target from unnest(v_plan.targets) t where (t.tbl).id = (v_target.tbl).id;
  if (v_target.tbl).id is null then return '[]'; end if;  -- nothing of it differs
  return m23.preview_rows(v_target, v_preview.tenant_id, greatest(p_offset, 0), least(greatest(p_limit, 1), 1000),
                          m23.preview_bytes(), true);
end $$;
comment on function public.get_pitr_preview_page(uuid, text, int, int) is
  'Rows p_offset to p_offset + p_limit (at most 1,000) of a table of a preview, by key; a page ends at 1 MB, with one row at least. Owner, admin and operator.';

-- Refuses a caller who is not in the tenant with one of the roles; the service key is in all.
create function m23.require_role(p_tenant uuid, p_roles text[]) returns void
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  if m23.is_service() then return; end if;
  perform m23.refuse_anonymous();
  if p_tenant is null or not exists (select from m23.caller_memberships() m where m.tenant_id = p_tenant) then
    perform m23.refuse('TENANT_NOT_FOUND', 'you do not belong to this tenant');
  elsif not exists (select from m23.caller_memberships() m where m.tenant_id = p_tenant and m.role = any (p_roles)) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'your role in this tenant does not allow it');
  end if;
end $$;

-- Net differences ----------------------------------------------------------------------

create function m23.run_between(p_target m23.target, p_tenant uuid, p_from m23.moment, p_statement text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_name text := m23.public_name((p_target.tbl).relid);
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[], p_from, (p_target.tbl).id, v_name;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(select distinct m23.unfit_columns(t, p_tenant)
                                  from unnest(array[p_target, m23.target_of(p_target.tbl, p_from)]) t));
  raise;
end $$;

-- m23.plan for the way from one moment to another: the rows as of both are compared.
create function m23.plan_between(p_tenant uuid, p_targets m23.target[], p_from m23.moment) returns void
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_from   xid8 := least(((p_targets[1]).moment).floor, p_from.floor);
  v_logged int[];
  v_log    text;
begin
  perform m23.end_plan();  -- one that was given up
  v_logged := m23.logged_tables(array(select (t).tbl.id from unnest(p_targets) t), p_tenant, v_from);
  p_targets := array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                      where ((p_targets[n]).tbl).id = any (v_logged) order by n);
  perform m23.lock_tables(array(select (t).tbl.relid from unnest(p_targets) t));
  foreach v_target in array m23.complete(p_targets) loop
    v_log := m23.log_of((v_target.tbl).id, p_tenant, v_from);
    perform m23.run_between(v_target, p_tenant, p_from, m23.fill($sql$
        insert into m23.plan
        select $5, $6, 0, count(*) filter (where l.{tenant} is null),
               count(*) filter (where l.{tenant} is not null and w.{tenant} is not null),
               count(*) filter (where w.{tenant} is null), '{}', 0
          from ({wanted}) w full join ({from}) l on {same_key}
         where w.{tenant} is null or l.{tenant} is null or {differs}$sql$,
      'tenant', quote_ident(m23.tenant_column(v_target.tbl)), 'wanted', m23.as_of_query(v_target.tbl, v_log),
      'from', m23.as_of_query(v_target.tbl, v_log, p_moment => '$4'),
      'same_key', m23.key_match((v_target.tbl).relid, 'w', 'l'),
      'differs', m23.differs(v_target.tbl, v_target.columns,
                             array(select format('w.%I', c) from unnest(v_target.columns) c))));
  end loop;
end $$;

-- What a restore to a time would change; with a second time, what changed between the two.
create function public.calculate_pitr_stats(p_tenant_id uuid, p_target_timestamp timestamptz, p_base_backup_timestamp timestamptz default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as $$
declare
  v_tables  text[] := m23.chosen_tables(null, false);
  v_targets m23.target[];
  v_moment  m23.moment;
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  perform m23.begin_heavy_read(p_tenant_id, 'stats');
  v_moment := m23.requested_moment(p_tenant_id, p_target_timestamp, v_tables);
  v_targets := m23.logged_targets(v_tables, v_moment);
  if p_base_backup_timestamp is null then
    perform m23.plan_all(p_tenant_id, v_targets);
  else
    perform m23.plan_between(p_tenant_id, v_targets, m23.requested_moment(p_tenant_id, p_base_backup_timestamp, v_tables));
  end if;
  return (select jsonb_build_object('total_operations', s -> 'totalOperations', 'insert_count', s -> 'insertCount', 'update_count', s -> 'updateCount',
                                    'delete_count', s -> 'deleteCount', 'affected_tables', s -> 'affectedTables')
            from (select m23.plan_report('{}') -> 'stats') x (s));
end $$;
comment on function public.calculate_pitr_stats(uuid, timestamptz, timestamptz) is
  'Net row changes that a restore to p_target_timestamp would make, or, with p_base_backup_timestamp, that lead from that time to the target.';

create function public.get_recovery_window(p_tenant_id uuid)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select * from m23.recovery_window(p_tenant_id);
end $$;
comment on function public.get_recovery_window(uuid) is
  'For each protected table the earliest and latest moment that can be gone back to (null: none at present), and gaps: [{"from", "until", "reason"}].';

-- The dry run of pitr-restore without a call: it is not counted. p_selection: the fields of its body that choose.
create function public.get_pitr_preview(p_tenant_id uuid, p_target_timestamp timestamptz default null,
                                        p_tables text[] default null, p_selection jsonb default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_chosen jsonb := coalesce(nullif(p_selection, 'null'), '{}');
  v_look   jsonb := jsonb_strip_nulls(jsonb_build_object('targetTimestamp', m23.iso(p_target_timestamp),
                                                         'tables', to_jsonb(p_tables), 'dryRun', true));
  v_seen   jsonb;
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if jsonb_typeof(v_chosen) <> 'object' or v_chosen ?| '{targetTimestamp,tables,dryRun,confirmRestore,planHash}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
      array['p_selection: must be an object of fields that choose what is looked at, such as includeRelated']);
  end if;
  perform m23.refuse_body('pitr-restore', v_chosen || v_look, true);
  perform m23.begin_heavy_read(p_tenant_id, 'preview');
  v_seen := m23.look_at_pitr(m23.pitr_work(p_tenant_id, v_chosen || v_look), v_chosen || v_look);
  if v_seen is null then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
      array['p_target_timestamp: only the archive reaches this moment; call pitr-restore with dryRun']);
  end if;
  return jsonb_build_object('success', true) || v_seen;
end $$;
comment on function public.get_pitr_preview(uuid, timestamptz, text[], jsonb) is
  'What a restore to a moment would do: the body of the dry run of pitr-restore, not counted. Owner, admin and operator.';

select m23.open_to('{authenticated, service_role}', 'public.get_pitr_preview(uuid, timestamptz, text[], jsonb)',
  'public.m23_begin_pitr(uuid, jsonb)', 'public.m23_preview_pitr(uuid, jsonb)',
  'public.get_pitr_preview_page(uuid, text, int, int)', 'public.calculate_pitr_stats(uuid, timestamptz, timestamptz)',
  'public.get_recovery_window(uuid)');
select m23.close_functions();
