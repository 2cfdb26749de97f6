-- M23 0.1.0. Written by `cargo xtask generate` from supabase/schemas: edit that, and never this.

set check_function_bodies = off;  -- functions may name what comes after them

do $$
declare v_is text;
begin
  if to_regprocedure('m23.version()') is not null then
    execute 'select m23.version()' into v_is;
    raise exception 'M23 is installed already, release %', v_is
      using errcode = 'duplicate_object', hint = 'To upgrade it: docs/getting-started.md. Nothing was changed.';
  end if;
end $$;

-- M23 takes these names. Where one is taken, all that are taken are told, and nothing is changed.
do $$
declare
  v_schemas   constant text[] := '{m23, m23_log, m23_staging}';
  v_relations constant text[] := '{audit_log, backup_jobs, dr_plans, health_snapshots, pitr_rollbacks, pitr_snapshots,
    recovery_tests, restore_logs, tenant_members, transaction_logs}';
  v_indexes   constant text[] := '{audit_log_created, audit_log_request, backup_jobs_base, backup_jobs_completed,
    backup_jobs_open, backup_jobs_parent, backup_jobs_pending, backup_jobs_tenant,
    dr_plans_backup, dr_plans_tenant, dr_plans_test, health_snapshots_tenant,
    pitr_rollbacks_pre, pitr_rollbacks_snapshot, pitr_rollbacks_tenant,
    pitr_snapshots_expiry, pitr_snapshots_restore, pitr_snapshots_tenant,
    recovery_tests_backup, recovery_tests_plan, recovery_tests_tenant,
    restore_logs_backup, restore_logs_snapshot, restore_logs_tenant,
    tenant_members_user}';
  v_functions constant text[] := '{adopt_backup, calculate_health_score, calculate_pitr_stats, cancel_backup,
    cancel_restore, create_pitr_snapshot, delete_backup, drop_restore_copy,
    erase_archive_key, execute_pitr_rollback, forget_tenant, get_active_pitr_snapshots,
    get_audit_log, get_backup_chain, get_backup_statistics, get_current_tenant,
    get_doctor, get_fleet, get_health, get_pitr_preview, get_pitr_preview_page,
    get_pitr_rollback_history, get_recovery_window, get_rows_as_of,
    get_transaction_logs, keep_backup, m23_abandon_request, m23_admit, m23_audit,
    m23_authorize, m23_backup_facts, m23_begin_backup, m23_begin_pitr,
    m23_begin_restore, m23_begin_rollback, m23_begin_scheduled_backups,
    m23_begin_scheduled_tests, m23_begin_test, m23_choose_key, m23_claim_alerts,
    m23_claim_backup, m23_claim_erasure, m23_claim_restore, m23_claim_test,
    m23_detach_restore, m23_execute_restore, m23_execute_test, m23_fail_backup,
    m23_fail_restore, m23_fail_test, m23_finish_backup, m23_finish_erasure,
    m23_finish_request, m23_finish_test, m23_give_back, m23_go_rounds, m23_health,
    m23_heartbeat, m23_next_collection, m23_note_alert, m23_note_collected,
    m23_note_restore, m23_preview_pitr, m23_preview_rollback, m23_read_chunk,
    m23_record_chunk, m23_release_work, m23_save_test, m23_stage_chunk,
    m23_stage_table, m23_stage_test, m23_sweep, m23_watch, plan_retention,
    verify_audit}';
  v_taken     text;
begin
  select string_agg(t.what, ', ' order by t.what) into v_taken
    from (select 'schema ' || n.nspname from pg_namespace n where n.nspname = any (v_schemas)
          union
          select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'i' then 'index '
                                when 'S' then 'sequence ' else 'table ' end || 'public.' || c.relname
            from pg_class c
           where c.relnamespace = 'public'::regnamespace and c.relname = any (v_relations || v_indexes)
             and c.relkind <> 'c'
          union
          select 'type public.' || t.typname
            from pg_type t left join pg_class c on c.oid = t.typrelid
           where t.typnamespace = 'public'::regnamespace and t.typname = any (v_relations)
             and coalesce(c.relkind = 'c', true)
          union
          select format('function public.%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
            from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = any (v_functions)) t (what);
  if v_taken is not null then
    raise exception 'M23 cannot be installed, because these names are taken: %', v_taken
      using errcode = 'duplicate_object',
            hint = 'Rename these objects of the application, then try again. Nothing was changed.';
  end if;
end $$;

-- M23's schemas, and the roles and `auth` functions that every Supabase project already has: they are made here only
-- where they are absent.
create schema m23;

create schema m23_log;      -- one typed log table per protected table

create schema m23_staging;  -- rows on their way back, between archive and live table

comment on schema m23 is 'M23: tenant-level backup and point-in-time recovery. Not exposed by the API.';

comment on schema m23_log is 'M23: old row images of the protected tables.';

comment on schema m23_staging is 'M23: archives being read back. Safe to empty while no restore runs.';

-- A plain PostgreSQL lacks Supabase's roles, its schema `auth` and the two functions of it that M23 calls: the claims
-- that PostgREST has verified. What is made here says so, for the removal.
do $$
declare
  v_about constant text := 'Made by M23 in the place of Supabase''s.';
  v_role  text;
begin
  foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
    continue when to_regrole(v_role) is not null;
    execute format('create role %I nologin noinherit %s', v_role, case v_role when 'service_role' then 'bypassrls' end);
    execute format('comment on role %I is %L', v_role, v_about);
  end loop;
  if to_regnamespace('auth') is null then
    create schema auth;
    execute format('comment on schema auth is %L', v_about);
  end if;
  if to_regprocedure('auth.jwt()') is null then
    grant usage on schema auth to anon, authenticated, service_role;
    create function auth.jwt() returns jsonb language sql stable set search_path = '' as
      $f$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $f$;
    execute format('comment on function auth.jwt() is %L', v_about);
  end if;
  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable set search_path = '' as
      $f$ select nullif(auth.jwt() ->> 'sub', '')::uuid $f$;
    execute format('comment on function auth.uid() is %L', v_about);
  end if;
end $$;

grant usage on schema m23 to authenticated, service_role;

-- Settings: what the operator of the service can set, each with what it is for.

create table m23.settings (
  name  text primary key,
  value text not null,
  about text not null
);

-- A table of ours is for our own functions: row-level security is on, and lets nobody through.
create or replace function m23.close_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('create policy nobody on %s using (false)', p_table);
end $$;
comment on function m23.close_table(regclass) is 'Keeps a table from everybody but its owner and the service key.';
revoke all on function m23.close_table(regclass) from public, anon, authenticated, service_role;

select m23.close_table('m23.settings');

insert into m23.settings (name, value, about) values
  ('lease_seconds',        '60',      'how long a worker may be silent before its job is taken over'),
  ('chunk_rows',           '10000',   'rows in one archive chunk, at most'),
  ('chunk_bytes',          '4194304',
    'bytes in one archive chunk before compression; reached, not passed by more than a row'),
  ('restore_wait_seconds', '10',      'how long a restore tries to get the tenant to itself'),
  ('snapshot_days',        '30',      'how long a snapshot can be rolled back to'),
  ('request_days',         '7',       'how long a request and its idempotent answer are kept'),
  ('log_days',             '30',      'how long the log is kept, and so how far back one can go'),
  ('log_part_hours',       '24',      'how long one part of a log is written'),
  ('commit_times_age',     '50000000', 'transactions after which a commit time is copied'),
  ('commit_times_kept',    '0',       'the transaction up to which commit times have been copied'),
  ('limit.pitr-rollback',  '5',       'calls an hour and tenant; the edge function writes its own limit here'),
  ('history_rows',         '10000',   'changes that the view transaction_logs shows, the newest'),
  ('audit_days',           '365',     'how long the audit is kept'),
  ('pending_jobs',         '50',      'backup jobs of a tenant that wait to be run, at most'),
  ('pending_job_days',     '7',       'how long a backup job that nobody runs is kept'),
  ('kept_previews',        '20',      'dry runs of a tenant whose further pages can be read, the newest');

-- Fills the holes of a template, `{name}`, in one pass: what is filled in is never looked at again. p_holes
-- are names and texts by turns.
create or replace function m23.fill(p_template text, variadic p_holes text[]) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_parts text[] := regexp_split_to_array(p_template, '\{[a-z_]+\}');
  v_names text[] := array(select m[1] from regexp_matches(p_template, '\{([a-z_]+)\}', 'g') m);
  v_at    int;
  v_text  text := v_parts[1];
begin
  for n in 1..cardinality(v_names) loop
    v_at := array_position(p_holes, v_names[n]);
    while v_at % 2 = 0 loop v_at := array_position(p_holes, v_names[n], v_at + 1); end loop;  -- that was a text
    if v_at is null or p_holes[v_at + 1] is null then
      raise exception 'nothing was given for {%} of a template', v_names[n] using errcode = 'null_value_not_allowed';
    end if;
    v_text := v_text || p_holes[v_at + 1] || v_parts[n + 1];
  end loop;
  return v_text;
end $$;
comment on function m23.fill(text, text[]) is
  'A template with its holes filled: m23.fill(''select {what}'', ''what'', ''1'').';
revoke all on function m23.fill(text, text[]) from public, anon, authenticated, service_role;

-- A JSON array of texts as an array; null where it is empty, or no array.
create or replace function m23.list_of(p_json jsonb) returns text[]
language plpgsql immutable set search_path = '' as $$
begin
  return (select array_agg(t)
            from jsonb_array_elements_text(case jsonb_typeof(p_json) when 'array' then p_json end) t);
end $$;
revoke all on function m23.list_of(jsonb) from public, anon, authenticated, service_role;

-- Which functions this database works with. They send their version as a header with each call. A database that is
-- newer by a minor version works with them, so that it can be upgraded first.

-- The version in a text `major.minor.patch`, as numbers; null for any other text.
create or replace function m23.version_numbers(p_version text) returns int[]
language sql immutable set search_path = '' as $$
  select case when p_version ~ '^\d{1,5}\.\d{1,5}\.\d{1,5}$' then string_to_array(p_version, '.')::int[] end
$$;
revoke all on function m23.version_numbers(text) from public, anon, authenticated, service_role;

-- Whether functions of a version work with this database.
create or replace function m23.works_with(p_functions text) returns boolean
language sql immutable set search_path = '' as $$
  select coalesce(d.n[1] = f.n[1] and d.n[2] - f.n[2] between 0 and 1, false)
    from (select m23.version_numbers(m23.version())) d (n), (select m23.version_numbers(p_functions)) f (n)
$$;
comment on function m23.works_with(text) is
  'Whether functions of a version (major.minor.patch) are of this database''s minor version, or of the one before.';
revoke all on function m23.works_with(text) from public, anon, authenticated, service_role;

-- The version that the calling function has sent. A call without one is made by SQL or by a client.
create or replace function m23.calling_version() returns text
language sql stable set search_path = '' as $$
  select nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-m23-version'
$$;
revoke all on function m23.calling_version() from public, anon, authenticated, service_role;

-- Refuses functions that this database does not work with, where they begin something or get something to do.
create or replace function m23.refuse_other_versions() returns void
language plpgsql stable set search_path = '' as $$
declare
  v_functions text := m23.calling_version();
  v_numbers   int[] := m23.version_numbers(v_functions);
begin
  if v_functions is null or m23.works_with(v_functions) then
    return;
  elsif v_numbers > m23.version_numbers(m23.version()) then
    perform m23.refuse('UNAVAILABLE', format(
      'M23 is being upgraded: its database is of release %s, and too old for its functions of release %s. '
      'The operator has to upgrade the database', m23.version(), v_functions));
  end if;
  perform m23.refuse('UNAVAILABLE', format(
    'M23 is being upgraded: its functions are of release %s, and too old for its database of release %s. '
    'The operator has to deploy the functions of that release',
    case when v_numbers is null then 'unknown' else v_functions end, m23.version()));
end $$;
revoke all on function m23.refuse_other_versions() from public, anon, authenticated, service_role;

-- Code and HTTP status belong together in one place.
create or replace function m23.refusal_status(p_code text) returns int
language sql immutable set search_path = '' as $$
  select case p_code
    when 'AUTH_REQUIRED' then 401
    when 'TENANT_NOT_FOUND' then 403
    when 'INSUFFICIENT_PERMISSIONS' then 403
    when 'VALIDATION_FAILED' then 400
    when 'BACKUP_NOT_FOUND' then 404
    when 'SNAPSHOT_NOT_FOUND' then 404
    when 'RESTORE_IN_PROGRESS' then 409
    when 'RATE_LIMIT_EXCEEDED' then 429
    when 'PLAN_CHANGED' then 409
    when 'BACKUP_UNUSABLE' then 409
    when 'CONFLICT' then 409
    when 'UNAVAILABLE' then 503
    else 500 end
$$;
revoke all on function m23.refusal_status(text) from public, anon, authenticated, service_role;

-- A call of the API that is refused takes back whatever it has written, an entry of the audit
-- as well: so who it was stands in the server's log. Calls of the edge functions have their audit;
-- what they use, and others may not, is called without one.
create or replace function m23.log_refusal(p_code text) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_path text := current_setting('request.path', true);
  v_from jsonb := coalesce(nullif(current_setting('request.headers', true), ''), '{}');
begin
  if v_path <> '' and (v_path !~ '/m23_' or p_code = 'INSUFFICIENT_PERMISSIONS') then
    raise log 'm23: refused %', jsonb_build_object(
      'code', p_code, 'method', current_setting('request.method', true), 'path', v_path,
      'actor', auth.jwt() ->> 'sub', 'role', auth.jwt() ->> 'role',
      'tenants', (select jsonb_agg(m.tenant_id) from m23.memberships_of(auth.uid()) m),
      'from_address', m23.address_of(v_from), 'user_agent', left(v_from ->> 'user-agent', 300));
  end if;
end $$;
revoke all on function m23.log_refusal(text) from public, anon, authenticated, service_role;

-- Where a call of the database came from, by its headers.
create or replace function m23.address_of(p_headers jsonb) returns text
language sql immutable set search_path = '' as $$
  select left(coalesce(p_headers ->> 'cf-connecting-ip',
                       trim(split_part(p_headers ->> 'x-forwarded-for', ',', 1))), 64)
$$;
revoke all on function m23.address_of(jsonb) from public, anon, authenticated, service_role;

-- What passes says when to come again.
create or replace function m23.refusal_headers(p_code text, p_retry_after int) returns json
language sql immutable set search_path = '' as $$
  select case when s.seconds is null then '{}'::json else json_build_object('Retry-After', s.seconds::text) end
    from (select coalesce(p_retry_after, case when p_code in ('RESTORE_IN_PROGRESS', 'UNAVAILABLE') then 5 end))
         s (seconds)
$$;
revoke all on function m23.refusal_headers(text, int) from public, anon, authenticated, service_role;

-- Every refusal that a caller may see is raised here. PostgREST turns SQLSTATE PGRST into that response.
create or replace function m23.refuse(p_code text, p_message text, p_details text[] default null,
  p_retry_after int default null)
returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.log_refusal(p_code);
  raise sqlstate 'PGRST' using
    message = json_build_object('code', p_code, 'message', p_message,
                                'details', array_to_json(p_details)::text, 'hint', null)::text,
    detail = json_build_object('status', m23.refusal_status(p_code),
                               'headers', m23.refusal_headers(p_code, p_retry_after))::text;
end $$;
comment on function m23.refuse(text, text, text[], int) is
  'Raises the refusal p_code of the public contract, with a sentence for a person and one detail a fault.';
revoke all on function m23.refuse(text, text, text[], int) from public, anon, authenticated, service_role;

-- A refusal as the answer of a call whose transaction is kept, so that what it has used stays used. PostgREST takes
-- status and headers from these settings.
create or replace function m23.answer_refusal(p_state text, p_message text, p_detail text) returns json
language plpgsql set search_path = '' as $$
declare v_is_ours boolean := p_state = 'PGRST';
begin
  perform set_config('response.status', case when v_is_ours then p_detail::json ->> 'status'
                                             when p_state ~ '^(08|53|57)' then '503' else '500' end, true);
  if v_is_ours then
    perform set_config('response.headers', (select coalesce(json_agg(json_build_object(h.key, h.value)), '[]')::text
                                              from json_each_text(p_detail::json -> 'headers') h), true);
    return p_message::json;
  end if;
  return json_build_object('code', p_state, 'message', p_message, 'details', null, 'hint', null);
end $$;
revoke all on function m23.answer_refusal(text, text, text) from public, anon, authenticated, service_role;

-- Whether PostgREST calls, and so gives that answer.
create or replace function m23.is_api_call() returns boolean
language sql stable set search_path = '' as $$ select coalesce(current_setting('request.method', true), '') <> '' $$;
revoke all on function m23.is_api_call() from public, anon, authenticated, service_role;

create or replace function m23.setting(p_name text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select value from m23.settings where name = p_name);
end $$;
comment on function m23.setting(text) is 'The value of a row of m23.settings.';
revoke all on function m23.setting(text) from public, anon, authenticated, service_role;

-- A database, a role or a session may have any settings. As pg_dump does, whoever reads or writes values, or puts names
-- into SQL, has these.

-- The settings, and the value of each; prints: how a value is printed depends on it.
create or replace function m23.text_settings() returns table (name text, value text, prints boolean)
language sql stable rows 12 set search_path = '' as $$
  select t.name, t.value, t.prints
    from (values
      ('datestyle', 'ISO, YMD', true), ('intervalstyle', 'postgres', true), ('timezone', 'UTC', true),
      ('extra_float_digits', '1', true), ('bytea_output', 'hex', true), ('lc_monetary', 'C', true),
      ('standard_conforming_strings', 'on', false), ('xmloption', 'content', false), ('array_nulls', 'on', false),
      ('quote_all_identifiers', 'off', false), ('transform_null_equals', 'off', false),
      ('restrict_nonsystem_relation_kind', '', false)) t (name, value, prints)
   where exists (select from pg_settings s where s.name ilike t.name)  -- the last one came with a minor version
$$;
revoke all on function m23.text_settings() from public, anon, authenticated, service_role;

create or replace function m23.pin_text(variadic p_functions regprocedure[]) returns void
language plpgsql set search_path = '' as $$
declare v_change text;
begin
  for v_change in
    select format('alter function %s set %s = %L', f, s.name, s.value) from unnest(p_functions) f, m23.text_settings() s
  loop
    execute v_change;
  end loop;
end $$;
comment on function m23.pin_text(regprocedure[]) is 'Lets these functions run under the settings that text depends on.';
revoke all on function m23.pin_text(regprocedure[]) from public, anon, authenticated, service_role;

-- A time as callers write it.
create or replace function m23.iso(p_at timestamptz) returns text
language sql stable set search_path = '' as
$$ select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
revoke all on function m23.iso(timestamptz) from public, anon, authenticated, service_role;

create or replace function m23.version() returns text
language sql immutable set search_path = '' as $$ select '0.1.0'::text $$;
comment on function m23.version() is
  'The release of the database half. Functions work with the database of their own and of the next minor version.';
revoke all on function m23.version() from public, anon, authenticated, service_role;
grant execute on function m23.version() to service_role;

-- The newest migration of this release.
create or replace function m23.newest_migration() returns text
language sql immutable set search_path = '' as $$ select '20261201000000'::text $$;
revoke all on function m23.newest_migration() from public, anon, authenticated, service_role;

-- Tables that say who has access: memberships, roles, invitations. A restore leaves them as they are unless it names
-- them, so that nobody comes back, and nobody is locked out, without being asked. Backups and snapshots have them.

create table m23.access_tables (
  relid oid primary key
);

select m23.close_table('m23.access_tables');

-- Replaces the whole list; an empty one ends it. Each must be protected, as a restore touches no other.
create or replace function m23.set_access_tables(p_tables regclass[]) returns void
language plpgsql set search_path = '' as $$
declare v_other regclass;
begin
  select t into v_other from unnest(p_tables) t
   where not exists (select from m23.protected_tables p where p.relid = t) limit 1;
  if v_other is not null then
    raise exception '% is not protected, so no restore changes it', v_other
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.protect_table first.';
  end if;
  delete from m23.access_tables;
  insert into m23.access_tables select distinct t from unnest(p_tables) t;
end $$;
comment on function m23.set_access_tables(regclass[]) is
  'Says which protected tables say who has access: a restore leaves them out unless it names them. '
  'The list replaces the one before.';
revoke all on function m23.set_access_tables(regclass[]) from public, anon, authenticated, service_role;

comment on table m23.access_tables is 'Tables that say who has access; see m23.set_access_tables.';

-- Tenancy: who belongs where. An existing project keeps its own membership table
-- and replaces the body of m23.memberships_of; nothing else knows the table.

create table public.tenant_members (
  tenant_id  text not null,
  user_id    uuid not null,
  role       text not null check (role in ('owner', 'admin', 'operator', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, user_id)
);

create index tenant_members_user on public.tenant_members (user_id);

comment on table public.tenant_members is
  'Who belongs to which tenant, in which role. Written with the service key or in SQL, read by the members.';

alter table public.tenant_members enable row level security;

create or replace function m23.caller_tenants(p_roles text[] default array['owner', 'admin', 'operator', 'viewer'])
returns setof text
language sql stable security definer rows 3 set search_path = '' set row_security = off as
$$ select m.tenant_id from m23.caller_memberships() m where m.role = any (p_roles) $$;
comment on function m23.caller_tenants(text[]) is
  'The tenants in which the caller has one of the roles. The row-level policies are written with it.';
revoke all on function m23.caller_tenants(text[]) from public, anon, authenticated, service_role;
grant execute on function m23.caller_tenants(text[]) to authenticated, service_role;

create policy members_read on public.tenant_members for select to authenticated
  using (tenant_id in (select m23.caller_tenants()));

revoke all on public.tenant_members from anon, authenticated;

grant select on public.tenant_members to authenticated;

grant all on public.tenant_members to service_role;

-- Who the tenants are: for whoever looks after all of them (schedules, health, the operator's overview). An
-- application that has a table of its tenants replaces the body of m23.tenants, as that of m23.memberships_of.

-- Tenants that were seen in the logs: those that nobody belongs to yet are known by nothing else.
create table m23.seen_tenants (
  tenant_id text primary key,
  seen_at   timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.seen_tenants');

-- Incarnations: the lives of a database.
-- Transaction numbers mean something only inside one life of one database. A dump
-- and restore, a clone or a physical recovery begins another: positions and log of
-- the former life are then a gap, never silently wrong.

create table m23.incarnations (
  id          uuid primary key default gen_random_uuid(),
  fingerprint text not null,
  since       timestamptz not null default now(),
  position    pg_snapshot not null default pg_current_snapshot()
);

-- The tables under protection, and how they are found by the names that callers write.

create table m23.protected_tables (
  id            int primary key generated always as identity,
  relid         oid not null unique,
  tenant_attnum int2 not null check (tenant_attnum > 0),
  key_attnums   int2[] not null check (cardinality(key_attnums) > 0),
  name          text not null,  -- as it was last seen
  protected_at  timestamptz not null default clock_timestamp(),
  xid           xid8 not null default pg_current_xact_id(),  -- what sees it, sees every change logged
  incarnation   uuid not null references m23.incarnations (id),
  pruned_below  xid8 not null default '0',  -- the log of transactions from here on is whole
  pruned_at     timestamptz,                -- what that is as a time
  attributes    int2,                       -- the highest number of a column, as it was last seen
  triggers      text[],                     -- marks of its triggers, as they were written last
  suspended     text,                       -- m23.obstacle.kind: what has kept it from being captured since its history
  tenant_type   text not null check (tenant_type in ('uuid', 'bigint', 'text')),  -- in which its log keeps tenants
  check (pruned_below = '0' or pruned_at is not null)
);

-- How far the look at each log has come.
create table m23.tenant_looks (
  table_id  int primary key references m23.protected_tables (id) on delete cascade,
  reached   text,  -- null: its next look begins anew
  looked_at timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.tenant_looks');

-- Whether a table says who has access.
create or replace function m23.is_access_table(p_relid oid) returns boolean
language plpgsql stable set search_path = '' as
$$ begin return exists (select from m23.access_tables a where a.relid = p_relid); end $$;
revoke all on function m23.is_access_table(oid) from public, anon, authenticated, service_role;

-- The tables of a restore, as m23.chosen_tables gives them, without those that say who has access and are not named.
create or replace function m23.restored_tables(p_named text[], p_related boolean default false) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(
    select c.name
      from unnest(m23.chosen_tables(p_named, p_related)) with ordinality c (name, n)
     where not m23.is_access_table((m23.find_table(c.name)).relid)
        or p_named is not null and (m23.find_table(c.name)).relid in (select t.relid from m23.tables_named(p_named) t)
     order by c.n);
end $$;
revoke all on function m23.restored_tables(text[], boolean) from public, anon, authenticated, service_role;

-- The same of a backup's parts, by their names in it; null for all of them.
create or replace function m23.restored_parts(p_job uuid, p_named text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  if p_named is not null or not exists (select from m23.access_tables) then
    return m23.tables_in_backup(p_job, p_named);
  end if;
  return array(select b.schema_name || '.' || b.table_name from m23.backup_tables b
                where b.job_id = p_job and not m23.is_access_table((m23.table_now(b)).relid) order by b.ordinal);
end $$;
revoke all on function m23.restored_parts(uuid, text[]) from public, anon, authenticated, service_role;

-- A moment is a position, and where the server records commit times a time with it: then
-- a transaction lies after the moment if the position does not see it or it was committed
-- later. The two together are exact, because a transaction is stamped a little before it
-- becomes visible.

create type m23.moment as (
  position pg_snapshot,
  at       timestamptz,  -- with native commit times; else null
  floor    xid8,         -- no transaction below it lies after the moment
  taken    timestamptz   -- the time that the moment is of
);

-- What a caller must know of access: which tables a restore leaves out that have changed since the moment, and which it
-- names.
create or replace function m23.access_warnings(p_tenant text, p_named text[], p_moment m23.moment) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return array(
    select case when p_named is null
        then format('%s was left out, because it says who has access: name it in tables to restore it', t.name)
        else format('%s says who has access: its rows that come back give access, and those that go take it',
                    t.name) end
      from (select p, m23.public_name(p.relid) as name
              from m23.protected_tables p join m23.access_tables a on a.relid = p.relid
              join pg_class c on c.oid = p.relid) t
     where case when p_named is null
                then p_moment.position is null or m23.has_changed(t.p, p_tenant, p_moment)
                else (t.p).relid in (select n.relid from m23.tables_named(p_named) n) end
     order by t.name);
end $$;
revoke all on function m23.access_warnings(text, text[], m23.moment) from public, anon, authenticated, service_role;

-- The same of a restore of a backup: what it has, and leaves out or names.
create or replace function m23.access_warnings(p_job uuid, p_named text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_parts text[] := m23.restored_parts(p_job, p_named);
begin
  return array(
    select case when b.schema_name || '.' || b.table_name = any (v_parts)
        then format('%s says who has access: its rows that come back give access, and those that go take it', n.name)
        else format('%s was left out, because it says who has access: name it in tables to restore it', n.name) end
      from m23.backup_tables b, lateral (select m23.public_name((m23.table_now(b)).relid)) n (name)
     where b.job_id = p_job and m23.is_access_table((m23.table_now(b)).relid)
       and (p_named is null or b.schema_name || '.' || b.table_name = any (v_parts))
     order by n.name);
end $$;
revoke all on function m23.access_warnings(uuid, text[]) from public, anon, authenticated, service_role;

-- The doctor: what is in force on this server, in plain words, and what to do about it.

create type m23.finding as (topic text, state text, finding text, advice text);

-- Protected tables that look as if they said who has access, and are not declared: m23.memberships_of reads them, or
-- they have a user and a role.
create or replace function m23.doctor_access() returns setof m23.finding
language sql stable set search_path = '' as $$
  select m23.public_name(t.relid), 'warning', 'looks as if it said who has access, and a restore takes it along',
         format('if it does, select m23.set_access_tables(array[…, %L]::regclass[]); '
                'a restore leaves it out then, unless it names it', m23.qualified_name(t.relid))
    from m23.protected_tables t join pg_class c on c.oid = t.relid
   where not m23.is_access_table(t.relid)
     and ((select p.prosrc from pg_proc p where p.oid = 'm23.memberships_of(uuid)'::regprocedure)
            ~ format('\m%s\M', regexp_replace(c.relname, '\W', '.', 'g'))
          or (exists (select from pg_attribute a where a.attrelid = t.relid and not a.attisdropped
                         and a.attname ~* '^(role|roles|permissions?)$')
              and exists (select from pg_attribute a where a.attrelid = t.relid and not a.attisdropped
                             and a.attname ~* '^(user|member|profile|account)_?id$')))
   order by 1
$$;
revoke all on function m23.doctor_access() from public, anon, authenticated, service_role;

-- Whether a protected table, or its log, has rows of a tenant. There may be many tables: the locks of each look
-- are given back with it.
create or replace function m23.has_rows(p_tenant text) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_table m23.protected_tables;
  v_look  text;
  v_found boolean := false;
begin
  if m23.logged_tables(array(select id from m23.protected_tables), p_tenant, '0') <> '{}' then return true; end if;
  for v_table in select * from m23.protected_tables order by id loop
    v_look := format('exists (select from %s r where %s)', m23.qualified_name(v_table.relid),
                     m23.belongs_to(v_table, 'r', '$1'));
    continue when v_look is null or m23.qualified_name(v_table.relid) is null or m23.tenant_column(v_table) is null;
    begin
      execute 'select ' || v_look into v_found using p_tenant;
      raise exception 'the locks are given back' using errcode = 'M2303';
    exception when sqlstate 'M2303' then
      if v_found then return true; end if;
    end;
  end loop;
  return false;
end $$;
revoke all on function m23.has_rows(text) from public, anon, authenticated, service_role;

-- Which role may call which function: the contract's table, as the database enforces it.
create or replace function m23.may_call(p_function text, p_role text, p_dry_run boolean) returns boolean
language sql immutable set search_path = '' as $$
  select coalesce(case
    when p_function in ('backup-create', 'recovery-test') then p_role in ('owner', 'admin', 'operator')
    when p_function = 'backup-restore' then p_role in ('owner', 'admin')
    when p_function in ('pitr-restore', 'pitr-rollback') then
      p_role in ('owner', 'admin') or (p_dry_run and p_role = 'operator')
  end, false)
$$;
revoke all on function m23.may_call(text, text, boolean) from public, anon, authenticated, service_role;

-- Whether the caller belongs to a tenant; the service key belongs to all.
create or replace function m23.is_member(p_tenant text) returns boolean
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return m23.is_service() or exists (select from m23.caller_memberships() m where m.tenant_id = p_tenant);
end $$;
revoke all on function m23.is_member(text) from public, anon, authenticated, service_role;

-- Refuses a caller who is not in the tenant with one of the roles; the service key is in all. Gives the tenant as
-- records name it: a caller may write a uuid in upper case.
create or replace function m23.require_role(p_tenant text, p_roles text[]) returns text
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_tenant text := m23.tenant_key(p_tenant);
begin
  if m23.is_service() then return v_tenant; end if;
  perform m23.refuse_anonymous();
  if v_tenant is null or not exists (select from m23.caller_memberships() m where m.tenant_id = v_tenant) then
    perform m23.refuse('TENANT_NOT_FOUND', 'you do not belong to this tenant');
  elsif not exists (select from m23.caller_memberships() m where m.tenant_id = v_tenant and m.role = any (p_roles)) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'your role in this tenant does not allow it');
  end if;
  return v_tenant;
end $$;
revoke all on function m23.require_role(text, text[]) from public, anon, authenticated, service_role;

-- Only the service key may name somebody else.
create or replace function m23.require_self(p_user uuid, p_name text) returns void
language plpgsql stable set search_path = '' as $$
begin
  if not m23.is_service() and p_user is distinct from auth.uid() then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', format('%s must be yourself', p_name));
  end if;
end $$;
revoke all on function m23.require_self(uuid, text) from public, anon, authenticated, service_role;

-- Who looks after all tenants, and may read no tenant's rows for that.
create or replace function m23.require_platform() returns void
language plpgsql stable set search_path = '' as $$
begin
  perform m23.refuse_anonymous();
  if not coalesce(auth.jwt() ->> 'role' = 'service_role'
                  or auth.jwt() -> 'app_metadata' -> 'm23_platform' = 'true', false) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'this is for the platform''s operator');
  end if;
end $$;
revoke all on function m23.require_platform() from public, anon, authenticated, service_role;

-- Upkeep: looks at the newest part of the log that was looked at longest ago, for at most p_limit tenants; gives
-- how many were new.
create or replace function m23.see_tenants(p_limit bigint default 5000) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_look  m23.tenant_looks;
  v_found text[];
  v_new   bigint;
begin
  select t.id, l.reached into v_look.table_id, v_look.reached
    from m23.protected_tables t left join m23.tenant_looks l on l.table_id = t.id
   where to_regclass(m23.log_part(t.id)) is not null order by l.looked_at nulls first, t.id limit 1;
  if v_look.table_id is null then return 0; end if;
  v_found := array(select m23.tenants_in(m23.log_part(v_look.table_id)::regclass, v_look.reached, p_limit));
  insert into m23.seen_tenants (tenant_id) select unnest(v_found) on conflict do nothing;
  get diagnostics v_new = row_count;
  insert into m23.tenant_looks (table_id, reached) values (v_look.table_id, v_found[p_limit])
    on conflict (table_id) do update set reached = excluded.reached, looked_at = clock_timestamp();
  return v_new;
end $$;
comment on function m23.see_tenants(bigint) is
  'For the upkeep: notes tenants whose rows have changed, from one log at a time; gives how many were new.';
revoke all on function m23.see_tenants(bigint) from public, anon, authenticated, service_role;

-- The service: whoever has the service key calls the five functions for a tenant that it names. Nobody
-- need be a member any more: what M23 knows of a tenant outlives its root row and its users.

-- Whether any record of M23's own names a tenant.
create or replace function m23.has_records(p_tenant text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from public.backup_jobs where tenant_id = p_tenant)
      or exists (select from m23.audit_heads where tenant_id = p_tenant)
      or exists (select from m23.requests where tenant_id = p_tenant)
      or exists (select from public.restore_logs where tenant_id = p_tenant)
      or exists (select from public.pitr_snapshots where tenant_id = p_tenant)
      or exists (select from public.recovery_tests where tenant_id = p_tenant)
      or exists (select from public.dr_plans where tenant_id = p_tenant)
      or exists (select from public.health_snapshots where tenant_id = p_tenant);
end $$;
revoke all on function m23.has_records(text) from public, anon, authenticated, service_role;

-- Memberships are asked for by user: only where nothing else is known of a tenant are all of them gone through.
create or replace function m23.has_members(p_tenant text) returns boolean
language plpgsql stable set search_path = '' as $$
declare v_found boolean := exists (select from public.tenant_members where tenant_id = p_tenant);
begin
  if not v_found and to_regclass('auth.users') is not null then
    execute 'select exists (select from auth.users u, m23.memberships_of(u.id) m where m.tenant_id = $1)'
      into v_found using p_tenant;
  end if;
  return v_found;
end $$;
revoke all on function m23.has_members(text) from public, anon, authenticated, service_role;

create or replace function m23.knows_tenant(p_tenant text) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  return p_tenant is not null and (m23.has_records(p_tenant) or m23.has_rows(p_tenant) or m23.has_members(p_tenant));
end $$;
comment on function m23.knows_tenant(text) is
  'Whether any record, protected table, log or membership has heard of a tenant.';
revoke all on function m23.knows_tenant(text) from public, anon, authenticated, service_role;

create or replace function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
language sql stable security definer rows 3 set search_path = '' set row_security = off as
$$ select m.tenant_id, m.role from public.tenant_members m where m.user_id = p_user $$;
comment on function m23.memberships_of(uuid) is
  'The tenants of a user with the role in each. Replace this function to use your own membership table.';
revoke all on function m23.memberships_of(uuid) from public, anon, authenticated, service_role;

-- Who calls ---------------------------------------------------------------------------

create or replace function m23.is_service() returns boolean
language plpgsql stable set search_path = '' as
$$ begin return coalesce(auth.jwt() ->> 'role' = 'service_role', false); end $$;
comment on function m23.is_service() is 'Whether the call is made with the service key.';
revoke all on function m23.is_service() from public, anon, authenticated, service_role;

-- Somebody who has signed in without saying who they are. The edge functions refuse such a token, so the API does.
create or replace function m23.is_anonymous() returns boolean
language plpgsql stable set search_path = '' as
$$ begin return coalesce(auth.jwt() -> 'is_anonymous', 'false') not in ('false', 'null'); end $$;
revoke all on function m23.is_anonymous() from public, anon, authenticated, service_role;

-- Refuses an anonymous sign-in.
create or replace function m23.refuse_anonymous() returns void
language plpgsql stable set search_path = '' as $$
begin
  if m23.is_anonymous() then
    perform m23.refuse('AUTH_REQUIRED', 'this is an anonymous sign-in: sign in as a user first');
  end if;
end $$;
revoke all on function m23.refuse_anonymous() from public, anon, authenticated, service_role;

-- What the caller belongs to; an anonymous sign-in to nothing.
create or replace function m23.caller_memberships() returns table (tenant_id text, role text)
language plpgsql stable security definer rows 3 set search_path = '' set row_security = off as $$
begin
  if not m23.is_anonymous() then
    return query select m.tenant_id, m.role from m23.memberships_of(auth.uid()) m;
  end if;
end $$;
revoke all on function m23.caller_memberships() from public, anon, authenticated, service_role;

-- The tenant that a user with several has picked: a claim that only the server can
-- write (app_metadata). A value that names none of the user's picks nothing.
create or replace function m23.picked_tenant() returns text
language plpgsql stable set search_path = '' as
$$ begin return nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', ''); end $$;
revoke all on function m23.picked_tenant() from public, anon, authenticated, service_role;
grant execute on function m23.picked_tenant() to authenticated, service_role;

create or replace function m23.caller_membership() returns table (tenant_id text, role text)
language plpgsql stable security definer rows 1 set search_path = '' set row_security = off as $$
#variable_conflict use_column
declare v_picked text := m23.tenant_key(m23.picked_tenant());
begin
  return query
  with mine as (
    select m.tenant_id, m.role from m23.caller_memberships() m where v_picked is null or m.tenant_id = v_picked)
  select mine.tenant_id, mine.role from mine where (select count(*) from mine) = 1;
end $$;
comment on function m23.caller_membership() is
  'The caller''s tenant and role: the one picked in app_metadata.tenant_id, else the only one; no row otherwise.';
revoke all on function m23.caller_membership() from public, anon, authenticated, service_role;
grant execute on function m23.caller_membership() to authenticated, service_role;

-- The same in one query: the first write of a session asks for it. It says whose rows an anonymous user writes, too.
create or replace function m23.caller_tenant() returns text
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return (select case when count(*) = 1 then min(m.tenant_id) end
            from (select auth.uid() as id,
                         m23.tenant_key(nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', '')) as picked) caller,
                 lateral m23.memberships_of(caller.id) m
           where caller.picked is null or m.tenant_id = caller.picked);
end $$;
revoke all on function m23.caller_tenant() from public, anon, authenticated, service_role;
grant execute on function m23.caller_tenant() to authenticated, service_role;

-- The tenants in an index that begins with them, one look-up each: a table may have thousands of rows a tenant.
create or replace function m23.tenants_in(p_table regclass, p_after text default null, p_limit bigint default null)
returns setof text
language plpgsql stable rows 1000 set search_path = '' as $$
begin
  return query execute m23.fill($q$
    with recursive found (tenant_id) as (
      (select t.tenant_id from {table} t where $1 is null or t.tenant_id > $1::{type} order by t.tenant_id limit 1)
      union all
      select (select t.tenant_id from {table} t where t.tenant_id > f.tenant_id order by t.tenant_id limit 1)
        from found f where f.tenant_id is not null)
    select tenant_id::text from found where tenant_id is not null limit $2 $q$,
      'table', p_table::text,
      'type', (select format_type(a.atttypid, null) from pg_attribute a
                                        where a.attrelid = p_table and a.attname = 'tenant_id'))
    using p_after, p_limit;
end $$;
revoke all on function m23.tenants_in(regclass, text, bigint) from public, anon, authenticated, service_role;

create or replace function m23.tenants() returns table (tenant_id text, name text)
language plpgsql stable security definer rows 1000 set search_path = '' set row_security = off as $$
begin
  return query select known.id::text, null::text
    from (select m23.tenants_in('public.tenant_members') union select m23.tenants_in('public.backup_jobs')
          union select m23.tenants_in('public.dr_plans') union select m23.tenants_in('public.restore_logs')
          union select m23.tenants_in('public.pitr_snapshots') union select m23.tenants_in('m23.audit_heads')
          union select s.tenant_id from m23.seen_tenants s) known (id);
end $$;
comment on function m23.tenants() is
  'Every tenant, with its name where one is known. Replace this function to use your own table of tenants.';
revoke all on function m23.tenants() from public, anon, authenticated, service_role;
grant execute on function m23.tenants() to service_role;

-- Columns of tables, and what statements say of them.

create type m23.column_shape as (
  attnum    int2,
  name      text,
  type_name text,     -- without length or precision
  native    boolean,  -- a base type of pg_catalog: logged as it is
  plain     boolean,  -- its text holds no character that a COPY line escapes
  key_ord   int,      -- place in the key, from 1; null outside it
  generated boolean,
  identity  "char",
  not_null  boolean
);

select m23.close_table('m23.protected_tables');

create index protected_tables_incarnation on m23.protected_tables (incarnation);

comment on table m23.protected_tables is 'The tables under protection, and since when.';

-- Asked for dozens of times in a restore: planned once, and not for each table.
create or replace function m23.columns_of(p_table oid, p_of_key boolean default false) returns setof m23.column_shape
language plpgsql stable rows 20 set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare v_key int2[] := m23.key_attnums(p_table);
begin
  return query
  select a.attnum, a.attname::text, format_type(a.atttypid, -1),
         t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm'),
         a.atttypid = any (array['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'uuid', 'date', 'time',
                                 'timetz', 'timestamp', 'timestamptz', 'interval', 'oid']::regtype[]::oid[]),
         array_position(v_key, a.attnum), a.attgenerated <> '', a.attidentity, a.attnotnull
    from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and (not p_of_key or a.attnum = any (v_key))
   order by a.attnum;
end $$;
comment on function m23.columns_of(oid, boolean) is
  'The live columns of a table, or those of its key, in order.';
revoke all on function m23.columns_of(oid, boolean) from public, anon, authenticated, service_role;

-- A value's text as PostgreSQL would print it. A cast to text is the same for most
-- types, and faster; it would cut the blanks of char(n).
create or replace function m23.text_of(p_column m23.column_shape, p_alias text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_column.type_name = 'boolean'
    then format('case when %1$s.%2$I then ''t'' when not %1$s.%2$I then ''f'' end', p_alias, p_column.name)
    when p_column.native and p_column.type_name not in ('bpchar', 'character', '"char"', 'inet')
      then format('%s.%I::text', p_alias, p_column.name)
    -- IS NULL also holds for a composite value whose fields are all null, which is no null.
    else format('case when %1$s.%2$I is not distinct from null then null else concat(%1$s.%2$I) end',
                p_alias, p_column.name) end
$$;
revoke all on function m23.text_of(m23.column_shape, text) from public, anon, authenticated, service_role;

-- The type by which a column's values are read where some can be missing: an entry of the log need not carry them all.
-- A domain that refuses nulls gives way to what it is made of.
create or replace function m23.type_with_nulls(p_table oid, p_attnum int2) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (with recursive under (type, depth) as (
      select a.atttypid, 0 from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum
      union all
      select t.typbasetype, u.depth + 1 from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select format_type((array_agg(u.type order by case when of.refuses then -u.depth else u.depth end))[1], -1)
      from under u
     cross join (select bool_or(t.typnotnull) as refuses from under x join pg_type t on t.oid = x.type) of);
end $$;
revoke all on function m23.type_with_nulls(oid, int2) from public, anon, authenticated, service_role;

-- The name of the column that holds a row's tenant.


-- The columns of a table that hold values of their own, for a select list.
create or replace function m23.select_list(p_relid oid, p_alias text) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated
$$;
revoke all on function m23.select_list(oid, text) from public, anon, authenticated, service_role;

-- Definitions: the SQL that makes a protected table again where there is none, with the types
-- that it uses. A manifest carries it, so that the bucket alone can bring a tenant back.
-- Functions, triggers and roles of the application are not part of it.

-- The statement that makes a sequence again, without its owner.
create or replace function m23.sequence_definition(p_sequence oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('create sequence if not exists %s as %s increment %s minvalue %s maxvalue %s start %s%s',
                m23.qualified_name(s.seqrelid), format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax,
                s.seqstart, case when s.seqcycle then ' cycle' end)
    from pg_sequence s where s.seqrelid = p_sequence);
end $$;
revoke all on function m23.sequence_definition(oid) from public, anon, authenticated, service_role;

-- A collation of the application's. What describes its locale is called otherwise in each version.
create or replace function m23.collation_definition(p_collation pg_collation) returns text
language plpgsql stable set search_path = '' as $$
declare v_facts jsonb := to_jsonb(p_collation);
begin
  return format('create collation if not exists %I.%I (provider = %s, %s%s%s)',
    p_collation.collnamespace::regnamespace::name, p_collation.collname,
    case p_collation.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
    case p_collation.collprovider
      when 'c' then format('lc_collate = %L, lc_ctype = %L', p_collation.collcollate, p_collation.collctype)
      else format('locale = %L', coalesce(v_facts ->> 'colllocale', v_facts ->> 'colliculocale')) end,
    case when not p_collation.collisdeterministic then ', deterministic = false' end,
    ', rules = ' || quote_literal(v_facts ->> 'collicurules'));
end $$;
revoke all on function m23.collation_definition(pg_collation) from public, anon, authenticated, service_role;

-- Tables --------------------------------------------------------------------------------

-- The options of an identity column's sequence; null for another column.
create or replace function m23.identity_options(p_column pg_attribute) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format(' (increment %s minvalue %s maxvalue %s start %s%s)',
                        s.seqincrement, s.seqmin, s.seqmax, s.seqstart, case when s.seqcycle then ' cycle' end)
            from pg_depend d join pg_sequence s on s.seqrelid = d.objid
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
             and d.refobjid = p_column.attrelid and d.refobjsubid = p_column.attnum);
end $$;
revoke all on function m23.identity_options(pg_attribute) from public, anon, authenticated, service_role;

-- A column as `create table` has it, without its default.
create or replace function m23.column_definition(p_column pg_attribute) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat(quote_ident(p_column.attname), ' ', format_type(p_column.atttypid, p_column.atttypmod),
    (select format(' collate %I.%I', n.nspname, c.collname)
       from pg_collation c
       join pg_namespace n on n.oid = c.collnamespace
       join pg_type t on t.oid = p_column.atttypid
      where c.oid = p_column.attcollation and c.oid <> t.typcollation),
    case p_column.attidentity when 'a' then ' generated always as identity'
                              when 'd' then ' generated by default as identity' end,
    m23.identity_options(p_column),
    case when p_column.attgenerated <> '' then (
      select format(' generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                    case p_column.attgenerated when 's' then 'stored' else 'virtual' end)
        from pg_attrdef d where d.adrelid = p_column.attrelid and d.adnum = p_column.attnum) end,
    case when p_column.attnotnull then ' not null' end));
end $$;
revoke all on function m23.column_definition(pg_attribute) from public, anon, authenticated, service_role;

-- The sequences that a table's defaults take their values from.
create or replace function m23.sequences_of(p_relid oid) returns table (name text, definition text, owned_by text)
language plpgsql stable rows 2 set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select distinct m23.qualified_name(c.oid), m23.sequence_definition(c.oid),
         (select format('%s.%I', m23.qualified_name(o.refobjid), a.attname)
            from pg_depend o join pg_attribute a on a.attrelid = o.refobjid and a.attnum = o.refobjsubid
           where o.classid = 'pg_class'::regclass and o.objid = c.oid and o.deptype = 'a' and o.refobjid = p_relid)
    from pg_attrdef d
    -- By its index: without statistics the planner reads all dependencies there are.
    cross join lateral (select refobjid from pg_depend where classid = 'pg_attrdef'::regclass and objid = d.oid
        and refclassid = 'pg_class'::regclass offset 0) p
    join pg_class c on c.oid = p.refobjid and c.relkind = 'S'
   where d.adrelid = p_relid;
end $$;
revoke all on function m23.sequences_of(oid) from public, anon, authenticated, service_role;

-- The statements that make a table and its partitions, in order, without keys and defaults.
create or replace function m23.create_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('create schema if not exists %I', n.nspname) from pg_class c
      join pg_namespace n on n.oid = c.relnamespace where c.oid = p_relid)
      || array(select s.definition from m23.sequences_of(p_relid) s order by 1)
      || (select format('create table %s (%s)%s', m23.qualified_name(p_relid),
                        string_agg(m23.column_definition(a), ', ' order by a.attnum),
                        case c.relkind when 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end)
            from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           where c.oid = p_relid group by c.oid, c.relkind)
      || array(select format('create table %s partition of %s %s%s', m23.qualified_name(t.relid),
                             m23.qualified_name(t.parentrelid), pg_get_expr(c.relpartbound, c.oid),
                             case c.relkind when 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end)
                 from pg_partition_tree(p_relid) t join pg_class c on c.oid = t.relid where t.level > 0
                     order by t.level, 1));
end $$;
revoke all on function m23.create_statements(oid) from public, anon, authenticated, service_role;

-- The statement that makes a policy again.
create or replace function m23.policy_statement(p_policy pg_policy) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat(format('create policy %I on %s as %s for %s to ', p_policy.polname,
      m23.qualified_name(p_policy.polrelid),
      case when p_policy.polpermissive then 'permissive' else 'restrictive' end,
      case p_policy.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                           else 'all' end),
    (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
       from unnest(p_policy.polroles) r),
    ' using (' || pg_get_expr(p_policy.polqual, p_policy.polrelid) || ')',
    ' with check (' || pg_get_expr(p_policy.polwithcheck, p_policy.polrelid) || ')'));
end $$;
revoke all on function m23.policy_statement(pg_policy) from public, anon, authenticated, service_role;

-- The statements that make a table's foreign keys again.
create or replace function m23.reference_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('alter table %s add constraint %I %s', m23.qualified_name(p_relid), k.conname,
      pg_get_constraintdef(k.oid))
                 from pg_constraint k where k.conrelid = p_relid and k.contype = 'f' and k.conparentid = 0
                     order by k.conname));
end $$;
revoke all on function m23.reference_statements(oid) from public, anon, authenticated, service_role;

create or replace function m23.table_definition(p_relid oid) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_build_object('create', m23.create_statements(p_relid), 'finish', m23.finish_statements(p_relid),
      'references', m23.reference_statements(p_relid)));
end $$;
comment on function m23.table_definition(oid) is
  'The SQL that makes a table again: first `create`, then `finish`, and `references` when all tables are there.';
revoke all on function m23.table_definition(oid) from public, anon, authenticated, service_role;

-- The protected tables that names mean, all of them looked up at once: `orders` or `schema.orders`, raw. Either part
-- may have dots in it, so a name is cut at each of them, and looked for where it would stand.
create or replace function m23.find_tables(p_names text[]) returns table (n bigint, name text, tbl m23.protected_tables)
language plpgsql stable security definer rows 20 set search_path = '' set row_security = off
set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select distinct on (u.n) u.n, u.name, t
    from unnest(p_names) with ordinality u (name, n)
   cross join lateral (
      select 'public' as schema, u.name as relation
      union all
      select left(u.name, dot - 1), substr(u.name, dot + 1) from generate_series(1, length(u.name)) dot
       where substr(u.name, dot, 1) = '.') called
    join pg_namespace s on s.nspname = called.schema
    join pg_class c on c.relnamespace = s.oid and c.relname = called.relation
    join m23.protected_tables t on t.relid = c.oid
   order by u.n, t.id;
end $$;
revoke all on function m23.find_tables(text[]) from public, anon, authenticated, service_role;

-- Keys, unique and check constraints, defaults, indexes, row-level security, grants to the API's roles.
create or replace function m23.finish_statements(p_relid oid) returns text[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return (select array(select format('alter table %s alter column %I set default %s', m23.qualified_name(p_relid),
      a.attname, pg_get_expr(d.adbin, d.adrelid))
                 from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
                where d.adrelid = p_relid and a.attgenerated = '' order by a.attnum)
      || array(select format('alter sequence %s owned by %s', s.name, s.owned_by)
                 from m23.sequences_of(p_relid) s where s.owned_by is not null order by 1)
      || array(select format('alter table %s add constraint %I %s', m23.qualified_name(p_relid), k.conname,
                             pg_get_constraintdef(k.oid))
                 from pg_constraint k where k.conrelid = p_relid and k.contype in ('p', 'u', 'c', 'x') and k.conislocal
                order by array_position(array['p', 'u', 'x', 'c'], k.contype::text), k.conname)
      || array(select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = p_relid
                  and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = p_relid
                                                                and k.contype in ('p', 'u', 'x')) order by 1)
      || array(select format('alter table %s %s', m23.qualified_name(p_relid), what) from pg_class c, unnest(array[
                 case when c.relrowsecurity then 'enable row level security' end,
                 case when c.relforcerowsecurity then 'force row level security' end]) what
                where c.oid = p_relid and what is not null)
      || array(select m23.policy_statement(p) from pg_policy p where p.polrelid = p_relid order by p.polname)
      || array(select format('grant %s on %s to %I',
                             string_agg(lower(a.privilege_type), ', ' order by a.privilege_type),
                             m23.qualified_name(p_relid), a.grantee::regrole::name)
                 from pg_class c, aclexplode(c.relacl) a
                where c.oid = p_relid
                  and a.grantee in (select oid from pg_roles where rolname in ('anon', 'authenticated', 'service_role'))
                group by a.grantee order by 1));
end $$;
revoke all on function m23.finish_statements(oid) from public, anon, authenticated, service_role;

-- Foreign keys, and what the catalogue says of them.

-- The definition of a foreign key, as `add constraint` takes it, with another parent of the same columns.
create or replace function m23.foreign_key_definition(p_key pg_constraint, p_parent oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return concat(
    format('foreign key (%s) references %s (%s)', m23.columns_of_key(p_key, p_key.conrelid, p_key.conkey),
           m23.qualified_name(p_parent), m23.columns_of_key(p_key, p_key.confrelid, p_key.confkey)),
    case p_key.confmatchtype when 'f' then ' match full' end,
    ' on update ' || m23.referential_action(p_key.confupdtype),
    ' on delete ' || m23.referential_action(p_key.confdeltype),
    (select format(' (%s)', string_agg(quote_ident(a.attname), ', '))
       from pg_attribute a where a.attrelid = p_key.conrelid and a.attnum = any (p_key.confdelsetcols)
     having count(*) > 0),
    case when p_key.condeferrable then ' deferrable' end,
    case when p_key.condeferred then ' initially deferred' end,
    case when not m23.is_enforced(p_key) then ' not enforced' when not p_key.convalidated then ' not valid' end);
end $$;
revoke all on function m23.foreign_key_definition(pg_constraint, oid) from public, anon, authenticated, service_role;

-- The columns of one side of a foreign key, as a list.
create or replace function m23.columns_of_key(p_key pg_constraint, p_relid oid, p_attnums int2[]) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(case when m23.is_temporal(p_key) and k.n = cardinality(p_attnums) then 'period ' else '' end
                            || quote_ident(a.attname), ', ' order by k.n)
            from unnest(p_attnums) with ordinality k (attnum, n)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = k.attnum);
end $$;
revoke all on function m23.columns_of_key(pg_constraint, oid, int2[]) from public, anon, authenticated, service_role;

-- What a foreign key does with its rows, by the catalogue's letter.
create or replace function m23.referential_action(p_action "char") returns text
language sql immutable set search_path = '' as $$
  select case p_action when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null'
                       when 'd' then 'set default' else 'no action' end
$$;
revoke all on function m23.referential_action("char") from public, anon, authenticated, service_role;

-- Whether a constraint is kept at all: from PostgreSQL 18 on it may say that it is not.
create or replace function m23.is_enforced(p_constraint pg_constraint) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return current_setting('server_version_num')::int < 180000 or (to_jsonb(p_constraint) ->> 'conenforced')::boolean;
end $$;
revoke all on function m23.is_enforced(pg_constraint) from public, anon, authenticated, service_role;

-- Whether a foreign key has PERIOD: several rows together may be what a row of it refers to.
create or replace function m23.is_temporal(p_constraint pg_constraint) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return current_setting('server_version_num')::int >= 180000 and (to_jsonb(p_constraint) ->> 'conperiod')::boolean;
end $$;
revoke all on function m23.is_temporal(pg_constraint) from public, anon, authenticated, service_role;

-- Whether a table, or a partition of it, has code of the application's: in the types of its columns, in what hangs on
-- them (constraints, defaults, indexes), or by triggers and rules. What PostgreSQL brings along is in no pg_depend.
create or replace function m23.has_own_code(p_relid oid) returns boolean
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_relids constant oid[] := m23.with_partitions(p_relid);
  v_code   constant oid[] := array['pg_proc', 'pg_operator', 'pg_opclass', 'pg_type']::regclass[];
begin
  return exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = any (v_relids)
                    and d.refclassid = any (v_code))
      or exists (select from pg_depend p join pg_depend d on d.classid = p.classid and d.objid = p.objid
                  where p.refclassid = 'pg_class'::regclass and p.refobjid = any (v_relids)
                    and p.classid = any (array['pg_constraint', 'pg_attrdef', 'pg_class']::regclass[])
                    and d.refclassid = any (v_code))
      or exists (select from pg_trigger t
                  where t.tgrelid = any (v_relids) and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_')
      or exists (select from pg_rewrite r where r.ev_class = any (v_relids))
      or exists (select from m23.fills f join m23.protected_tables t on t.id = f.table_id
                  where t.relid = any (v_relids));
end $$;
revoke all on function m23.has_own_code(oid) from public, anon, authenticated, service_role;

-- The index by whose columns a table's rows are told apart: the primary key's, else a unique one that is checked at
-- once, holds every row and refuses nulls; of several the one of the replica identity, then the one with the
-- fewest columns. Null where there is none.
create or replace function m23.key_index(p_table oid) returns oid
language plpgsql stable set search_path = '' as $$
declare v_index oid := (select i.indexrelid from pg_index i where i.indrelid = p_table and i.indisprimary);
begin
  if v_index is not null then return v_index; end if;
  return (
    select i.indexrelid
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
     where i.indrelid = p_table and i.indisunique and i.indimmediate and i.indisvalid and i.indisready
       and i.indpred is null and i.indexprs is null and m.amname = 'btree'
       and not exists (select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
                        where not m23.refuses_nulls(p_table, k.attnum))
     order by i.indisreplident desc, i.indnkeyatts, i.indexrelid limit 1);
end $$;
revoke all on function m23.key_index(oid) from public, anon, authenticated, service_role;

-- Whether a column is an ordinary one that has no nulls: NOT NULL, also for rows of before.
create or replace function m23.refuses_nulls(p_table oid, p_attnum int2) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select a.attnotnull and a.attgenerated = '' and not exists (
             select from pg_constraint k  -- NOT NULL that is NOT VALID
              where k.conrelid = p_table and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum])
            from pg_attribute a where a.attrelid = p_table and a.attnum = p_attnum);
end $$;
revoke all on function m23.refuses_nulls(oid, int2) from public, anon, authenticated, service_role;

-- Primary keys: their columns, and the conditions and lists that find and order rows by them.

create or replace function m23.key_attnums(p_table oid) returns int2[]
language plpgsql stable set search_path = '' as $$
begin
  return (select (indkey::int2[])[0:indnkeyatts - 1] from pg_index where indexrelid = m23.key_index(p_table));
end $$;
comment on function m23.key_attnums(oid) is
  'The columns of a table''s key (m23.key_index), in its order; what the index includes besides is no part of it.';
revoke all on function m23.key_attnums(oid) from public, anon, authenticated, service_role;

-- The operator with which an index compares its column; null where there is none. Strategy 3 is equal, 5 is greater.
create or replace function m23.comparison_operator(p_index oid, p_ord int, p_strategy int) returns oid
language plpgsql stable set search_path = '' as $$
begin
  return (select a.amopopr
      from pg_index i
      join pg_opclass c on c.oid = i.indclass[p_ord - 1]
      join pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = p_strategy
                    and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
     where i.indexrelid = p_index);
end $$;
revoke all on function m23.comparison_operator(oid, int, int) from public, anon, authenticated, service_role;

-- How an index compares its column, by name: with an empty search path `=` would not find the
-- operator of a type such as citext.
create or replace function m23.comparison(p_index oid, p_ord int, p_strategy int) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
           where o.oid = m23.comparison_operator(p_index, p_ord, p_strategy));
end $$;
revoke all on function m23.comparison(oid, int, int) from public, anon, authenticated, service_role;

-- The operator by which an index finds its column equal.
create or replace function m23.equality(p_index oid, p_ord int) returns text
language plpgsql stable set search_path = '' as $$ begin return m23.comparison(p_index, p_ord, 3); end $$;
revoke all on function m23.equality(oid, int) from public, anon, authenticated, service_role;

-- The columns of a table's key, of a row p_alias, as a list.
create or replace function m23.key_list(p_relid oid, p_alias text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c);
end $$;
revoke all on function m23.key_list(oid, text) from public, anon, authenticated, service_role;

-- The condition that two rows have the same key.
create or replace function m23.key_match(p_relid oid, p_left text, p_right text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('%1$s.%3$I %4$s %2$s.%3$I', p_left, p_right, c.name,
                                   m23.equality(i.indexrelid, c.key_ord)), ' and ' order by c.key_ord)
      from m23.columns_of(p_relid, p_of_key => true) c join pg_index i on i.indexrelid = m23.key_index(p_relid));
end $$;
revoke all on function m23.key_match(oid, text, text) from public, anon, authenticated, service_role;

-- The condition that a row `r` comes after a key (a parameter, text[] or null), in the order of the key's index. One
-- comparison of rows, which an index can answer, where the columns share their operator.
create or replace function m23.key_after(p_relid oid, p_after text default '$3') returns text
language plpgsql stable set search_path = '' as $$
begin
  return (with keys as (
      select c.key_ord as n, format('r.%I', c.name) as mine,
             format('(%s[%s])::%s', p_after, c.key_ord, c.type_name) as given,
             m23.comparison(i.indexrelid, c.key_ord, 3) as equals, m23.comparison(i.indexrelid, c.key_ord, 5) as follows
        from m23.columns_of(p_relid, p_of_key => true) c
        join pg_index i on i.indexrelid = m23.key_index(p_relid))
    select format('(%s is null or %s)', p_after, case when count(distinct follows) = 1
        then format('(%s) %s (%s)', string_agg(mine, ', ' order by n), min(follows), string_agg(given, ', ' order by n))
        else '(' || string_agg((select concat(string_agg(format('%s %s %s and ', b.mine, b.equals, b.given),
                                                         '' order by b.n))
                                  from keys b where b.n < k.n)
                               || format('%s %s %s', mine, follows, given), ' or ' order by n) || ')' end)
      from keys k);
end $$;
revoke all on function m23.key_after(oid, text) from public, anon, authenticated, service_role;

-- The condition that the key of a row is among those of a relation. As a list that is hashed
-- once: the planner cannot know how long it is, and would compare every row with every other.
create or replace function m23.key_in(p_relid oid, p_alias text, p_relation text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when count(distinct e.equality) = 1 then
        format('(%s) %s any (select %s from %s t)', m23.key_list(p_relid, p_alias), min(e.equality),
               m23.key_list(p_relid, 't'), p_relation)
      else format('exists (select from %s t where %s)', p_relation, m23.key_match(p_relid, 't', p_alias)) end
      from (select m23.equality(i.indexrelid, c.key_ord) as equality
              from m23.columns_of(p_relid, p_of_key => true) c
              join pg_index i on i.indexrelid = m23.key_index(p_relid)) e);
end $$;
revoke all on function m23.key_in(oid, text, text) from public, anon, authenticated, service_role;

-- Whoever reads several tables in one transaction takes them all before the first of them, and waits
-- for one while holding none: a TRUNCATE or schema change of several never comes to a deadlock with
-- it. Waits are shorter than the server takes to look for one.
create or replace function m23.lock_tables(p_tables oid[]) returns void
language plpgsql volatile set search_path = '' set lock_timeout = '200ms' as $$
declare
  v_deadline timestamptz := clock_timestamp() + interval '5 seconds';  -- an API role's statements end after eight
  v_tables   text;
begin
  loop
    v_tables := (select string_agg(m23.qualified_name(c.oid), ', ' order by c.oid)
                   from pg_class c where c.oid = any (p_tables));
    if v_tables is null then return; end if;
    begin
      execute format('lock table %s in access share mode', v_tables);
      return;
    -- undefined_table: it was dropped or renamed meanwhile.
    exception when lock_not_available or deadlock_detected or undefined_table then
      if clock_timestamp() > v_deadline then
        perform m23.refuse('UNAVAILABLE', 'another transaction, such as a schema change, has held a table for '
                                          'five seconds; nothing was done, try again');
      end if;
    end;
    perform pg_sleep(0.02);
  end loop;
end $$;
revoke all on function m23.lock_tables(oid[]) from public, anon, authenticated, service_role;

-- Names of tables: as SQL has them, as callers write them, and as a backup has them.

-- The name of a table for a statement: `schema.table`, quoted where it has to be.
create or replace function m23.qualified_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%I.%I', n.nspname, c.relname)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;
revoke all on function m23.qualified_name(oid) from public, anon, authenticated, service_role;

-- `schema.table`, never quoted.
create or replace function m23.raw_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select n.nspname || '.' || c.relname
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;
revoke all on function m23.raw_name(oid) from public, anon, authenticated, service_role;

-- The name as callers write it: `orders` in public, `schema.orders` elsewhere, never quoted.
create or replace function m23.public_name(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;
revoke all on function m23.public_name(oid) from public, anon, authenticated, service_role;

-- The parts of a name, null where a text is none.
create or replace function m23.parts_of_name(p_name text) returns text[]
language plpgsql immutable set search_path = '' as $$
begin
  return parse_ident(p_name);
exception when invalid_parameter_value then return null;
end $$;
revoke all on function m23.parts_of_name(text) from public, anon, authenticated, service_role;

-- The parts of a backup (`schema.table`, as it has them) by the names that a caller can mean them by: what is called so
-- now goes before what was called so then.
create or replace function m23.parts_called(p_job uuid) returns table (name text, part_name text)
language plpgsql volatile rows 20 set search_path = '' as $$
begin
  return query
  select distinct on (c.name) c.name, k.part_name
    from (select b.ordinal, b.schema_name, b.table_name, b.schema_name || '.' || b.table_name as part_name, n.relid
            from m23.backup_tables b cross join lateral (select (m23.table_now(b)).relid offset 0) n (relid)
           where b.job_id = p_job) k
   cross join lateral (values (m23.public_name(k.relid), true), (m23.raw_name(k.relid), true), (k.part_name, false),
                              (case k.schema_name when 'public' then k.table_name end, false)) c (name, is_now)
   where c.name is not null order by c.name, c.is_now desc, k.ordinal;
end $$;
revoke all on function m23.parts_called(uuid) from public, anon, authenticated, service_role;

-- The present names, `schema.table`, of a backup's tables, given by the names that it has for them; null for all that
-- are still protected.
create or replace function m23.names_now(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return array(select m23.raw_name((n.t).relid) from m23.backup_tables b
                cross join lateral (select m23.table_now(b) as t offset 0) n
                where b.job_id = p_job and (n.t).id is not null
                  and (p_tables is null or b.schema_name || '.' || b.table_name = any (p_tables)) order by b.ordinal);
end $$;
revoke all on function m23.names_now(uuid, text[]) from public, anon, authenticated, service_role;

-- The protected tables that callers' names mean.
create or replace function m23.relations_named(p_tables text[]) returns oid[]
language plpgsql stable set search_path = '' as
$$ begin return array(select t.relid from m23.tables_named(p_tables) t); end $$;
revoke all on function m23.relations_named(text[]) from public, anon, authenticated, service_role;

-- The same by their present names, as callers write them.
create or replace function m23.public_names(p_tables text[]) returns text[]
language sql stable set search_path = '' as
$$ select array_agg(m23.public_name(t.relid) order by 1) from m23.tables_named(p_tables) t $$;
revoke all on function m23.public_names(text[]) from public, anon, authenticated, service_role;

-- The application's own code: functions in checks, indexes, generated columns, domains, defaults and triggers of a
-- table, and operators of its types. The application runs it under a search path of its own, and such code may find
-- other things by name alone. So may statements of a restore set it off, and reads as well: to plan one, the server
-- takes index expressions in SQL apart. While a statement touches such a table, the search path of the table's owner in
-- this database is in force:
--
--   for that one statement: it is set in a function that pins its path, and so ends with it
--   after pg_catalog, and pg_temp last. A name in a statement of ours is qualified, or is pg_catalog's for just the
--     types that it stands with: no other schema comes before that
--   without schemas in which PUBLIC, anon or authenticated may create: whoever can call M23 plants nothing there.
--     m23.doctor() names them
--
-- Where a table has no code of the application's, the path stays empty.

-- Who of the unknown may create in a schema: null where that is nobody.
create or replace function m23.open_for(p_schema oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return case when has_schema_privilege('public', p_schema, 'create') then 'PUBLIC'
    else (select string_agg(r, ', ') from unnest('{anon,authenticated}'::text[]) r
           where has_schema_privilege(r, p_schema, 'create')) end;
end $$;
revoke all on function m23.open_for(oid) from public, anon, authenticated, service_role;

-- The server's own setting, for roles and databases without one. The session's is not asked: whoever connects sets it.
create or replace function m23.server_setting(p_name text) returns text
language plpgsql stable set search_path = '' as $$
declare v_value text;
begin
  if has_table_privilege('pg_catalog.pg_file_settings', 'select')
     and has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute') then
    select f.setting into v_value from pg_file_settings f
     where f.name = p_name and f.error is null order by f.seqno desc limit 1;
  end if;
  return coalesce(v_value, (select s.boot_val from pg_settings s where s.name = p_name));
end $$;
revoke all on function m23.server_setting(text) from public, anon, authenticated, service_role;

-- A setting as a role that connects to this database has it.
create or replace function m23.setting_of_role(p_role oid, p_name text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return coalesce((
    select substr(c, length(p_name) + 2)
      from pg_db_role_setting s, unnest(s.setconfig) c
     where starts_with(c, p_name || '=') and s.setrole in (0, p_role)
       and s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database()))
     order by s.setrole <> 0 desc, s.setdatabase <> 0 desc limit 1), m23.server_setting(p_name));
end $$;
revoke all on function m23.setting_of_role(oid, text) from public, anon, authenticated, service_role;

-- The schemas of a role's search path in this database, as far as they are there for it, in order; `open` names who of
-- the unknown may create in one.
create or replace function m23.path_of_role(p_role oid) returns table (name text, open text)
language plpgsql stable rows 3 set search_path = '' as $$
begin
  return query
  select n.nspname::text, m23.open_for(n.oid)
    from regexp_matches(m23.setting_of_role(p_role, 'search_path'), '"((?:[^"]|"")*)"|([^",[:space:]]+)', 'g')
         with ordinality m (part, ord)
    cross join lateral (select coalesce(replace(m.part[1], '""', '"'), lower(m.part[2])) as said) p
    join pg_namespace n on n.nspname = case p.said when '$user' then pg_get_userbyid(p_role) else p.said end
   where n.nspname <> 'pg_catalog' and n.nspname !~ '^pg_(temp|toast)' and has_schema_privilege(p_role, n.oid, 'usage')
   order by m.ord;
end $$;
revoke all on function m23.path_of_role(oid) from public, anon, authenticated, service_role;

-- A table with its partitions, found without a look at all relations.
create or replace function m23.with_partitions(p_relid oid) returns oid[]
language plpgsql stable strict set search_path = '' as
$$ begin return p_relid || array(select t.relid::oid from pg_partition_tree(p_relid) t where t.level > 0); end $$;
revoke all on function m23.with_partitions(oid) from public, anon, authenticated, service_role;

-- The search path that is in force while a statement touches a table.
create or replace function m23.path_of(p_relid oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  if not m23.has_own_code(p_relid) then return ''; end if;
  return (select concat('pg_catalog, ', string_agg(quote_ident(s.name) || ', ', '' order by s.n), 'pg_temp')
            from pg_class c, m23.path_of_role(c.relowner) with ordinality s (name, open, n)
           where c.oid = p_relid and s.open is null);
end $$;
revoke all on function m23.path_of(oid) from public, anon, authenticated, service_role;

-- Executes a statement under a path; gives how many rows it took.
create or replace function m23.run(p_path text, p_statement text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_path, true);  -- until this function ends: it has one of its own
  execute p_statement;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
revoke all on function m23.run(text, text) from public, anon, authenticated, service_role;

-- The number that a query gives, under a path.
create or replace function m23.number_of(p_path text, p_query text) returns numeric
language plpgsql volatile set search_path = '' as $$
declare v_number numeric;
begin
  perform set_config('search_path', p_path, true);
  execute p_query into v_number;
  return v_number;
end $$;
revoke all on function m23.number_of(text, text) from public, anon, authenticated, service_role;

-- Makes a table like another, with what p_including says and its indexes; gives whether it has them. From PostgreSQL 17
-- on, CREATE INDEX has a search path of its own: where the functions of an index do not get by with it, the table has
-- its primary key alone. Nor could a dump of the database be restored then.
create or replace function m23.make_like(p_table text, p_relid oid, p_including text, p_path text) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_like text := format('create table %s (like %s %s', p_table, m23.qualified_name(p_relid), p_including);
  v_key  text := (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_relid)) k);
begin
  begin
    perform m23.run(p_path, v_like || ' including indexes)');
    return true;
  exception when syntax_error_or_access_rule_violation then  -- such as a function that is not there
    perform m23.run(p_path, format('%s, primary key (%s))', v_like, v_key));
    return false;
  end;
end $$;
revoke all on function m23.make_like(text, oid, text, text) from public, anon, authenticated, service_role;

-- The protected table that a name means; null where it means none.
create or replace function m23.find_table(p_name text) returns m23.protected_tables
language plpgsql stable security definer set search_path = '' set row_security = off as
$$ begin return (select f.tbl from m23.find_tables(array[p_name]) f); end $$;
revoke all on function m23.find_table(text) from public, anon, authenticated, service_role;

-- The protected tables that names mean, each once.
create or replace function m23.tables_named(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query select distinct on ((f.tbl).id) (f.tbl).* from m23.find_tables(p_names) f order by (f.tbl).id;
end $$;
revoke all on function m23.tables_named(text[]) from public, anon, authenticated, service_role;

-- The same; null for all that are protected.
create or replace function m23.chosen(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 set search_path = '' as $$
begin
  if p_names is not null then return query select * from m23.tables_named(p_names); return; end if;
  return query select t.* from m23.protected_tables t join pg_class c on c.oid = t.relid order by t.id;
end $$;
revoke all on function m23.chosen(text[]) from public, anon, authenticated, service_role;

-- The tables among them whose logs can have changes of a tenant from a transaction on.
create or replace function m23.tables_with_entries(p_names text[], p_tenant text, p_from xid8)
  returns setof m23.protected_tables
language plpgsql volatile rows 20 set search_path = '' as $$
declare
  v_ids int[] := m23.logged_tables(array(select t.id from m23.chosen(p_names) t), p_tenant, coalesce(p_from, '0'));
begin
  return query select t.* from m23.protected_tables t where t.id = any (v_ids) order by t.id;
end $$;
revoke all on function m23.tables_with_entries(text[], text, xid8) from public, anon, authenticated, service_role;

-- The names that mean no protected table, a sentence each.
create or replace function m23.table_faults(p_tables text[]) returns text[]
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return array(select format('tables: "%s" is not a protected table', u.name)
                 from unnest(p_tables) with ordinality u (name, n)
                where u.n not in (select f.n from m23.find_tables(p_tables) f) order by u.n);
end $$;
revoke all on function m23.table_faults(text[]) from public, anon, authenticated, service_role;

-- As the edge functions have it.
create or replace function m23.is_system_schema(p_schema text) returns boolean
language sql immutable set search_path = '' as $$
  select lower(p_schema) ~ '^(m23_|pg_|supabase_)' or lower(p_schema) in (
    'auth', 'cron', 'dbdev', 'extensions', 'graphql', 'graphql_public', 'information_schema', 'm23', 'net', 'pgbouncer',
    'pgmq', 'pgsodium', 'pgsodium_masks', 'pgtle', 'public', 'realtime', 'repack', 'storage', 'tiger', 'vault')
$$;
revoke all on function m23.is_system_schema(text) from public, anon, authenticated, service_role;

-- Why rows cannot be restored into a new schema of that name; empty where they can, or where none is asked for.
create or replace function m23.schema_faults(p_schema text) returns text[]
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_oid oid;
begin
  if p_schema is null then
    return '{}';
  end if;
  v_oid := (select oid from pg_namespace where nspname = p_schema);
  -- One sentence for all, which does not tell what there is.
  if m23.is_system_schema(p_schema)
     or exists (select from pg_class where relnamespace = v_oid)
     or exists (select from pg_proc where pronamespace = v_oid)
     or exists (select from pg_type where typnamespace = v_oid) then
    return array[format('targetSchema: "%s" is not free; choose another name', p_schema)];
  end if;
  return '{}';
end $$;
revoke all on function m23.schema_faults(text) from public, anon, authenticated, service_role;

-- The shape of a table, as a manifest has it.

create or replace function m23.shape_of(p_relid oid) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.name, 'type', c.type_name,
           'not_null', c.not_null,
           'identity', nullif(c.identity::text, ''))) order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated);
end $$;
comment on function m23.shape_of(oid) is
  'The columns of a table that hold values of their own, as a manifest lists them.';
revoke all on function m23.shape_of(oid) from public, anon, authenticated, service_role;

-- The names of a table's key columns, in the order of the key.
create or replace function m23.key_of(p_relid oid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(c.name order by c.key_ord) from m23.columns_of(p_relid, p_of_key => true) c);
end $$;
revoke all on function m23.key_of(oid) from public, anon, authenticated, service_role;

-- The tenant column: whose a row is. A caller names a tenant by the text of the application's own key, whatever the
-- column's type; a log keeps it as uuid, bigint or text, so that one tenant may be an int here and a bigint there.

-- The name of a table's tenant column; null when it was dropped.
create or replace function m23.tenant_column(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select attname::text from pg_attribute
           where attrelid = p_table.relid and attnum = p_table.tenant_attnum and not attisdropped);
end $$;
revoke all on function m23.tenant_column(m23.protected_tables) from public, anon, authenticated, service_role;

-- The type in which a log keeps the tenants of a column of this type; null where it cannot be a tenant column.
create or replace function m23.tenant_type(p_type oid) returns text
language sql stable set search_path = '' as $$
  select case when t.base = 'uuid'::regtype then 'uuid'
              when t.base in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then 'bigint'
              when t.base in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) then 'text'
              when m23.is_citext(t.base) then 'text' end
    from (select m23.base_type(p_type)) t (base)
$$;
revoke all on function m23.tenant_type(oid) from public, anon, authenticated, service_role;

-- The type that a domain is made of, however deep; any other type itself.
create or replace function m23.base_type(p_type oid) returns oid
language sql stable set search_path = '' as $$
  with recursive types (id, depth) as (
    select p_type, 0
    union all
    select t.typbasetype, types.depth + 1 from types join pg_type t on t.oid = types.id where t.typtype = 'd')
  select id from types order by depth desc limit 1
$$;
revoke all on function m23.base_type(oid) from public, anon, authenticated, service_role;

-- Whether a type is the extension citext's.
create or replace function m23.is_citext(p_type oid) returns boolean
language sql stable set search_path = '' as $$
  select exists (select from pg_type t
                   join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
                   join pg_extension e on e.oid = d.refobjid
                  where t.oid = p_type and t.typname = 'citext' and e.extname = 'citext')
$$;
revoke all on function m23.is_citext(oid) from public, anon, authenticated, service_role;

-- The type of a table's tenant column, domains resolved.
create or replace function m23.tenant_base_type(p_table m23.protected_tables) returns oid
language plpgsql stable set search_path = '' as $$
begin
  return (select m23.base_type(a.atttypid) from pg_attribute a
           where a.attrelid = p_table.relid and a.attnum = p_table.tenant_attnum and not a.attisdropped);
end $$;
revoke all on function m23.tenant_base_type(m23.protected_tables) from public, anon, authenticated, service_role;

-- The expression of a row's tenant, as its log keeps it. citext: 'A' and 'a' are one tenant.
create or replace function m23.row_tenant(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable set search_path = '' as $$
declare v_type oid := m23.tenant_base_type(p_table);
begin
  return format(case when v_type in ('int2'::regtype, 'int4'::regtype) then '%s.%I::bigint'
                     when v_type = 'bpchar'::regtype then '%s.%I::text'
                     when m23.is_citext(v_type) then 'lower(%s.%I::text)'
                     else '%s.%I' end, p_row, m23.tenant_column(p_table));
end $$;
revoke all on function m23.row_tenant(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The expression of a tenant, p_tenant as text, as the log of a table keeps it. A text that is no value of the type is
-- a tenant without rows there: null.
create or replace function m23.tenant_value(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format(case when p_table.tenant_type = 'uuid' then 'm23.uuid_of(%s)'
                     when p_table.tenant_type = 'bigint' then 'm23.bigint_of(%s)'
                     when m23.is_citext(m23.tenant_base_type(p_table)) then 'lower(%s)'
                     else '(%s)::text' end, p_tenant);
end $$;
revoke all on function m23.tenant_value(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The condition that an entry `l` of a table's log is the tenant's, p_tenant as text.
create or replace function m23.is_logged_of(p_table_id int, p_tenant text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select 'l.tenant_id = ' || m23.tenant_value(t, p_tenant) from m23.protected_tables t where t.id = p_table_id);
end $$;
revoke all on function m23.is_logged_of(int, text) from public, anon, authenticated, service_role;

-- The condition that a live row is the tenant's, said so that the application's own index on the column serves it.
create or replace function m23.belongs_to(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_type oid  := m23.tenant_base_type(p_table);
  v_name text := quote_ident(m23.tenant_column(p_table));
begin
  return case when m23.is_citext(v_type)
                then (select format('%1$s.%2$s operator(%3$I.=) (%4$s)::%3$I.citext',
                                    p_row, v_name, n.nspname, p_tenant)
                        from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid = v_type)
              when v_type = 'bpchar'::regtype then format('%s.%s = (%s)::bpchar', p_row, v_name, p_tenant)
              else format('%s.%s = %s', p_row, v_name, m23.tenant_value(p_table, p_tenant)) end;
end $$;
revoke all on function m23.belongs_to(m23.protected_tables, text, text) from public, anon, authenticated, service_role;

-- A text as a uuid; null when it is none.
create or replace function m23.uuid_of(p_text text) returns uuid
language plpgsql immutable strict set search_path = '' as $$
begin
  return case when p_text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid end;
end $$;
revoke all on function m23.uuid_of(text) from public, anon, authenticated, service_role;

-- A text as a bigint; null when it is none, or is written in another way than PostgreSQL writes it.
create or replace function m23.bigint_of(p_text text) returns bigint
language plpgsql immutable strict set search_path = '' as $$
begin
  if p_text !~ '^(0|-?[1-9][0-9]{0,18})$' then return null; end if;
  return case when p_text::numeric between -9223372036854775808 and 9223372036854775807 then p_text::bigint end;
end $$;
revoke all on function m23.bigint_of(text) from public, anon, authenticated, service_role;

-- A tenant's name as records keep it: that of a uuid in lower case, as PostgreSQL prints it.
create or replace function m23.tenant_key(p_tenant text) returns text
language plpgsql immutable strict set search_path = '' as
$$ begin return coalesce(m23.uuid_of(p_tenant)::text, p_tenant); end $$;
revoke all on function m23.tenant_key(text) from public, anon, authenticated, service_role;

-- A tenant in the names of objects: a simple key as it is, of any other `~` and the first half of its SHA-256. Two
-- tenants never share one, because `~` is in no simple key. The crate m23-tenant has the same rule.
create or replace function m23.tenant_name(p_tenant text) returns text
language plpgsql immutable strict set search_path = '' as $$
begin
  return case when p_tenant collate "C" ~ '^[A-Za-z0-9_-]{1,100}$' then p_tenant
              else '~' || left(encode(sha256(convert_to(p_tenant, 'UTF8')), 'hex'), 32) end;
end $$;
revoke all on function m23.tenant_name(text) from public, anon, authenticated, service_role;

-- The statement that makes an enum, composite type, range or domain again where there is none of its name.
create or replace function m23.type_definition(p_type oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(
    (select format('create extension if not exists %I with schema %I', e.extname, n.nspname)
       from pg_depend d join pg_extension e on e.oid = d.refobjid join pg_namespace n on n.oid = e.extnamespace
      where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'),
    case t.typtype
      when 'e' then format('create type %s as enum (%s)', format_type(t.oid, null),
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
           from pg_enum e where e.enumtypid = t.oid))
      when 'c' then format('create type %s as (%s)', format_type(t.oid, null),
        (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
           from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped))
      when 'r' then format('create type %s as range (subtype = %s)', format_type(t.oid, null),
        (select format_type(r.rngsubtype, null) from pg_range r where r.rngtypid = t.oid))
      when 'd' then concat(
        format('create domain %s as %s', format_type(t.oid, null), format_type(t.typbasetype, t.typtypmod)),
        ' default ' || pg_get_expr(t.typdefaultbin, 0), case when t.typnotnull then ' not null' end,
        (select string_agg(format(' constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), '' order by k.conname)
           from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
    end)
    from pg_type t where t.oid = p_type);
end $$;
revoke all on function m23.type_definition(oid) from public, anon, authenticated, service_role;

-- The types of the chosen tables with their schemas and collations, and the sequences that defaults of domains name,
-- what others use first.
create or replace function m23.type_definitions(p_tables text[]) returns jsonb
language sql stable set search_path = '' as $$
  with used as (
    select u.type, u.depth
      from m23.types_within(m23.column_types(array(
             select t.relid from m23.chosen(p_tables) t))) u),
  collations as (
    select distinct c.*
      from m23.chosen(p_tables) t join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
      join pg_type y on y.oid = a.atttypid join pg_collation c on c.oid in (a.attcollation, y.typcollation)
     where c.collnamespace <> 'pg_catalog'::regnamespace),
  sequences as (
    select distinct s.oid, s.relnamespace
      from used u join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = u.type
      join pg_class s on d.refclassid = 'pg_class'::regclass and s.oid = d.refobjid and s.relkind = 'S')
  select coalesce(jsonb_agg(d.sql order by d.rank, d.depth desc, d.sql), '[]')
    from (select m23.type_definition(u.type) as sql, max(u.depth) as depth, 2 as rank from used u group by 1
          union all
          select m23.sequence_definition(s.oid), 0, 1 from sequences s
          union all
          select m23.collation_definition(k), 0, 1 from pg_collation k where k.oid in (select c.oid from collations c)
          union all
          select distinct format('create schema if not exists %I', n.nspname), 0, 0
            from (select t.typnamespace from used u join pg_type t on t.oid = u.type
                  union all select s.relnamespace from sequences s
                  union all select c.collnamespace from collations c) o (namespace)
            join pg_namespace n on n.oid = o.namespace) d
   where d.sql is not null
$$;
revoke all on function m23.type_definitions(text[]) from public, anon, authenticated, service_role;

-- The clock, which may be set back: times that it has given twice are no moments.

create table m23.clock_steps (
  id          uuid primary key default gen_random_uuid(),
  since       timestamptz not null,
  until       timestamptz not null,
  incarnation uuid not null references m23.incarnations (id),
  check (since < until)
);

select m23.close_table('m23.clock_steps');

create index clock_steps_incarnation on m23.clock_steps (incarnation);

comment on table m23.clock_steps is
  'Times that came twice, because the clock was set back: no moment can be told by them.';

-- Copies of commit times that the server is about to forget.
create table m23.commit_times (
  xid xid8 primary key,
  at  timestamptz not null
);

select m23.close_table('m23.commit_times');

select m23.close_table('m23.incarnations');

-- Writers note now and then what was committed: where the server records commit times, each
-- minute at most and only every so many changes, for ticks only bound how much of the log has
-- to be read; where it does not, the first writer of each second, for they are the moments that
-- a time can be turned into.

-- A writer notes them in its own transaction: no sequence has a part in it, for lastval() is the writer's.
create table m23.ticks (
  id          uuid primary key default gen_random_uuid(),
  at          timestamptz not null,
  position    pg_snapshot not null,
  incarnation uuid not null references m23.incarnations (id),
  native      boolean not null,  -- were commit times recorded then?
  wal         pg_lsn not null default pg_current_wal_insert_lsn()
);

select m23.close_table('m23.ticks');

create index ticks_at on m23.ticks (at);

create index ticks_end on m23.ticks (pg_snapshot_xmax(position), at);

create index ticks_incarnation on m23.ticks (incarnation);

-- Waits for the fence a second at a time, to see whether somebody cancels meanwhile.
create or replace function m23.await_fence(p_tenant text, p_work uuid, p_deadline timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
  loop
    begin
      perform set_config('lock_timeout', '1s', true);
      perform m23.take_fence(p_tenant);
      return;
    exception when lock_not_available then
      if clock_timestamp() > p_deadline then raise; end if;
    end;
    perform m23.stop_if_cancelled(p_work);
    perform pg_sleep(0.02);
  end loop;
end $$;
revoke all on function m23.await_fence(text, uuid, timestamptz) from public, anon, authenticated, service_role;

-- The time now. It is read last: whoever has noted a later tick has done so before, by a clock
-- that was ahead of this one. Ticks of times that came twice are no use.
create or replace function m23.watched_clock() returns timestamptz
language plpgsql volatile set search_path = '' as $$
declare
  v_life   uuid := m23.incarnation();
  v_newest timestamptz := (select max(at) from m23.ticks where incarnation = v_life);
  v_now    timestamptz := clock_timestamp();
begin
  if v_newest > v_now then
    insert into m23.clock_steps (since, until, incarnation)
      values (v_now, v_newest + make_interval(secs => case when m23.commit_times_are_native() then 60 else 1 end),
              v_life);
    delete from m23.ticks where incarnation = v_life and at >= v_now;
  end if;
  return v_now;
end $$;
revoke all on function m23.watched_clock() from public, anon, authenticated, service_role;

-- Why a time is no moment; null when it is one.
create or replace function m23.clock_fault(p_at timestamptz) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return (select format('the clock was set back, and the times from %s to %s came twice',
                        m23.iso(min(s.since)), m23.iso(max(s.until)))
            from m23.clock_steps s
           where s.incarnation = (select m23.incarnation()) and p_at >= s.since and p_at < s.until
          having count(*) > 0);
end $$;
revoke all on function m23.clock_fault(timestamptz) from public, anon, authenticated, service_role;

-- When transactions were committed: what the server still knows of it, and what was copied of that.

-- Whether the server records commit times.
create or replace function m23.commit_times_are_native() returns boolean
language sql stable set search_path = '' as $$ select current_setting('track_commit_timestamp')::boolean $$;
revoke all on function m23.commit_times_are_native() from public, anon, authenticated, service_role;

-- Whether the server has recorded commit times ever since.
create or replace function m23.commit_times_since(p_at timestamptz) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when m23.commit_times_are_native() and not exists (
      select from m23.ticks t where t.at > p_at and not t.native) then 'native' else 'ticks' end);
end $$;
revoke all on function m23.commit_times_since(timestamptz) from public, anon, authenticated, service_role;

-- The fence lets one restore have a tenant to itself, and nobody else wait.
-- Writers of a tenant share it, a restore takes it alone; both hold it to the end of
-- their transaction. A lock a tenant would fill the lock table where a transaction writes
-- rows of very many: beyond a number it takes stripes instead, 128 of them, that tenants
-- have in common; a restore takes its tenant's stripe too.

-- The key of a tenant's fence, from its name.
create or replace function m23.fence_key(p_tenant text) returns bigint
language plpgsql immutable set search_path = '' as $$
begin
  return case when m23.uuid_of(p_tenant) is not null then uuid_hash_extended(m23.uuid_of(p_tenant), 0)
              else hashtextextended(lower(p_tenant), 0) end;
end $$;
revoke all on function m23.fence_key(text) from public, anon, authenticated, service_role;

-- The same as an expression of a tenant as a log keeps it. Capture asks for it row by row: that of a uuid is a hash
-- that costs nearly nothing. One tenant has one fence, whatever the types of its columns, so a text may be a uuid's.
create or replace function m23.fence_of(p_tenant text, p_type text) returns text
language sql immutable set search_path = '' as
$outer$
  select format(case p_type when 'uuid' then 'uuid_hash_extended(%s, 0)'
                            when 'bigint' then 'hashtextextended((%s)::text, 0)'
                            else $case$case when %1$s ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
             then uuid_hash_extended((%1$s)::uuid, 0) else hashtextextended(lower(%1$s), 0) end$case$ end, p_tenant)
$outer$;
revoke all on function m23.fence_of(text, text) from public, anon, authenticated, service_role;

-- The bits of a fence that a stripe is told by; the lower ones are those of no application's own keys.
create or replace function m23.stripe_bits() returns bigint
language sql immutable set search_path = '' as $$ select 9151314442816847872 $$;
comment on function m23.stripe_bits() is 'Bits 56 to 62: a fence''s key with no others set is its stripe.';
revoke all on function m23.stripe_bits() from public, anon, authenticated, service_role;

-- The lock of a tenant's stripe.
create or replace function m23.stripe_key(p_tenant text) returns bigint
language sql immutable set search_path = '' as
$$ select m23.fence_key(p_tenant) & m23.stripe_bits() $$;
revoke all on function m23.stripe_key(text) from public, anon, authenticated, service_role;

-- Which bits of a fence's key a writer asks for next: all of them for the transaction's first 256
-- asks, and its stripe after that.
create or replace function m23.fence_bits() returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_asked int := coalesce(nullif(current_setting('m23.fences', true), ''), '0')::int;
begin
  if v_asked >= 256 then return m23.stripe_bits(); end if;
  perform set_config('m23.fences', (v_asked + 1)::text, true);
  return -1;
end $$;
revoke all on function m23.fence_bits() from public, anon, authenticated, service_role;

-- How capture shares the fence of a row's tenant, as a condition that always holds. A transaction's first
-- rows of a log ask for their tenant's own key, without a look at what other tables have asked for.
create or replace function m23.shares_fence(p_tenant text, p_type text, p_log text) returns text
language sql immutable set search_path = '' as $$
  select format($condition$pg_advisory_xact_lock_shared(%1$s
             & case when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted(%2$L::regclass) < 256 then m23.fence_bits()
                    else %3$s end) is not null$condition$, m23.fence_of(p_tenant, p_type), p_log, m23.stripe_bits())
$$;
comment on function m23.shares_fence(text, text, text) is
  'The condition by which a row of the tenant p_tenant (an expression of p_type), logged in p_log, shares its  fence.';
revoke all on function m23.shares_fence(text, text, text) from public, anon, authenticated, service_role;

create or replace function m23.share_fence(p_tenants text[]) returns void
language plpgsql set search_path = '' as $$
declare v_tenant text;
begin
  foreach v_tenant in array p_tenants loop
    perform pg_advisory_xact_lock_shared(m23.fence_key(v_tenant) & m23.fence_bits());
  end loop;
end $$;
comment on function m23.share_fence(text[]) is
  'A writer''s side of the fence: waits while a restore of one of these tenants is writing.';
revoke all on function m23.share_fence(text[]) from public, anon, authenticated, service_role;

-- Only the fence is waited for. The stripe is taken at once or not at all: whoever holds it
-- may be waiting for the fence.
create or replace function m23.take_fence(p_tenant text) returns void
language plpgsql set search_path = '' as $$
begin
  perform pg_advisory_xact_lock(m23.fence_key(p_tenant));
  if not pg_try_advisory_xact_lock(m23.stripe_key(p_tenant)) then
    raise exception 'a transaction with many rows is under way in this tenant''s stripe'
      using errcode = 'lock_not_available';
  end if;
end $$;
comment on function m23.take_fence(text) is
  'A restore''s side of the fence: waits for the tenant''s writers to end, then holds new ones off until this '
  'transaction ends.';
revoke all on function m23.take_fence(text) from public, anon, authenticated, service_role;

-- A writer may have put a row into a table and wait for the fence since: nobody sees that row,
-- and a deferrable constraint does not look for it. Passes at a moment when no such row is
-- there; whoever writes later runs into what is there by now. The lock is given back at once.
create or replace function m23.wait_out_writers(p_table regclass) returns void
language plpgsql volatile set search_path = '' as $$
begin
  execute format('lock table %s in share row exclusive mode', p_table);
  raise exception 'passed' using errcode = 'M2301';
exception when sqlstate 'M2301' then null;
end $$;
revoke all on function m23.wait_out_writers(regclass) from public, anon, authenticated, service_role;

-- RESTORE_IN_PROGRESS is a lock of its own: two restores never queue for one fence.
create or replace function m23.restore_key(p_tenant text) returns bigint
language sql immutable set search_path = '' as
$$ select hashtextextended('m23.restore.' || p_tenant, 0) $$;
revoke all on function m23.restore_key(text) from public, anon, authenticated, service_role;

create or replace function m23.fingerprint() returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select concat_ws('/', s.system_identifier, c.timeline_id, d.oid)
      from pg_control_system() s, pg_control_checkpoint() c, pg_database d
     where d.datname = current_database());
end $$;
comment on function m23.fingerprint() is
  'What tells this life of the database from its copies: cluster, timeline, database.';
revoke all on function m23.fingerprint() from public, anon, authenticated, service_role;

-- The newest life that was noted: in a copy of the database, until something has asked for the present one, the former.
create or replace function m23.present_life() returns uuid
language plpgsql stable set search_path = '' as
$$ begin return (select i.id from m23.incarnations i order by i.since desc, i.id limit 1); end $$;
revoke all on function m23.present_life() from public, anon, authenticated, service_role;

create or replace function m23.incarnation() returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_now text := m23.fingerprint();
  v_newest m23.incarnations;
begin
  select * into v_newest from m23.incarnations order by since desc, id limit 1;
  if v_newest.fingerprint is distinct from v_now then
    -- Two that come first at once would each note a life, and one of them would be nobody's.
    perform pg_advisory_xact_lock(hashtextextended('m23.incarnation', 0));
    select * into v_newest from m23.incarnations order by since desc, id limit 1;
    if v_newest.fingerprint is not distinct from v_now then return v_newest.id; end if;
    insert into m23.incarnations (fingerprint) values (v_now) returning * into v_newest;
  end if;
  return v_newest.id;
end $$;
comment on function m23.incarnation() is 'The id of this life of the database; a new one is noted at its first use.';
revoke all on function m23.incarnation() from public, anon, authenticated, service_role;

-- The server forgets commit times when it freezes transactions, 200 million later by default:
-- those still in the log are copied at a quarter of that, many at a time.
create or replace function m23.keep_commit_times() returns bigint
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
      select x, pg_xact_commit_timestamp(x::xid)
        from unnest(v_xids) x where pg_xact_commit_timestamp(x::xid) is not null
      on conflict do nothing;
    get diagnostics v_count = row_count;
    v_kept := v_kept + v_count;
  end loop;
  update m23.settings set value = v_to::text where name = 'commit_times_kept';
  return v_kept;
end $$;
revoke all on function m23.keep_commit_times() from public, anon, authenticated, service_role;

-- The moment of a time: everything committed at or before it, and nothing else. Null when
-- no tick is as old as that.
create or replace function m23.moment_at(p_at timestamptz) returns m23.moment
language plpgsql volatile set search_path = '' as $$
declare
  v_tick     m23.ticks;
  v_position pg_snapshot;
  v_fault    text := m23.clock_fault(p_at);
begin
  if v_fault is not null then
    raise exception '%', v_fault using errcode = 'object_not_in_prerequisite_state';
  end if;
  select * into v_tick from m23.ticks
   where at <= p_at and incarnation = (select m23.incarnation()) order by at desc limit 1;
  if v_tick.at is null then
    return null;
  elsif not (v_tick.native and m23.commit_times_are_native()) then
    return m23.moment_of(v_tick.position, v_tick.at);
  end if;
  loop  -- until nobody is stamped by then and still not visible
    v_position := m23.current_position();
    exit when not exists (select from pg_snapshot_xip(v_position) x
                           where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at);
    perform pg_sleep(0.001);
  end loop;
  return m23.moment_of(v_position, p_taken => p_at, p_at => p_at, p_floor => pg_snapshot_xmin(v_tick.position));
end $$;
comment on function m23.moment_at(timestamptz) is
  'The moment of a time in the past. Where commit times are not native it is the last tick before, and its field '
  'taken says which.';
revoke all on function m23.moment_at(timestamptz) from public, anon, authenticated, service_role;

-- A moment by its fields. Without a floor none of the transactions that the position sees is looked at.
create or replace function m23.moment_of(p_position pg_snapshot, p_taken timestamptz default null,
  p_at timestamptz default null,
                              p_floor xid8 default null)
returns m23.moment
language sql immutable set search_path = '' as
$$ select p_position, p_at, coalesce(p_floor, pg_snapshot_xmin(p_position)), p_taken $$;
revoke all on function m23.moment_of(pg_snapshot, timestamptz, timestamptz, xid8) from public, anon, authenticated,
  service_role;

-- The condition that a transaction lies after a moment: a parameter of type m23.moment, or an expression.
create or replace function m23.lies_after(p_xid text, p_moment text default '$2') returns text
language sql immutable set search_path = '' as $q$
  select format($$(%1$s >= (%2$s).floor and (not pg_visible_in_snapshot(%1$s, (%2$s).position)
      or ((%2$s).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = %1$s),
                       pg_xact_commit_timestamp(%1$s::xid)) > (%2$s).at)))$$, p_xid, p_moment)
$q$;
revoke all on function m23.lies_after(text, text) from public, anon, authenticated, service_role;

-- Positions. A position is a pg_snapshot: what it sees had been committed, what it does not see lies after it. That is
-- exact and costs a writer nothing.

-- The transaction that takes a position always lies after it: its own number is put
-- among those in progress, because once a later transaction has committed its own
-- snapshot would count it as visible.
create or replace function m23.current_position() returns pg_snapshot
language plpgsql volatile set search_path = '' as $$
declare
  v_own      xid8 := pg_current_xact_id();
  v_snapshot pg_snapshot := pg_current_snapshot();
  v_running  text;
begin
  if v_own >= pg_snapshot_xmax(v_snapshot) then
    return v_snapshot;
  end if;
  select string_agg(x::text, ',' order by x) into v_running
    from (select x from pg_snapshot_xip(v_snapshot) x union select v_own) running (x);
  return format('%s:%s:%s', least(pg_snapshot_xmin(v_snapshot), v_own), pg_snapshot_xmax(v_snapshot),
                v_running)::pg_snapshot;
end $$;
comment on function m23.current_position() is
  'The present moment as a position. What this transaction writes, before or after the call, lies after it.';
revoke all on function m23.current_position() from public, anon, authenticated, service_role;

-- Whether no transaction that a position does not see is stamped by a time, as far as one can
-- know now.
create or replace function m23.is_stamped_apart(p_position pg_snapshot, p_at timestamptz) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return (select not exists (
    select from (select x from pg_snapshot_xip(p_position) x
                 union all
                 select x::text::xid8
                   from generate_series(pg_snapshot_xmax(p_position)::text::bigint,
                                        pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) x) later
     where x <> pg_current_xact_id() and pg_xact_commit_timestamp(x::xid) <= p_at));
end $$;
revoke all on function m23.is_stamped_apart(pg_snapshot, timestamptz) from public, anon, authenticated, service_role;

-- Whether all that one position sees is seen by another as well.
create or replace function m23.sees_all_of(p_later pg_snapshot, p_earlier pg_snapshot) returns boolean
language sql immutable set search_path = '' as $$
  select pg_snapshot_xmax(p_later) >= pg_snapshot_xmax(p_earlier)
     and not exists (select from pg_snapshot_xip(p_later) x where pg_visible_in_snapshot(x, p_earlier))
$$;
revoke all on function m23.sees_all_of(pg_snapshot, pg_snapshot) from public, anon, authenticated, service_role;

-- TRUNCATE takes rows that its transaction's snapshot does not see, and nobody can read them
-- any more: under a snapshot that others have committed after, it is refused as an UPDATE or
-- DELETE would be.
create or replace function m23.refuse_stale_snapshot(p_table regclass) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_snapshot pg_snapshot := pg_current_snapshot();
  v_xid      xid8 := pg_snapshot_xmin(v_snapshot);
begin
  if current_setting('transaction_isolation') like 'read %' then return; end if;
  loop
    if not pg_visible_in_snapshot(v_xid, v_snapshot) and pg_xact_status(v_xid) = 'committed' then
      raise exception 'could not serialize access: others have committed since this transaction''s snapshot, and '
                      'TRUNCATE of % would take their rows unseen', p_table
        using errcode = 'serialization_failure', hint = 'Retry, or run TRUNCATE under READ COMMITTED.';
    end if;
    v_xid := (v_xid::text::numeric + 1)::text::xid8;
  end loop;
exception when invalid_parameter_value then null;  -- no transaction has that number yet
end $$;
revoke all on function m23.refuse_stale_snapshot(regclass) from public, anon, authenticated, service_role;

-- What a snapshot keeps: this moment.
create or replace function m23.snapshot_here() returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return jsonb_build_object('position', m23.current_position()::text, 'incarnation', m23.incarnation(),
                            'taken_at', clock_timestamp());
end $$;
revoke all on function m23.snapshot_here() from public, anon, authenticated, service_role;

-- A position and the time that tells it from all others: whatever the position sees was
-- committed by then, whatever it does not see is committed later. A transaction is stamped a
-- little before it becomes visible; one that gets in between makes it begin again.
create or replace function m23.take_position(out here pg_snapshot, out at timestamptz)
language plpgsql volatile set search_path = '' as $$
begin
  for n in 1..1000 loop
    here := m23.current_position();
    at := clock_timestamp();
    if not m23.commit_times_are_native() then
      insert into m23.ticks (at, position, incarnation, native)
        values (take_position.at, here, m23.incarnation(), false);
      return;
    elsif m23.is_stamped_apart(here, at) then
      perform pg_sleep(0.002);  -- whoever has a time writes it down at once
      if m23.is_stamped_apart(here, at) then return; end if;
    end if;
  end loop;
  perform m23.refuse('UNAVAILABLE', 'so many transactions end at once that no moment lies between them; try again');
end $$;
revoke all on function m23.take_position() from public, anon, authenticated, service_role;

-- The time is read after the position: whatever the position sees was committed by then.
create or replace function m23.note_tick() returns void
language plpgsql set search_path = '' as $$
declare v_position pg_snapshot := m23.current_position();
begin
  insert into m23.ticks (at, position, incarnation, native)
    values (m23.watched_clock(), v_position, m23.incarnation(), m23.commit_times_are_native());
end $$;
revoke all on function m23.note_tick() from public, anon, authenticated, service_role;

-- Notes a tick where this is the first writer that comes here in its interval.
create or replace function m23.tick() returns void
language plpgsql set search_path = '' as $$
declare
  v_seconds  int := case current_setting('track_commit_timestamp') when 'on' then 60 else 1 end;
  v_interval text := floor(date_part('epoch', clock_timestamp()) / v_seconds)::bigint::text;
begin
  if current_setting('m23.ticked', true) = v_interval then return; end if;
  perform set_config('m23.ticked', v_interval, false);
  if pg_try_advisory_xact_lock(hashtextextended('m23.tick.' || v_interval, 0)) then
    perform m23.note_tick();
  end if;
end $$;
revoke all on function m23.tick() from public, anon, authenticated, service_role;

-- Keeping what they are --------------------------------------------------------------------

create table m23.type_versions (
  type        oid not null,
  since       pg_lsn not null,  -- the first change id that it holds for; 0/0: all
  xid         xid8 not null,    -- the transaction that made it so
  incarnation uuid not null references m23.incarnations (id),
  numbers     oid[] not null,   -- of an enum's labels, or a composite type's attributes, in ascending order
  names       text[] not null,
  check (cardinality(numbers) = cardinality(names)),
  primary key (incarnation, type, since)
);

select m23.close_table('m23.type_versions');

comment on table m23.type_versions is
  'What the enums and composite types that protected tables use were made of, and since when.';

-- Gaps: why a history goes back no further than it does. What was missed is never passed over:
-- a change that nobody has logged makes every earlier moment unreachable, and another history
-- begins.

-- Histories that have ended, and why.
create table m23.gaps (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  since    timestamptz not null,  -- when that history had begun
  until    timestamptz not null,  -- when the next one began
  reason   text not null,
  primary key (table_id, until)
);

select m23.close_table('m23.gaps');

comment on table m23.gaps is 'Ended histories of the protected tables: no moment before `until` can be gone back to.';

create table m23.log_columns (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  name      text not null check (name ~ '^c[0-9]+(_[0-9]+)?$'),  -- in the log table
  attnum    int2 not null check (attnum > 0),  -- of the table
  column_name text not null,  -- as it was last seen
  type_name text not null,    -- in the log table
  column_type text not null,  -- in the table, when this column of the log was made
  since     pg_lsn not null,  -- the first change id that has it; 0/0: all
  since_xid xid8 not null default pg_current_xact_id(),
  until_xid xid8,             -- retyped or dropped by this transaction
  generated boolean not null, -- it had been generated before `since`
  primary key (table_id, name)
);

select m23.close_table('m23.log_columns');

comment on table m23.log_columns is 'Which column of a log holds which column of its table, from which change on.';

create table m23.log_parts (
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null check (part > 0),
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,                    -- capture has gone on to the next one
  sealed    boolean not null default false, -- its tenants stand in m23.log_tenants
  check (not sealed or closed_at is not null),
  primary key (table_id, part)
);

select m23.close_table('m23.log_parts');

comment on table m23.log_parts is
  'The parts of each log: capture writes into the newest, straight, and old ones are dropped whole.';

-- Columns that an update leaves as they are need not be in its image. They are told in groups: an
-- entry's `unchanged` has the bit of each group that its image does not carry, and is null where it
-- carries all. Only entries of updates that change neither key nor tenant leave a group out. A value
-- that is not there is as in the next image of the key that has it, and as in the live row where
-- there is none: nothing refers to what is older, so that old parts can be dropped.
create table m23.log_groups (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  bit      int not null check (bit between 0 and 30),
  attnums  int2[] not null check (cardinality(attnums) > 0),  -- of the table
  wide     boolean not null, -- one column whose values are long
  in_use   boolean not null default true,
  check (not wide or cardinality(attnums) = 1),
  primary key (table_id, bit)
);

select m23.close_table('m23.log_groups');

comment on table m23.log_groups is
  'Which columns a bit of a log''s `unchanged` stands for. A bit is not given to other columns within a history.';

-- Tenants whose log was removed, and when: m23.forget_tenant.
create table m23.forgotten (
  tenant_id   text primary key,
  at          timestamptz not null default clock_timestamp(),
  xid         xid8 not null default pg_current_xact_id(),
  incarnation uuid not null references m23.incarnations (id)
);

select m23.close_table('m23.forgotten');

create index forgotten_incarnation on m23.forgotten (incarnation);

-- Partitions of protected tables, those that are there and those that have gone.

-- Which rows belong in a partition: a condition on columns of its table by the names that they had then.
create type m23.bounds as (
  condition text,    -- null: all rows
  of_tenant text,    -- what of it the tenant's column alone decides; null: nothing
  attnums   int2[],
  names     text[]
);

create table m23.partitions (
  relid    oid primary key,
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,  -- as it was last seen, and so its bounds
  bounds   m23.bounds not null
);

select m23.close_table('m23.partitions');

create index partitions_table on m23.partitions (table_id);

comment on table m23.partitions is 'The partitions that hold rows of protected tables.';

create table m23.removed_partitions (
  id       bigint primary key generated always as identity,
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  bounds   m23.bounds not null,
  lost     boolean not null,  -- its rows went unseen; else they were logged
  xid      xid8 not null default pg_current_xact_id(),
  at       timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.removed_partitions');

create index removed_partitions_table on m23.removed_partitions (table_id, xid);

comment on table m23.removed_partitions is
  'Partitions that are gone. Before one was dropped, the past of the rows that belong there is unknown.';

-- Which parts of a log are read. A closed part knows its tenants, and the open one is looked into: a reader opens
-- the logs and parts that its tenant has touched since a moment, and no others. Hundreds of tables with a month of log
-- would fill the server's lock table.

-- A part is closed when capture goes on to the next one. Whoever was at work then may still write into it: it is
-- sealed, and its tenants are noted, once nobody is. Who comes even later, by a function that it had read before, notes
-- its tenants itself. So one tenant can stand here several times.
create table m23.log_tenants (
  id        uuid primary key default gen_random_uuid(),  -- no sequence: a writer's lastval() stays its own
  tenant_id text not null,
  table_id  int not null references m23.protected_tables (id) on delete cascade,
  part      int not null,
  last_xid  xid8 not null  -- no later transaction has changed rows of the tenant in this part
);

select m23.close_table('m23.log_tenants');

create index log_tenants_tenant on m23.log_tenants (tenant_id, table_id, last_xid, part);

create index log_tenants_part on m23.log_tenants (table_id, part, last_xid);

comment on table m23.log_tenants is 'Whose changes the sealed parts of each log hold.';

-- Protection: a table comes under capture, with its partitions, and leaves it again.

-- Something that keeps a table from being captured.
create type m23.obstacle as (
  kind     text,  -- as the list of gaps names it
  sentence text,  -- goes on from the table's name
  advice   text,
  code     text   -- the SQLSTATE of a refusal
);

-- What protected tables were called: another table may have the name now.
create table m23.former_names (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  until    timestamptz not null default clock_timestamp(),
  primary key (table_id, until)
);

select m23.close_table('m23.former_names');

comment on table m23.former_names is 'What protected tables were called before they were renamed, as callers write it.';

-- Follows ALTER TABLE and CREATE TRIGGER on a protected table, ALTER TYPE and ALTER EXTENSION, and the coming and going
-- of its partitions, so that the application's next write is captured in the new shape. Where no event trigger may
-- be made, and after what escapes it (a superuser's on a hosted project), that write follows
-- it, but for another primary key and a new partition: the upkeep finds those, or m23.protect_table. m23.doctor() says
-- which is in force.
create or replace function m23.follow_ddl() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;  -- its own ALTER TABLE
  if tg_tag = 'ALTER TYPE' then perform m23.follow_types(); end if;
  if tg_tag = 'ALTER EXTENSION' then
    perform m23.follow_table(t) from m23.protected_tables t
      where exists (select from pg_class where oid = t.relid) and t.suspended is null and m23.capture_is_stale(t);
    return;
  end if;
  if tg_tag like '% SUBSCRIPTION' then
    perform m23.follow_subscriptions();
    return;
  end if;
  for v_row in
    select t.* from m23.protected_tables t
     where t.relid in (select coalesce(pg_partition_root(c.objid), c.objid)
                         from pg_event_trigger_ddl_commands() c where c.classid = 'pg_class'::regclass
                       union all
                       select g.tgrelid from pg_event_trigger_ddl_commands() c join pg_trigger g on g.oid = c.objid
                        where c.classid = 'pg_trigger'::regclass)
       and exists (select from pg_class where oid = t.relid)
  loop
    perform m23.follow_table(v_row);
  end loop;
  -- Whose child a table has become. The parent is not held by this command, and capture is not renewed here.
  for v_row in
    select t.* from pg_event_trigger_ddl_commands() c
      join pg_inherits i on c.classid = 'pg_class'::regclass and i.inhrelid = c.objid
      join m23.protected_tables t on t.relid = i.inhparent
     where t.suspended is null and (m23.obstacle_of(t)).kind is not null
  loop
    perform m23.suspend_capture(v_row, (m23.obstacle_of(v_row)).kind);
  end loop;
end $$;
revoke all on function m23.follow_ddl() from public, anon, authenticated, service_role;
select m23.pin_text('m23.follow_ddl()');

-- Follows whatever drops a partition, be it a schema with all that is in it.
create or replace function m23.follow_drop() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_row m23.protected_tables;
begin
  if current_setting('m23.writing_capture', true) = 'yes' then return; end if;
  if tg_tag <> 'DROP TABLE' then perform set_config('m23.empty_partitions', '', true); end if;
  for v_row in
    select distinct t.* from m23.protected_tables t join m23.partitions p on p.table_id = t.id
     where p.relid in (select objid from pg_event_trigger_dropped_objects() where classid = 'pg_class'::regclass)
       and exists (select from pg_class where oid = t.relid)
    union
    select t.* from m23.protected_tables t  -- a unique index that was a table's key
     where tg_tag = 'DROP INDEX' and t.suspended is null and exists (select from pg_class where oid = t.relid)
       and m23.key_attnums(t.relid) is distinct from t.key_attnums
  loop
    perform m23.follow_table(v_row);
  end loop;
end $$;
revoke all on function m23.follow_drop() from public, anon, authenticated, service_role;
select m23.pin_text('m23.follow_drop()');

-- Looks for partitions that DROP TABLE finds empty, before it begins.
create or replace function m23.foresee_drop() returns event_trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_context text;
begin
  if not exists (select from m23.partitions) then return; end if;
  get diagnostics v_context = pg_context;
  perform m23.note_empty_partitions(m23.running_text(v_context));
end $$;
revoke all on function m23.foresee_drop() from public, anon, authenticated, service_role;
select m23.pin_text('m23.foresee_drop()');

create or replace function m23.protect_table(p_table regclass, p_tenant_column name default 'tenant_id') returns void
language plpgsql set search_path = '' as $$
declare
  v_class    pg_class;
  v_schema   text;
  v_tenant   pg_attribute;
  v_obstacle m23.obstacle;
  v_already  m23.protected_tables;
  v_row      m23.protected_tables;
begin
  select * into v_class from pg_class where oid = p_table;
  v_schema := v_class.relnamespace::regnamespace::text;
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of'
           when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view'
           when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if v_schema in ('pg_catalog', 'information_schema', 'auth', 'm23', 'm23_log', 'm23_staging') then
    raise exception '% cannot be protected: the schema % belongs to the system', p_table, v_schema
      using errcode = 'insufficient_privilege';
  end if;
  select * into v_tenant from pg_attribute
   where attrelid = p_table and attname = p_tenant_column and attnum > 0 and not attisdropped;
  if v_tenant.attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_tenant_column
      using errcode = 'undefined_column',
            hint = 'Name the tenant column: select m23.protect_table(''schema.table'', ''column'').';
  end if;
  select * into v_already from m23.protected_tables where relid = p_table;
  if v_already.tenant_attnum <> v_tenant.attnum and m23.tenant_column(v_already) is not null then
    raise exception '% is protected already, with another tenant column', p_table
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;

  -- Writers in flight end first: whatever is written from here on is captured.
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
  select * into v_obstacle from m23.obstacles(p_table, v_tenant.attnum) limit 1;
  if v_obstacle.kind is not null then
    raise exception '% cannot be protected: it %', p_table, v_obstacle.sentence
      using errcode = v_obstacle.code, hint = v_obstacle.advice;
  end if;
  insert into m23.protected_tables as t (relid, tenant_attnum, tenant_type, key_attnums, name, incarnation)
    values (p_table, v_tenant.attnum, m23.tenant_type(v_tenant.atttypid), m23.key_attnums(p_table),
            m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update set tenant_attnum = excluded.tenant_attnum  -- the former may have been dropped
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null then
    v_row := m23.end_broken_history(v_row);
  end if;
  perform m23.write_capture(v_row);
  perform m23.note_tick();
end $$;
comment on function m23.protect_table(regclass, name) is
  'Puts a table under protection: from the end of this transaction on, every change of it can be undone. '
  'It needs a primary key, or a unique index over columns that are NOT NULL, and a tenant column of type uuid, text or '
  'a whole number. '
  'Called again, it renews the capture.';
revoke all on function m23.protect_table(regclass, name) from public, anon, authenticated, service_role;
select m23.pin_text('m23.protect_table(regclass, name)');

-- Whether the functions of a table's capture were written for another layout, or a server that records commit times
-- where this one does not, or the other way round.
create or replace function m23.capture_is_stale(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return coalesce((select (strpos(i.prosrc, 'm23.ticked') = 0) <> m23.commit_times_are_native()
                          or strpos(l.prosrc, m23.layout_of(p_table.relid)) = 0
                     from pg_proc i, pg_proc l
                    where i.oid = to_regprocedure(format('m23_log.insert_%s()', p_table.id))
                      and l.oid = to_regprocedure(format('m23_log.layout_%s(regclass, text)', p_table.id))), true);
end $$;
revoke all on function m23.capture_is_stale(m23.protected_tables) from public, anon, authenticated, service_role;

-- Follows the coming and going of subscriptions, before their workers begin. Such a command has made or dropped a slot
-- on another server already and is never undone: what fails here is for the upkeep, with a gap.
create or replace function m23.follow_subscriptions() returns void
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables;
begin
  for v_table in
    select t.* from m23.protected_tables t
     where exists (select from pg_class where oid = t.relid)
       and (m23.misses_replication(t) or m23.replication_has_ended(t)) order by t.id
  loop
    begin
      perform m23.bring_up_to_date(v_table);
    exception when others then
      raise warning 'M23 has not followed the subscription in %: %', v_table.name, sqlerrm;
    end;
  end loop;
end $$;
revoke all on function m23.follow_subscriptions() from public, anon, authenticated, service_role;

-- Schema changes: ALTER TABLE and its kin are followed, so that writes and history go on. None is ever
-- refused for M23's sake: where capture cannot go on, it is suspended, and that is a gap.

-- Follows what a command has made of a table. Where that fails, as for more columns than a log can have, capture is
-- suspended: the command has done nothing wrong. One that cannot get a lock would get it at another time.
create or replace function m23.follow_table(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.bring_up_to_date(p_table);
exception
  when lock_not_available or deadlock_detected or serialization_failure then raise;
  when others then
    raise warning 'M23 cannot follow what was made of %, and captures it no more: %', p_table.name, sqlerrm;
    perform m23.suspend_capture(p_table, 'it could not be followed');
end $$;
revoke all on function m23.follow_table(m23.protected_tables) from public, anon, authenticated, service_role;

-- Follows what a command has made of a type. Where that fails, the upkeep does so.
create or replace function m23.follow_types() returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.renew_types();
exception when others then
  raise log 'm23: what was made of a type was not noted: % (%)', sqlerrm, sqlstate;
end $$;
revoke all on function m23.follow_types() from public, anon, authenticated, service_role;

-- The first thing that keeps a protected table from being captured; null where nothing does.
create or replace function m23.obstacle_of(p_table m23.protected_tables) returns m23.obstacle
language plpgsql stable set search_path = '' as $$
begin
  return (select o from m23.obstacles(p_table.relid, p_table.tenant_attnum) o limit 1);
end $$;
revoke all on function m23.obstacle_of(m23.protected_tables) from public, anon, authenticated, service_role;

-- Notes that a table cannot be captured any more, for an obstacle of that kind. What fires would only be in the
-- application's way, but for a table that is still seen in part.
create or replace function m23.suspend_capture(p_table m23.protected_tables, p_kind text) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.note_name(p_table);
  update m23.protected_tables set suspended = coalesce(suspended, p_kind) where id = p_table.id;
  if p_kind not in ('unlogged', 'inheritance') then
    perform set_config('m23.writing_capture', 'yes', true);
    perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table.relid) c;
    perform set_config('m23.writing_capture', '', true);
  end if;
end $$;
revoke all on function m23.suspend_capture(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The partitions that the DROP TABLE that runs has found empty.
create or replace function m23.empty_partitions() returns oid[]
language sql stable set search_path = '' as
$$ select coalesce(string_to_array(nullif(current_setting('m23.empty_partitions', true), ''), ',')::oid[], '{}') $$;
revoke all on function m23.empty_partitions() from public, anon, authenticated, service_role;

-- Notes which partitions are dropped empty. They are locked as the command will lock them, the parent first.
create or replace function m23.note_empty_partitions(p_text text) returns void
language plpgsql set search_path = '' as $$
declare
  v_top   oid;
  v_leaf  oid;
  v_rows  boolean;
  v_empty oid[] := '{}';
begin
  for v_top in select m23.partitions_to_drop(p_text) loop
    execute format('lock table only %s in access exclusive mode',
                   m23.qualified_name((select inhparent from pg_inherits where inhrelid = v_top)));
    for v_leaf in select t.relid from pg_partition_tree(v_top) t where t.isleaf loop
      execute format('lock table %s in access exclusive mode', m23.qualified_name(v_leaf));
      execute format('select exists (select from %s)', m23.qualified_name(v_leaf)) into v_rows;
      v_empty := v_empty || case when not v_rows then v_leaf end;
    end loop;
  end loop;
  perform set_config('m23.empty_partitions', array_to_string(v_empty, ','), true);
exception when others then
  perform set_config('m23.empty_partitions', '', true);
  raise log 'm23: whether partitions that are dropped are empty was not found out: % (%)', sqlerrm, sqlstate;
end $$;
revoke all on function m23.note_empty_partitions(text) from public, anon, authenticated, service_role;

-- Partitions that are dropped empty ------------------------------------------------------
-- When a partition has been dropped, nobody can say whether it had rows. When DROP TABLE begins, its tables are known
-- by its text alone: that of the client, or of the statement in its function or DO block. A partition that is not found
-- so is taken for one with rows.

-- The text that is running, without comments and string literals.
create or replace function m23.running_text(p_context text) returns text
language sql volatile set search_path = '' as $$
  select regexp_replace(concat_ws(chr(10), current_query(), p_context, (
      select string_agg(p.prosrc, chr(10))
        from regexp_matches(p_context, 'SQL function "([^"]+)"', 'g') m join pg_proc p on p.proname = m[1])),
    '("(?:[^"]|"")*")|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|''(?:[^'']|'''')*''', ' \1 ', 'g')
$$;
revoke all on function m23.running_text(text) from public, anon, authenticated, service_role;

-- Another history: the log of the former one cannot be read together with what is logged from
-- now on. Moments before it can no longer be gone back to, for the reason given.
create or replace function m23.begin_history(p_table m23.protected_tables, p_reason text) returns m23.protected_tables
language plpgsql set search_path = '' as $$
begin
  if p_table.xid <> pg_current_xact_id() then
    insert into m23.gaps (table_id, since, until, reason)
      values (p_table.id, m23.history_since(p_table), clock_timestamp(), p_reason);
  end if;
  update m23.protected_tables t
     set key_attnums = m23.key_attnums(t.relid), protected_at = clock_timestamp(), xid = pg_current_xact_id(),
         incarnation = m23.incarnation(), pruned_below = '0', pruned_at = null, suspended = null
   where t.id = p_table.id returning * into p_table;
  execute format('drop table if exists %s cascade', m23.log_name(p_table.id));
  delete from m23.log_columns where table_id = p_table.id;
  delete from m23.log_parts where table_id = p_table.id;
  delete from m23.log_tenants where table_id = p_table.id;
  delete from m23.log_groups where table_id = p_table.id;
  delete from m23.removed_partitions where table_id = p_table.id;
  return p_table;
end $$;
revoke all on function m23.begin_history(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Another history where the former one has missed changes. Partitions that have gone are followed.
create or replace function m23.end_broken_history(p_table m23.protected_tables) returns m23.protected_tables
language plpgsql set search_path = '' as $$
begin
  return case when m23.history_fault(p_table) is null then p_table
              when p_table.suspended is not null
              then m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended)
              when m23.misses_replication(p_table) then m23.begin_history(p_table, 'a subscription wrote to it unseen')
              when m23.key_is_another(p_table) then m23.begin_history(p_table, 'the primary key was another')
              else m23.begin_history(p_table, 'capture was switched off') end;
end $$;
revoke all on function m23.end_broken_history(m23.protected_tables) from public, anon, authenticated, service_role;

-- The obstacles of a table and its tenant column, the worst first. Each may come later, by the application's
-- migrations: those are never refused, so capture is suspended then. Asked for each table of every call: straight
-- from the catalogue.
create or replace function m23.obstacles(p_table oid, p_tenant_attnum int2) returns setof m23.obstacle
language plpgsql stable rows 1 set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select 'no primary key',
         'has no primary key, and no unique index over columns that are NOT NULL, so its rows cannot be told apart',
         'alter table … add primary key (…), or create a unique index over columns that are NOT NULL', '42P16'
   where m23.key_index(p_table) is null
  union all
  select 'a generated column in its primary key',
         'has a generated column in its primary key, which cannot be written back', 'take another primary key', '42P16'
   where exists (select from pg_attribute
                  where attrelid = p_table and attgenerated <> '' and attnum = any (m23.key_attnums(p_table)))
  union all
  select 'a primary key without overlaps',
         'has a primary key WITHOUT OVERLAPS, by whose ranges its rows cannot be told apart',
         'take another primary key; this one can be a unique constraint', '42P16'
   where exists (select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
                  where i.indrelid = p_table and i.indisprimary and a.amname <> 'btree')
  union all
  select 'a foreign key with PERIOD',
         format('has a part in the foreign key "%s" with PERIOD, by which several rows together are referred to',
                min(k.conname)),
         'keep that rule by a trigger instead', '0A000'
    from pg_constraint k
   where current_setting('server_version_num')::int >= 180000  -- asked once: there is no index to find the keys by
     and k.contype = 'f' and p_table in (k.conrelid, k.confrelid) and m23.is_temporal(k) having count(*) > 0
  union all
  select 'no tenant column', 'has no tenant column any more, so its rows are nobody''s',
         'add it again and call m23.protect_table, or call m23.unprotect_table', '42703'
   where not exists (select from pg_attribute
                      where attrelid = p_table and attnum = p_tenant_attnum and not attisdropped)
  union all
  select 'a tenant column of another type',
         format('has a tenant column "%s" that must be an ordinary column of type uuid, text or a whole number, '
                || 'and is %s', a.attname,
                case when a.attgenerated <> '' then 'generated' else format_type(a.atttypid, -1) end),
         'make it an ordinary column of one of these types', '42804'
    from pg_attribute a
   where a.attrelid = p_table and a.attnum = p_tenant_attnum and not a.attisdropped
     and (a.attgenerated <> '' or m23.tenant_type(a.atttypid) is null)
  union all
  select 'a tenant column of another type',
         format('has a tenant column "%s" whose type is %s now: its log keeps tenants as %s', a.attname,
                format_type(a.atttypid, -1), t.tenant_type),
         'change the type back, or call m23.unprotect_table and m23.protect_table: its history ends then', '42804'
    from m23.protected_tables t join pg_attribute a on a.attrelid = t.relid and a.attnum = p_tenant_attnum
   where t.relid = p_table and t.tenant_attnum = p_tenant_attnum and not a.attisdropped and a.attgenerated = ''
     and m23.tenant_type(a.atttypid) <> t.tenant_type
  union all
  select 'a reserved column name', 'has a column whose name begins with "m23_", which M23 keeps for itself',
         'rename it', '42939'
   where exists (select from pg_attribute where attrelid = p_table and attname like 'm23\_%' and not attisdropped)
  union all
  select 'a foreign table among its partitions', 'has a foreign table among its partitions, whose changes nobody sees',
         'detach it', '42809'
    from pg_class c
   where c.oid = p_table and c.relkind = 'p' and exists (
     select from pg_partition_tree(c.oid) t join pg_class part on part.oid = t.relid where part.relkind = 'f')
  union all
  select 'unlogged', 'is unlogged: a crash of the server empties it, and no backup of the server has its rows',
         'alter table … set logged', '42809'
    from pg_class c where c.oid = p_table and c.relkind = 'r' and c.relpersistence = 'u'
  union all
  select 'unlogged',
         format('is unlogged in its partition %s: a crash of the server empties it', m23.public_name(min(part.oid))),
         'alter table … set logged', '42809'
    from pg_class c cross join lateral pg_partition_tree(c.oid) t
    join pg_class part on part.oid = t.relid and part.relkind = 'r' and part.relpersistence = 'u'
   where c.oid = p_table and c.relkind = 'p' having count(*) > 0
  union all
  select 'inheritance',
         format('inherits from %s, which shows its rows and changes them, too', m23.public_name(i.inhparent)),
         'alter table … no inherit …, or make it a partition', '42809'
    from pg_inherits i join pg_class c on c.oid = i.inhparent where i.inhrelid = p_table and c.relkind = 'r'
  union all
  select 'inheritance',
         format('shows the rows of %s, which inherits from it and is changed by itself',
                m23.public_name(min(i.inhrelid))),
         'alter table … no inherit …, or make a partitioned table of it', '42809'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = p_table and not c.relispartition having count(*) > 0;
end $$;
revoke all on function m23.obstacles(oid, int2) from public, anon, authenticated, service_role;

create or replace function m23.unprotect_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare v_row m23.protected_tables;
begin
  delete from m23.protected_tables where relid = p_table returning * into v_row;
  if v_row.id is null then
    raise exception '% is not protected', p_table using errcode = 'undefined_object';
  end if;
  perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table) c;
  execute format('drop function %s', m23.capture_functions(v_row.id));
  execute format('drop table %s cascade', m23.log_name(v_row.id));
end $$;
comment on function m23.unprotect_table(regclass) is
  'Takes a table out of protection and drops its history. Backups of it stay as they are.';
revoke all on function m23.unprotect_table(regclass) from public, anon, authenticated, service_role;

-- Writes all that captures a table: its log, and its functions and triggers.
create or replace function m23.write_capture(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_new boolean;
begin
  perform set_config('m23.writing_capture', 'yes', true);
  perform m23.note_name(p_table);
  if m23.key_is_another(p_table) then
    p_table := m23.begin_history(p_table, 'the primary key was another');  -- by which rows of the log are told apart
  end if;
  v_new := to_regclass(m23.log_name(p_table.id)) is null;
  perform m23.note_types(m23.column_types(array[p_table.relid]));
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.follow_partitions(p_table, v_new);
  perform m23.write_capture_functions(p_table);
  perform m23.write_triggers(p_table);
  perform set_config('m23.writing_capture', '', true);
end $$;
revoke all on function m23.write_capture(m23.protected_tables) from public, anon, authenticated, service_role;

-- The layout of a table ----------------------------------------------------------

-- What a capture depends on in its table.
create or replace function m23.layout_of(p_table oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select md5(concat_ws(',', m23.qualified_name(p_table), m23.references_write(p_table),
                     m23.references_itself(p_table), m23.insert_order_matters(p_table),
                     array_to_string(m23.key_operators(p_table), ' '),
                     string_agg(concat_ws(' ', c.attnum, quote_ident(c.name), c.type_name, c.native, c.generated,
                                          c.key_ord), ',' order by c.attnum)))
      from m23.columns_of(p_table) c);
end $$;
revoke all on function m23.layout_of(oid) from public, anon, authenticated, service_role;
select m23.pin_text('m23.layout_of(oid)');

-- Brings capture, log and history up to what a command has made of a table.
create or replace function m23.bring_up_to_date(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_obstacle m23.obstacle := m23.obstacle_of(p_table);
begin
  if v_obstacle.kind is not null then
    perform m23.suspend_capture(p_table, v_obstacle.kind);
    return;
  elsif p_table.suspended is not null then
    p_table := m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended);
  elsif m23.was_off(p_table, true) then
    -- What this command has done to the triggers is put right before anybody can write.
    p_table := m23.begin_history(p_table, 'capture was switched off');
  end if;
  perform m23.write_capture(p_table);
end $$;
revoke all on function m23.bring_up_to_date(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether rows are replicated into a table, or a partition of it, without being captured.
create or replace function m23.misses_replication(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return m23.is_subscribed(p_table.relid) and exists (
    select from m23.captured_relations(p_table.relid) c
     where c.leaf and not exists (select from pg_trigger g
                                   where g.tgrelid = c.relid and g.tgname = 'aaa_m23_row_replicated'
                                     and g.tgenabled = 'A'));
end $$;
revoke all on function m23.misses_replication(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether a table is still captured for a subscription that is gone.
create or replace function m23.replication_has_ended(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from m23.captured_relations(p_table.relid) c join pg_trigger g on g.tgrelid = c.relid
                  where g.tgname = 'aaa_m23_row_replicated') and not m23.is_subscribed(p_table.relid);
end $$;
revoke all on function m23.replication_has_ended(m23.protected_tables) from public, anon, authenticated, service_role;

-- The same for all that are known: each minute, and where a command has altered a type.
create or replace function m23.renew_types() returns int
language sql volatile set search_path = '' as
$$ select m23.note_types(array(select k.type from m23.known_types() k)) $$;
revoke all on function m23.renew_types() from public, anon, authenticated, service_role;

-- The functions of one table's capture: written from templates for its present layout. Its rows are noted by
--   m23_log.insert_<id>, update_<id>, delete_<id>   after each statement, from its transition tables
--   m23_log.row_<id>                                after each updated row: has its key, its tenant or a group changed?
--   m23_log.truncate_<id>                           before TRUNCATE, which fires no others
--   m23_log.replicated_<id>                         after each row that comes by no statement, under a subscription
--   m23_log.layout_<id>                             whether all this is still the table's layout

-- What makes sure that values kept as text do not depend on the writer's settings.
create or replace function m23.text_settings(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select case when exists (select from m23.columns_of(p_table.relid) c where not c.native)
    then (select string_agg(format('set %s = %L', s.name, s.value), ' ') from m23.text_settings() s where s.prints)
    else '' end
$$;
revoke all on function m23.text_settings(m23.protected_tables) from public, anon, authenticated, service_role;

-- The triggers of a protected table that call its capture.

-- The relations that are captured for a table: itself, or with its partitions, which can be
-- written to directly. `leaf`: it has rows of its own.
create or replace function m23.captured_relations(p_relid oid) returns table (relid oid, leaf boolean,
  partitioned boolean)
language plpgsql stable rows 1 set search_path = '' as $$
begin
  return query
  select c.oid, c.relkind = 'r', r.relkind = 'p'
    from pg_class r, pg_class c
   where r.oid = p_relid
     and (c.oid = p_relid or r.relkind = 'p' and c.oid in (select t.relid from pg_partition_tree(p_relid) t))
   order by c.oid = p_relid desc, c.oid;
end $$;
revoke all on function m23.captured_relations(oid) from public, anon, authenticated, service_role;

-- Drops the triggers of a captured relation.
create or replace function m23.drop_triggers(p_relation oid) returns void
language plpgsql set search_path = '' as $$
declare v_trigger name;
begin
  for v_trigger in select tgname from pg_trigger where tgrelid = p_relation and tgname ~ '^(aaa|zzz)_m23_' loop
    execute format('drop trigger %I on %s', v_trigger, m23.qualified_name(p_relation));
  end loop;
end $$;
revoke all on function m23.drop_triggers(oid) from public, anon, authenticated, service_role;

-- Notes a table's present name, and keeps the former one.
create or replace function m23.note_name(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_name text := m23.public_name(p_table.relid);
begin
  if v_name <> p_table.name then
    insert into m23.former_names (table_id, name) values (p_table.id, p_table.name);
    update m23.protected_tables set name = v_name where id = p_table.id;
  end if;
end $$;
revoke all on function m23.note_name(m23.protected_tables) from public, anon, authenticated, service_role;

-- The partitions, with such below them, that a text drops.
create or replace function m23.partitions_to_drop(p_text text) returns setof oid
language sql stable rows 1 set search_path = '' as $$
  select distinct up.relid from m23.partitions p, pg_partition_ancestors(p.relid) up (relid)
   where up.relid <> pg_partition_root(p.relid)
     and exists (select from m23.names_to_drop(p_text) n (name) where m23.is_named(up.relid, n.name))
$$;
revoke all on function m23.partitions_to_drop(text) from public, anon, authenticated, service_role;

-- The first moment of a table's present history: the commit of the transaction that began it.
create or replace function m23.history_since(p_table m23.protected_tables) returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return case when p_table.incarnation <> m23.incarnation() then p_table.protected_at
    when m23.commit_times_are_native() then m23.began_at(p_table)
    else coalesce((select k.at from m23.ticks k
                    where k.incarnation = p_table.incarnation and k.at >= p_table.protected_at
                      and pg_visible_in_snapshot(p_table.xid, k.position)
                    order by k.at limit 1), clock_timestamp()) end;
end $$;
revoke all on function m23.history_since(m23.protected_tables) from public, anon, authenticated, service_role;

-- The log of one table ---------------------------------------------------------

-- The log of a table: all its parts, which inherit from it.
create or replace function m23.log_name(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23_log.log_' || p_table_id $$;
revoke all on function m23.log_name(int) from public, anon, authenticated, service_role;

-- Why changes of a table may have gone unseen for good; null when none have.
create or replace function m23.history_fault(p_table m23.protected_tables) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return coalesce(
    'capture is suspended: the table ' || (m23.obstacle_of(p_table)).sentence,
    'capture was suspended: ' || p_table.suspended,
    case when m23.missing_triggers(p_table) is not null
         then 'capture is switched off: its triggers are missing or not always enabled'
         when m23.misses_replication(p_table) then 'a subscription writes to it, and no event trigger told of that'
         when m23.key_is_another(p_table) then 'the primary key is another, and no event trigger told of it'
         when m23.was_off(p_table, false) then 'capture was switched off for a while' end);
end $$;
revoke all on function m23.history_fault(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether a table's primary key is not the one that its log tells rows apart by.
create or replace function m23.key_is_another(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select m23.key_attnums(p_table.relid) is distinct from p_table.key_attnums
        or exists (select from m23.columns_of(p_table.relid, p_of_key => true) c
                     join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                    where m23.logged_type(c) <> f.type_name));
end $$;
revoke all on function m23.key_is_another(m23.protected_tables) from public, anon, authenticated, service_role;

-- The functions of a table by their signatures, as `drop function` takes them.
create or replace function m23.capture_functions(p_table_id int) returns text
language sql immutable set search_path = '' as $$
  select string_agg(format('m23_log.%s_%s(%s)', f.name, p_table_id, f.arguments), ', ')
    from (values ('insert', ''), ('update', ''), ('delete', ''), ('row', ''), ('truncate', ''), ('replicated', ''),
                 ('layout', 'regclass, text')) f (name, arguments)
$$;
revoke all on function m23.capture_functions(int) from public, anon, authenticated, service_role;

-- Types of the application, as they were. The log and archives keep a value of such a type as text, which is read by
-- the present type: a label of an enum can have another name by now, a composite type other attributes. Their numbers
-- in the catalogue stay. So it is kept which numbers stood for what, and since when; with that a text is put into
-- present words.

-- The types that the columns of tables have.
create or replace function m23.column_types(p_tables oid[]) returns oid[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select distinct a.atttypid from pg_attribute a
                where a.attrelid = any (p_tables) and a.attnum > 0 and not a.attisdropped);
end $$;
revoke all on function m23.column_types(oid[]) from public, anon, authenticated, service_role;

-- Notes the partitions that have come, with the rows that they brought, and gone.
create or replace function m23.follow_partitions(p_table m23.protected_tables, p_new boolean) returns void
language plpgsql set search_path = '' as $$
declare v_relation oid;
begin
  perform m23.remove_partition(p) from m23.partitions p
   where p.table_id = p_table.id and p.relid not in (select c.relid from m23.captured_relations(p_table.relid) c);
  for v_relation in select c.relid from m23.captured_relations(p_table.relid) c where c.leaf and c.partitioned loop
    if not p_new and not exists (select from m23.partitions p where p.relid = v_relation) then
      perform m23.log_rows(v_relation, p_table.id, 'I');
    end if;
    insert into m23.partitions (relid, table_id, name, bounds)
      values (v_relation, p_table.id, m23.public_name(v_relation), m23.bounds_of(v_relation, p_table))
      on conflict (relid) do update set name = excluded.name, bounds = excluded.bounds;
  end loop;
end $$;
revoke all on function m23.follow_partitions(m23.protected_tables, boolean) from public, anon, authenticated,
  service_role;

-- Notes what these types are, and those that they use, as far as that is not known yet. Gives how many were news.
create or replace function m23.note_types(p_types oid[]) returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_life uuid := m23.incarnation();
  v_news int;
begin
  delete from m23.type_versions v where not exists (select from pg_type t where t.oid = v.type);
  insert into m23.type_versions as v (type, since, xid, incarnation, numbers, names)
    select u.type, case when k.type is null then '0/0' else pg_current_wal_insert_lsn() end,
           case when k.type is null then '0' else least(p.xid, pg_current_xact_id()) end, v_life, p.numbers, p.names
      from m23.types_within(p_types) u
      join pg_type t on t.oid = u.type and t.typtype in ('e', 'c')
     cross join lateral m23.type_parts(u.type) p
      left join m23.known_types() k on k.type = u.type
     where row(k.numbers, k.names) is distinct from row(p.numbers, p.names)
    on conflict (incarnation, type, since) do update set numbers = excluded.numbers, names = excluded.names;
  get diagnostics v_news = row_count;
  return v_news;
end $$;
revoke all on function m23.note_types(oid[]) from public, anon, authenticated, service_role;

-- Writes the functions that a table's triggers call.
create or replace function m23.write_capture_functions(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $outer$
declare
  -- Those after a statement insert into tables of their own owner, whom row-level security passes over. A setting more
  -- would cost a tenth of what a single row's capture does.
  v_head     constant text := 'security definer set search_path = '''' ';
  v_function record;
begin
  execute m23.layout_function(p_table);
  for v_function in
    select * from (values
      ('insert', v_head || m23.text_settings(p_table), m23.insert_function(p_table)),
      ('update', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'update')),
      ('delete', v_head || m23.text_settings(p_table), m23.change_function(p_table, 'delete')),
      ('row', '', m23.row_function(p_table)),
      ('replicated', v_head || 'set row_security = off ' || m23.text_settings(p_table),
       m23.replicated_function(p_table)),
      ('truncate', v_head || 'set row_security = off', m23.truncate_function(p_table))) f (name, attributes, body)
  loop
    execute m23.fill('create or replace function m23_log.{name}_{id}() returns trigger
                        language plpgsql {attributes} as {body}',
      'name', v_function.name, 'id', p_table.id::text, 'attributes', v_function.attributes,
      'body', quote_literal(v_function.body));
  end loop;
  execute format('revoke execute on function %s from public', m23.capture_functions(p_table.id));
end $outer$;
revoke all on function m23.write_capture_functions(m23.protected_tables) from public, anon, authenticated, service_role;

-- Brings the groups of a table up to its columns. A group stays as long as its columns do; three long columns
-- have one each, and one is for all others.
create or replace function m23.write_log_groups(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_columns int2[] := array(select g.attnum from m23.groupable_columns(p_table) g);
  v_wide    int2[] := m23.wide_columns(p_table);
  v_rest    int2[];
begin
  update m23.log_groups set in_use = false where table_id = p_table.id and in_use and not attnums <@ v_columns;
  v_wide := array(select w from unnest(v_wide) with ordinality u (w, n)
                   where not exists (select from m23.log_groups g
                                      where g.table_id = p_table.id and g.in_use and g.wide and w = any (g.attnums))
                   order by n
                   limit greatest(3 - (select count(*) from m23.log_groups g
                                         where g.table_id = p_table.id and g.in_use and g.wide), 0));
  v_rest := array(select c from unnest(v_columns) c
                   where c <> all (v_wide)
                     and not exists (select from m23.log_groups g
                                      where g.table_id = p_table.id and g.in_use and g.wide and c = any (g.attnums))
                   order by c);
  if exists (select from m23.log_groups g
              where g.table_id = p_table.id and g.in_use and not g.wide and g.attnums = v_rest) then
    v_rest := '{}';
  else
    update m23.log_groups set in_use = false where table_id = p_table.id and not wide;
  end if;
  -- Without a bit to give, columns are in every image.
  insert into m23.log_groups (table_id, bit, attnums, wide)
    select p_table.id, bits.used + n.n - 1, n.attnums, n.wide
      from (select coalesce(max(bit), -1) + 1 as used from m23.log_groups where table_id = p_table.id) bits,
           (select w.attnums, w.wide, row_number() over () as n
              from (select array[w], true from unnest(v_wide) w
                   union all select v_rest, false where v_rest <> '{}') w (attnums, wide)) n
     where bits.used + n.n - 1 <= 30;
end $$;
revoke all on function m23.write_log_groups(m23.protected_tables) from public, anon, authenticated, service_role;

-- Makes the log table of a protected table, or brings its columns up to the table's.
create or replace function m23.write_log_table(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_log    text := m23.log_name(p_table.id);
  v_new    boolean := to_regclass(v_log) is null;
  v_column record;
  v_name   text;
begin
  if v_new then
    execute format('create table %s (
        tenant_id %s not null,
        xid       xid8 not null default pg_current_xact_id(),
        change_id pg_lsn not null default pg_current_wal_insert_lsn(),
        op        "char" not null,
        unchanged int,
        actor     uuid)', v_log, p_table.tenant_type);
    perform m23.close_table(v_log::regclass);
    execute format('revoke all on %s from public, anon, authenticated', v_log);
    perform m23.open_log_part(p_table.id);
  end if;
  update m23.log_columns f set column_name = c.name
    from m23.columns_of(p_table.relid) c where f.table_id = p_table.id and f.attnum = c.attnum;
  update m23.log_columns f set until_xid = pg_current_xact_id()
   where f.table_id = p_table.id and f.until_xid is null
     and not exists (select from m23.columns_of(p_table.relid) c
                      where c.attnum = f.attnum and not c.generated and m23.logged_type(c) = f.type_name);
  for v_column in
    select c.attnum, c.name, c.type_name as column_type, m23.logged_type(c) as type_name,
           (select count(*) from m23.log_columns f where f.table_id = p_table.id and f.attnum = c.attnum) as versions
      from m23.columns_of(p_table.relid) c
     where not c.generated
       and not exists (select from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null)
  loop
    v_name := concat('c', v_column.attnum, '_' || nullif(v_column.versions, 0));
    execute format('alter table %s add column %s %s', v_log, v_name, v_column.type_name);
    insert into m23.log_columns (table_id, name, attnum, column_name, type_name, column_type, since, generated)
      values (p_table.id, v_name, v_column.attnum, v_column.name, v_column.type_name, v_column.column_type,
              case when v_new then '0/0' else pg_current_wal_insert_lsn() end,
              not v_new and v_column.versions = 0
                and v_column.attnum <= (select t.attributes from m23.protected_tables t where t.id = p_table.id));
  end loop;
  update m23.protected_tables t set attributes = c.relnatts
    from pg_class c where t.id = p_table.id and c.oid = p_table.relid;
end $$;
revoke all on function m23.write_log_table(m23.protected_tables) from public, anon, authenticated, service_role;

-- ENABLE ALWAYS: `session_replication_role = replica` silences other triggers, in a
-- restore too, whose own writes are captured like any others. No trigger names a column, in a list or a condition:
-- one that does keeps the application from altering or dropping that column.
create or replace function m23.write_triggers(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_trigger record;
begin
  perform m23.drop_triggers(c.relid) from m23.captured_relations(p_table.relid) c;
  for v_trigger in
    select m23.qualified_name(c.relid) as relation, t.*
      from m23.captured_relations(p_table.relid) c,
           m23.capture_triggers(c.leaf, c.partitioned, m23.insert_order_matters(p_table.relid),
                                m23.is_subscribed(p_table.relid)) t
  loop
    execute format('create trigger %I %s', v_trigger.name,
                   format(v_trigger.definition, p_table.id, v_trigger.relation));
    execute format('alter table %s enable always trigger %I', v_trigger.relation, v_trigger.name);
  end loop;
  update m23.protected_tables set triggers = m23.trigger_marks(relid) where id = p_table.id;
end $$;
revoke all on function m23.write_triggers(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether the time of an arrival has to be told exactly: rows can be changed by foreign keys' actions, and by what
-- triggers of the application do when rows arrive.
create or replace function m23.insert_order_matters(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_trigger g
                  where g.tgrelid = p_table and not g.tgisinternal and g.tgtype & 4 <> 0
                    and g.tgname !~ '^(aaa|zzz)_m23_')
     and exists (select from pg_constraint k
                  where k.conrelid = p_table and k.contype = 'f'
                    and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd')));
end $$;
revoke all on function m23.insert_order_matters(oid) from public, anon, authenticated, service_role;

-- The operators by which a table's key is compared, where they are an extension's: it can be moved to another schema.
create or replace function m23.key_operators(p_table oid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select o.oid::regoperator::text
      from pg_index i cross join generate_series(1, i.indnkeyatts) n
      join pg_operator o on o.oid = m23.comparison_operator(i.indexrelid, n, 3)
     where i.indexrelid = m23.key_index(p_table) and o.oprnamespace <> 'pg_catalog'::regnamespace order by n);
end $$;
revoke all on function m23.key_operators(oid) from public, anon, authenticated, service_role;

-- Whether rows of a table can be deleted by a foreign key's action in the statement that deletes others of it.
create or replace function m23.references_itself(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (with recursive taken (relid) as (
      select p_table
      union
      select k.conrelid
        from taken t join pg_constraint k on k.confrelid = t.relid and k.contype = 'f' and k.confdeltype = 'c')
    select from taken t join pg_constraint k on k.confrelid = t.relid and k.contype = 'f' and k.confdeltype = 'c'
     where k.conrelid = p_table);
end $$;
revoke all on function m23.references_itself(oid) from public, anon, authenticated, service_role;

-- Whether a foreign key of a table updates its rows when a row that it refers to changes or goes.
create or replace function m23.references_write(p_table oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_constraint k
                  where k.conrelid = p_table and k.contype = 'f'
                    and (k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('n', 'd')));
end $$;
revoke all on function m23.references_write(oid) from public, anon, authenticated, service_role;

-- Whether triggers of the capture have been touched since they were written; but for what this
-- transaction has done, if p_but_mine. Marks and triggers are read in one statement: an ALTER
-- TABLE that commits in between writes both anew.
create or replace function m23.was_off(p_table m23.protected_tables, p_but_mine boolean) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return exists (
    select from m23.protected_tables t, unnest(t.triggers) mark
     where t.id = p_table.id and exists (select from pg_class c where c.oid = split_part(mark, '/', 3)::oid)
       and not exists (select from pg_trigger g
                        where g.oid = split_part(mark, '/', 1)::oid
                          and (g.xmin::text = split_part(mark, '/', 2)
                               or p_but_mine and g.xmin = pg_current_xact_id()::xid)));
end $$;
revoke all on function m23.was_off(m23.protected_tables, boolean) from public, anon, authenticated, service_role;

-- Rows that come by logical replication. Its workers run no statements: of a table's triggers, only those for each row
-- fire. A table that a subscription writes to has some more of them, and no other table pays for that:
--   aaa_m23_row_replicated   after each row: logs it where no statement is open, as it comes by none then
--   zzz_m23_statement[_done] before and after each statement: say which are open, in such a worker too, where the
--                            application's triggers run some, or which copies a table to begin with

-- Whether a subscription writes to a table or to a partition of it.
create or replace function m23.is_subscribed(p_relid oid) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_subscription_rel)  -- mostly there is none
     and exists (select from pg_subscription_rel s join m23.captured_relations(p_relid) c on c.relid = s.srrelid);
end $$;
revoke all on function m23.is_subscribed(oid) from public, anon, authenticated, service_role;

-- The types whose versions are kept in this life of the database, and what they are by the last one.
create or replace function m23.known_types() returns table (type oid, numbers oid[], names text[])
language sql stable rows 5 set search_path = '' as $$
  select distinct on (v.type) v.type, v.numbers, v.names from m23.type_versions v
   where v.incarnation = m23.present_life() order by v.type, v.since desc
$$;
revoke all on function m23.known_types() from public, anon, authenticated, service_role;

-- Whether a relation can be meant by the parts of a name.
create or replace function m23.is_named(p_relation oid, p_name text[]) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where c.oid = p_relation and p_name[cardinality(p_name)] = c.relname
                    and (cardinality(p_name) = 1 or p_name[cardinality(p_name) - 1] = n.nspname));
end $$;
revoke all on function m23.is_named(oid, text[]) from public, anon, authenticated, service_role;

-- The names of the tables that a text drops.
create or replace function m23.names_to_drop(p_text text) returns setof text[]
language sql immutable rows 5 set search_path = '' as $$
  with word (pattern) as (values ('(?:"(?:[^"]|"")+"|[^\s".,;()]+)')),
       name as (select pattern || '(?:\s*\.\s*' || pattern || ')*' as pattern from word)
  select m23.parts_of_name(one[1])
    from name,
         regexp_matches(p_text, format('\mdrop\s+table\s+(?:if\s+exists\s+)?((?:%s\s*,\s*)*%1$s)', pattern),
                        'gi') named,
         regexp_matches(named[1], pattern, 'g') one
$$;
revoke all on function m23.names_to_drop(text) from public, anon, authenticated, service_role;

-- When the transaction that began a table's present history was committed, where commit times are native.
create or replace function m23.began_at(p_table m23.protected_tables) returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return coalesce((select c.at from m23.commit_times c where c.xid = p_table.xid),
                  pg_xact_commit_timestamp(p_table.xid::xid), p_table.protected_at);
end $$;
revoke all on function m23.began_at(m23.protected_tables) from public, anon, authenticated, service_role;

-- The capture triggers that a protected table should have, and does not, or not always enabled.
create or replace function m23.missing_triggers(p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(distinct t.name)
            from m23.captured_relations(p_table.relid) c, m23.capture_triggers(c.leaf, c.partitioned, false, false) t
           where not exists (select from pg_trigger g
                              where g.tgrelid = c.relid and g.tgname = t.name and g.tgenabled = 'A'));
end $$;
revoke all on function m23.missing_triggers(m23.protected_tables) from public, anon, authenticated, service_role;

-- The type that a column has in the log.
create or replace function m23.logged_type(p_column m23.column_shape) returns text
language sql immutable set search_path = '' as
$$ select case when p_column.native then p_column.type_name else 'text' end $$;
revoke all on function m23.logged_type(m23.column_shape) from public, anon, authenticated, service_role;

-- The bounds of a partition, in the table's present names.
create or replace function m23.bounds_of(p_partition oid, p_table m23.protected_tables) returns m23.bounds
language plpgsql stable set search_path = '' as $$
declare v_bounds m23.bounds;
begin
  v_bounds.condition := pg_get_partition_constraintdef(p_partition);
  v_bounds.of_tenant := m23.tenant_bounds(p_partition, m23.tenant_column(p_table));
  select array_agg(c.attnum), array_agg(c.name) into v_bounds.attnums, v_bounds.names
    from m23.columns_of(p_table.relid) c where strpos(v_bounds.condition, quote_ident(c.name)) > 0;
  return v_bounds;
end $$;
revoke all on function m23.bounds_of(oid, m23.protected_tables) from public, anon, authenticated, service_role;

-- Logs every row of a relation as deleted (with its image) or inserted (its key): for rows
-- that come and go by no statement that fires row capture.
create or replace function m23.log_rows(p_relation oid, p_table_id int, p_op "char") returns void
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables;
  v_fields record;
begin
  select * into v_table from m23.protected_tables where id = p_table_id;
  select * into v_fields from m23.log_fields(v_table, p_op = 'I');
  execute m23.fill('insert into {log} (tenant_id, op, actor, {names})
                    select {tenant}, {op}, (select m23.actor()), {expressions} from {rows} r
                     where {tenant} is not null and {shares_fence}',
    'log', m23.log_part(v_table.id), 'names', v_fields.names, 'tenant', m23.row_tenant(v_table, 'r'),
    'op', quote_literal(p_op::text), 'expressions', v_fields.expressions, 'rows', m23.qualified_name(p_relation),
    'shares_fence', m23.shares_fence(m23.row_tenant(v_table, 'r'), v_table.tenant_type, m23.log_part(v_table.id)));
end $$;
revoke all on function m23.log_rows(oid, int, "char") from public, anon, authenticated, service_role;
select m23.pin_text('m23.log_rows(oid, int, "char")');

-- A partition that was detached takes its rows with it, and they are logged. One that was dropped has taken them
-- unseen, unless m23.foresee_drop has found it empty.
create or replace function m23.remove_partition(p_partition m23.partitions) returns void
language plpgsql set search_path = '' as $$
declare v_lost boolean := false;
begin
  if exists (select from pg_class where oid = p_partition.relid) then
    perform m23.log_rows(p_partition.relid, p_partition.table_id, 'D');
    perform m23.drop_triggers(p_partition.relid);
  else
    v_lost := p_partition.relid <> all (m23.empty_partitions());
  end if;
  insert into m23.removed_partitions (table_id, name, bounds, lost)
    values (p_partition.table_id, p_partition.name, p_partition.bounds, v_lost);
  delete from m23.partitions where relid = p_partition.relid;
end $$;
revoke all on function m23.remove_partition(m23.partitions) from public, anon, authenticated, service_role;

-- What an enum or a composite type is made of now: labels or attributes by their numbers, and who altered it last.
create or replace function m23.type_parts(p_type oid, out numbers oid[], out names text[], out xid xid8)
language sql stable set search_path = '' as $$
  select coalesce(array_agg(p.number order by p.number) filter (where p.is_there), '{}'),
         coalesce(array_agg(p.name order by p.number) filter (where p.is_there), '{}'), max(m23.whole_xid(p.xid))
    from (select e.oid as number, e.enumlabel::text as name, true as is_there, e.xmin as xid
            from pg_enum e where e.enumtypid = p_type
          union all
          select a.attnum::int::oid, a.attname, not a.attisdropped, a.xmin
            from pg_type t join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
           where t.oid = p_type and t.typtype = 'c') p
$$;
revoke all on function m23.type_parts(oid) from public, anon, authenticated, service_role;

-- The types that others use and the server does not bring along, and those that these use.
create or replace function m23.types_within(p_types oid[]) returns table (type oid, depth int)
language plpgsql stable rows 5 set search_path = '' as $$
begin
  return query
  with recursive used (type, depth) as (
    select unnest(p_types), 0
    union
    select next.type, u.depth + 1
      from used u join pg_type t on t.oid = u.type
      cross join lateral (
        select nullif(t.typelem, 0) as type where t.typcategory = 'A'
        union all select nullif(t.typbasetype, 0)
        union all select a.atttypid from pg_attribute a
                   where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all select r.rngsubtype from pg_range r where r.rngtypid = t.oid
        union all select r.rngtypid from pg_range r where r.rngmultitypid = t.oid) next
     where next.type is not null and u.depth < 50)
  select t.oid, max(u.depth) from used u join pg_type t on t.oid = u.type
   where t.typnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     and t.typtype in ('e', 'd', 'c', 'r', 'b') and t.typcategory <> 'A'
   group by t.oid;
end $$;
revoke all on function m23.types_within(oid[]) from public, anon, authenticated, service_role;

-- The function after an update or delete. A statement takes the long way where others of its transaction are open, or
-- have logged, and an update where it has changed a group of columns or a key.
create or replace function m23.change_function(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_others    text;
  v_start     pg_lsn;
  v_first     pg_lsn;
  v_direct    boolean;
  v_known     boolean;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {is_alone} then
    {log_alone};
    return v_null;
  end if;
  v_known := {is_known};
  v_open := current_setting('{open}', true);
  if (v_open <> '') is not true or random() < 0.004 then perform m23.tick(); end if;
  v_first := pg_current_wal_insert_lsn();
  if v_known then
    {log};
  else
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, '{event}') loop execute v_stale; end loop;
  end if;
  if v_open <> '' then
    v_statement := split_part(v_open, ',', -1);
    if strpos(v_open, ',') > 0 and left(v_statement, 1) = '{op}' then
      v_others := left(v_open, - length(v_statement) - 1);
    else
      v_statement := m23.open_statement(v_open, '{op}');
      v_others := m23.without_statement(v_open, v_statement);
    end if;
    v_start := coalesce(split_part(v_statement, '@', 2), '0/0');
    if v_open not like ',%' and split_part(v_open, ',', 1)::pg_lsn > v_start then
      if v_known then
        v_direct := v_statement is null or substr(split_part(v_statement, '@', 1), 2)::int = pg_trigger_depth();
        {order};
      else
        perform m23.log_after('{log_name}', v_start, v_first);
      end if;
    end if;
    perform set_config('{open}', concat(pg_current_wal_insert_lsn(),
                                        substr(v_others, nullif(strpos(v_others, ','), 0))), true);
  end if;
  {moves}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'open', m23.open_setting(p_table.id), 'id', p_table.id::text,
    'event', p_event, 'op', upper(left(p_event, 1)), 'is_known', m23.layout_check(p_table),
    'moves', case p_event when 'update' then m23.moves_branch(p_table) else '' end,
    'order', m23.order_statement(p_table, p_event), 'log_name', m23.log_part(p_table.id),
    'log', m23.log_statement(p_table, p_event, case p_event when 'update' then 'some' else 'all' end),
    'log_alone', m23.log_statement(p_table, p_event, case p_event when 'update' then 'none' else 'all' end),
    'is_alone', case
      when p_event = 'update' and (select relkind from pg_class where oid = p_table.relid) = 'p' then 'false'
      else format('concat(current_setting(%L, true)%s) = ''''', m23.open_setting(p_table.id),
                  case p_event when 'update' then format(', current_setting(%L, true)', m23.changed_flag(p_table.id))
                               else '' end) end);
end $outer$;
revoke all on function m23.change_function(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The function after an insert. The first lines of each such function are what nearly all statements come to, in one
-- condition and one query, which takes no variable and has its plan for good. Now and then it is time to look at the
-- clock.
create or replace function m23.insert_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_first     pg_lsn;
  v_stale     text;
begin
  {tick}
  if {is_known} and random() > 0.004 and {in_order} then
    {log};
    return v_null;
  end if;
  perform m23.tick();
  if not {is_known} then
    foreach v_stale in array m23.stale_capture_statements({id}, tg_relid, 'insert') loop execute v_stale; end loop;
    return v_null;
  end if;
  v_first := pg_current_wal_insert_lsn();
  {log};
  {order}
  return v_null;
end $body$,
    'tick', m23.tick_statement(), 'id', p_table.id::text, 'is_known', m23.layout_check(p_table),
    'log', m23.log_statement(p_table, 'insert'),
    'in_order', case when m23.insert_order_matters(p_table.relid)
                     then format('concat(current_setting(%L, true)) = ''''', m23.open_setting(p_table.id))
                     else 'true' end,
    'order', case when m23.insert_order_matters(p_table.relid) then m23.insert_order(p_table) else '' end);
end $outer$;
revoke all on function m23.insert_function(m23.protected_tables) from public, anon, authenticated, service_role;

-- The function of a table that tells whether it still has the layout that its capture knows. It is called immutable,
-- and for generated code alone: with a constant it is asked when a plan is made, and a plan that names a table is
-- made anew once the table is altered. So a statement that is not the first after an ALTER TABLE pays for no look
-- at the catalogue, and the first write of a session for none that takes a query: columns are told by the next free
-- number, names and types, and the key by its definition. A generated column that became an ordinary one shows in the
-- catalogue only, a domain may refuse the nulls by which names are asked for, and a unique index is a key only as
-- long as its columns refuse nulls.
create or replace function m23.layout_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_body text := case
    when not exists (select from pg_index i where i.indrelid = p_table.relid and i.indisprimary)
      or exists (select from m23.columns_of(p_table.relid) c
                   join pg_attribute a on a.attrelid = p_table.relid and a.attnum = c.attnum
                   join pg_type t on t.oid = a.atttypid where c.generated or t.typtype = 'd')
      then m23.fill($body$ begin return p_layout = {layout} and m23.has_layout({relid}, {layout}); end $body$,
                    'relid', p_table.relid::text, 'layout', quote_literal(m23.layout_of(p_table.relid)))
    else m23.fill($body$
declare r {table};
begin
  if p_layout <> {layout} or has_column_privilege({relid}::oid, {next}::int2, 'select') is not null
     or to_json(jsonb_populate_record(null::{table}, '{}'))::text <> {names}
     or pg_get_constraintdef({key}) is distinct from {key_definition}{operators_gone} then
    return false;
  end if;
  return array[{types}]::oid[] = {type_ids}::oid[];
exception when others then return false;  -- it was renamed, say
end $body$,
      'layout', quote_literal(m23.layout_of(p_table.relid)),
      'table', m23.qualified_name(p_table.relid),
      'relid', p_table.relid::text,
      'next', (select (relnatts + 1)::text from pg_class where oid = p_table.relid),
      'names', quote_literal((select '{' || string_agg(to_json(c.name) || ':null', ',' order by c.attnum) || '}'
                                from m23.columns_of(p_table.relid) c)),
      'operators_gone', coalesce((select string_agg(format(' or to_regoperator(%L) is null', o), '')
                                    from unnest(m23.key_operators(p_table.relid)) o), ''),
      'key', (select k.oid::text from pg_constraint k where k.conrelid = p_table.relid and k.contype = 'p'),
      'key_definition', quote_literal((select pg_get_constraintdef(k.oid) from pg_constraint k
                                        where k.conrelid = p_table.relid and k.contype = 'p')),
      'types', (select string_agg(format('pg_typeof(r.%I)', c.name), ', ' order by c.attnum)
                  from m23.columns_of(p_table.relid) c),
      'type_ids', quote_literal((select array_agg(a.atttypid order by a.attnum) from pg_attribute a
                                  where a.attrelid = p_table.relid and a.attnum > 0 and not a.attisdropped))) end;
begin
  return m23.fill($ddl$create or replace function m23_log.layout_{id}(p_table regclass, p_layout text) returns boolean
    language plpgsql immutable set search_path = '' as {body}$ddl$,
    'id', p_table.id::text, 'body', quote_literal(v_body));
end $outer$;
revoke all on function m23.layout_function(m23.protected_tables) from public, anon, authenticated, service_role;

-- The function after a replicated row.
create or replace function m23.replicated_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
#variable_conflict use_variable
declare
  v_null  uuid;
  v_stale text;
begin
  if concat(current_setting('{statements}', true)) not in ('', '0') then return v_null; end if;
  {tick}
  if random() < 0.004 then perform m23.tick(); end if;
  if not {is_known} then
    foreach v_stale in array m23.stale_row_statements({id}, tg_relid, lower(tg_op)) loop
      if tg_op = 'INSERT' then execute v_stale using new, new;
      elsif tg_op = 'DELETE' then execute v_stale using old, old;
      else execute v_stale using old, new;
      end if;
    end loop;
  elsif tg_op = 'INSERT' then
    {insert};
  elsif tg_op = 'DELETE' then
    {delete};
  else
    {update};
  end if;
  return v_null;
end $body$,
    'statements', m23.statements_setting(p_table.id), 'tick', m23.tick_statement(), 'id', p_table.id::text,
    'is_known', m23.layout_check(p_table),
    'insert', array_to_string(m23.row_statements(p_table, 'insert', 'old', 'new'), ''),
    'delete', array_to_string(m23.row_statements(p_table, 'delete', 'old', 'new'), ''),
    'update', array_to_string(m23.row_statements(p_table, 'update', 'old', 'new'), ';
    '));
end $outer$;
revoke all on function m23.replicated_function(m23.protected_tables) from public, anon, authenticated, service_role;

-- The function after an updated row: it has no column in its definition, which would keep the application from altering
-- it. It has its writer's rights and no path of its own, as m23_log.before(). The first row of a statement is looked at
-- with care: where nobody has followed an ALTER TABLE, a column may have gone.
create or replace function m23.row_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_set    constant text := 'perform pg_catalog.set_config(%L, ''yes'', true);';
  v_tenant text := m23.tenant_column(p_table);
  v_keys   text[] := array(select c.name from m23.columns_of(p_table.relid) c
                            where c.key_ord is not null or c.attnum = p_table.tenant_attnum);
  v_wide   text[] := array(select c.name from m23.log_groups g
                             join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums)
                            where g.table_id = p_table.id and g.in_use and g.wide);
  v_rest   text[] := array(select c.name from m23.log_groups g
                             join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums)
                            where g.table_id = p_table.id and g.in_use and not g.wide);
  v_all    text;
  v_each   text;
begin
  select concat_ws(' ', string_agg(format(v_set, m23.group_flag(p_table.id, g.bit)), ' ' order by g.bit),
                   format(v_set, m23.changed_flag(p_table.id)),
                   m23.fill($body$perform pg_catalog.set_config({moved},
          case when pg_catalog.current_setting({moved}, true) operator(pg_catalog.=) 'both'
                    or ({tenant_differs}) and ({key_differs}) then 'both' else 'yes' end, true);$body$,
                     'moved', quote_literal(m23.moved_flag(p_table.id)),
                     'tenant_differs', m23.columns_differ(array[v_tenant]),
                     'key_differs', coalesce(nullif(m23.columns_differ(array_remove(v_keys, v_tenant)), ''), 'false'))),
         concat_ws(' ', string_agg(format('if (case when %s then false else %s end) then %s %s end if;',
                                          m23.has_changed_group(p_table.id, g.bit), m23.columns_differ(d.names, v_wide),
                                          format(v_set, m23.group_flag(p_table.id, g.bit)),
                                          format(v_set, m23.changed_flag(p_table.id))),
                                   ' ' order by g.bit))
    into v_all, v_each
    from m23.log_groups g,
         lateral (select array_agg(c.name order by c.attnum)
                    from m23.groupable_columns(p_table) c where c.attnum = any (g.attnums)) d (names)
   where g.table_id = p_table.id and g.in_use;
  return m23.fill($body$
declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('{seen}', true) operator(pg_catalog.=) 'yes' then
    {look}
  else
    begin
    {look}
      perform pg_catalog.set_config('{seen}', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('{changed}', 'yes', true);
    end;
  end if;
  return v_null;
end $body$,
    'seen', 'm23.seen_' || p_table.id, 'changed', m23.changed_flag(p_table.id),
    'look', m23.fill($body$if ({differ}) then
      if ({key_differs}) then
        {all_changed}
      else
        {each_changed}
      end if;
    end if;$body$, 'differ', m23.columns_differ(v_keys || v_rest || v_wide, v_wide),
      'key_differs', m23.columns_differ(v_keys), 'all_changed', v_all,
      'each_changed', coalesce(nullif(v_each, ''), 'null;')));
end $outer$;
revoke all on function m23.row_function(m23.protected_tables) from public, anon, authenticated, service_role;

-- TRUNCATE fires no row capture: the rows are logged before they go.
create or replace function m23.truncate_function(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$
declare v_table m23.protected_tables;
begin
  perform m23.refuse_stale_snapshot(tg_relid);
  if not {is_known} then
    v_table := m23.follow_layout({id}, tg_relid);
    if v_table.id is null then return null; end if;
  end if;
  perform m23.log_rows(tg_relid, {id}, 'D');
  return null;
end $body$, 'id', p_table.id::text, 'is_known', m23.layout_check(p_table));
end $outer$;
revoke all on function m23.truncate_function(m23.protected_tables) from public, anon, authenticated, service_role;

-- The columns that can be left out: of variable length, but for numbers, keys and what foreign keys refer with,
-- by which the order of changes is told. A table of very many columns has none, as a query into its past names each of
-- them twice and can have 1,664; a partitioned table has none: a row that changes its partition
-- fires no trigger for updated rows.
create or replace function m23.groupable_columns(p_table m23.protected_tables) returns table (attnum int2, name text)
language plpgsql stable rows 10 set search_path = '' as $$
begin
  return query
  select a.attnum, a.attname::text
    from pg_attribute a join pg_class c on c.oid = a.attrelid
   where a.attrelid = p_table.relid and c.relkind = 'r' and c.relnatts <= 500
     and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and a.attlen = -1 and a.atttypid <> 'numeric'::regtype
     and a.attnum <> p_table.tenant_attnum and a.attnum <> all (p_table.key_attnums)
     and not exists (select from pg_constraint k
                      where k.conrelid = a.attrelid and k.contype = 'f' and a.attnum = any (k.conkey))
   order by a.attnum;
end $$;
revoke all on function m23.groupable_columns(m23.protected_tables) from public, anon, authenticated, service_role;

-- Those of them whose values are long, by what some rows hold: three at most, the longest ones.
create or replace function m23.wide_columns(p_table m23.protected_tables) returns int2[]
language plpgsql volatile set search_path = '' set lock_timeout = '200ms' as $$
declare
  v_query text := (
    select m23.fill($sql$
        select array(select w.attnum from (select {sizes} from (select * from {live} limit 200) r) s,
                            unnest(array[{attnums}]::int2[], array[{bytes}]) w (attnum, bytes)
                      where w.bytes > 500 order by w.bytes desc limit 3)$sql$,
      'sizes', string_agg(format('avg(pg_catalog.pg_column_size(r.%I)) as w%s', g.name, g.attnum), ', '),
      'live', m23.qualified_name(p_table.relid),
      'attnums', string_agg(g.attnum::text, ', '), 'bytes', string_agg('s.w' || g.attnum, ', '))
      from m23.groupable_columns(p_table) g having count(*) > 0);
  v_path  text := m23.path_of(p_table.relid);
  v_wide  int2[];
begin
  if v_query is null then return '{}'; end if;  -- none can be left out
  perform set_config('search_path', v_path, true);
  execute v_query into v_wide;
  return coalesce(v_wide, '{}');
exception when lock_not_available then return '{}';  -- there is a next time
end $$;
revoke all on function m23.wide_columns(m23.protected_tables) from public, anon, authenticated, service_role;

-- Two that open one at once would both take the next number: the second waits, and takes the one after it.
create or replace function m23.open_log_part(p_table_id int) returns void
language plpgsql set search_path = '' as $$
declare v_part int;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  v_part := coalesce((select max(part) from m23.log_parts where table_id = p_table_id), 0) + 1;
  update m23.log_parts set closed_at = clock_timestamp() where table_id = p_table_id and closed_at is null;
  insert into m23.log_parts (table_id, part) values (p_table_id, v_part);
  execute format('create table %1$s_%2$s () inherits (%1$s)', m23.log_name(p_table_id), v_part);
  execute format('create index on %s_%s (tenant_id, xid, change_id)', m23.log_name(p_table_id), v_part);
  perform m23.close_table(format('%s_%s', m23.log_name(p_table_id), v_part)::regclass);
  execute format('revoke all on %s_%s from public, anon, authenticated', m23.log_name(p_table_id), v_part);
end $$;
revoke all on function m23.open_log_part(int) from public, anon, authenticated, service_role;

-- The triggers of a captured relation: %1 is the table's id, %2 the relation.
create or replace function m23.capture_triggers(p_leaf boolean, p_partitioned boolean, p_insert_order boolean,
                                     p_subscribed boolean)
returns table (name text, definition text)
language sql immutable rows 6 set search_path = '' as $$
  select t.name, t.definition from (values
    ('zzz_m23_before', true,
     'before ' || case when p_insert_order then 'insert or ' else '' end || 'update or delete on %2$s '
     'for each statement execute function m23_log.before(%1$s)'),
    ('aaa_m23_log_insert', true,
     'after insert on %2$s referencing new table as new_rows '
     'for each statement execute function m23_log.insert_%1$s()'),
    ('aaa_m23_log_update', true,
     'after update on %2$s referencing old table as old_rows new table as new_rows '
     'for each statement execute function m23_log.update_%1$s()'),
    ('aaa_m23_log_delete', true,
     'after delete on %2$s referencing old table as old_rows '
     'for each statement execute function m23_log.delete_%1$s()'),
    ('aaa_m23_row', not p_partitioned,
     'after update on %2$s for each row execute function m23_log.row_%1$s()'),
    ('zzz_m23_log_truncate', p_leaf,
     'before truncate on %2$s for each statement execute function m23_log.truncate_%1$s()'),
    ('aaa_m23_row_replicated', p_subscribed and p_leaf,
     'after insert or update or delete on %2$s for each row execute function m23_log.replicated_%1$s()'),
    ('zzz_m23_statement', p_subscribed,
     'before insert or update or delete on %2$s for each statement execute function m23_log.count_statements(%1$s)'),
    ('zzz_m23_statement_done', p_subscribed,
     'after insert or update or delete on %2$s for each statement execute function m23_log.count_statements(%1$s)')
  ) t (name, applies, definition) where t.applies
$$;
revoke all on function m23.capture_triggers(boolean, boolean, boolean, boolean) from public, anon, authenticated,
  service_role;

-- Capture switched off ---------------------------------------------------------------------
-- ENABLE and DISABLE TRIGGER write the trigger's row in the catalogue anew, so that its number
-- and its transaction tell whether anybody has touched it, whatever its state is now. With a relation
-- that is dropped, its triggers go.

-- The marks of a table's capture triggers: each by its number and its version in the catalogue.
create or replace function m23.trigger_marks(p_relid oid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select concat_ws('/', g.oid, g.xmin, g.tgrelid)
                 from m23.captured_relations(p_relid) c join pg_trigger g on g.tgrelid = c.relid
                where g.tgname ~ '^(aaa|zzz)_m23_' order by 1);
end $$;
revoke all on function m23.trigger_marks(oid) from public, anon, authenticated, service_role;

-- The lowest bounds of a partition, from its own upwards, that look at the tenant's column alone.
create or replace function m23.tenant_bounds(p_partition oid, p_tenant_column text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (
    select pg_get_partition_constraintdef(a.relid)
      from pg_partition_ancestors(p_partition) with ordinality a (relid, n)
     where a.relid <> pg_partition_root(p_partition) and not exists (
       select from pg_partition_ancestors(a.relid) up (relid)
         join pg_partitioned_table k on k.partrelid = up.relid and up.relid <> a.relid
        cross join lateral unnest(k.partattrs::int2[]) key (attnum)
         left join pg_attribute c on c.attrelid = up.relid and c.attnum = key.attnum
        where c.attname is distinct from p_tenant_column)
     order by a.n limit 1);
end $$;
revoke all on function m23.tenant_bounds(oid, text) from public, anon, authenticated, service_role;

-- Capture: what the generated functions of every table have in common.

-- Who writes; null where that is nobody, or somebody whose id is no uuid.
create or replace function m23.actor() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  return auth.uid();
exception when invalid_text_representation then return null;
end $$;
revoke all on function m23.actor() from public, anon, authenticated, service_role;

-- The log's present columns for a table, and the expressions that fill them from a row `r`: with all groups of columns
-- that an image can leave out, none, or some, by what was changed (m23.changed_groups).
create or replace function m23.log_fields(p_table m23.protected_tables, p_keys_only boolean,
  p_groups text default 'all',
                               out names text, out expressions text)
language sql stable set search_path = '' as $$
  select string_agg(f.name, ', ' order by c.attnum),
         string_agg(case when p_groups = 'some' and g.bit is not null
                         then format('case when changed.g%s then %s end', g.bit, e.value) else e.value end,
                    ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c
    join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
   cross join lateral (select case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end) e (value)
    left join m23.log_groups g on g.table_id = p_table.id and g.in_use and c.attnum = any (g.attnums)
   where not c.generated and (c.key_ord is not null or not p_keys_only) and (p_groups <> 'none' or g.bit is null)
$$;
revoke all on function m23.log_fields(m23.protected_tables, boolean, text) from public, anon, authenticated,
  service_role;

-- The part of a log that capture writes into.
create or replace function m23.log_part(p_table_id int) returns text
language sql stable set search_path = '' as
$$ select m23.log_name(p_table_id) || '_' || max(part) from m23.log_parts where table_id = p_table_id $$;
revoke all on function m23.log_part(int) from public, anon, authenticated, service_role;

-- The whole number of a transaction that the catalogue knows by its last 32 bits.
create or replace function m23.whole_xid(p_xid xid) returns xid8
language sql stable set search_path = '' as $$
  select greatest(0, near.xid - 2147483648
                     + mod(mod(p_xid::text::numeric - near.xid + 2147483648, 4294967296) + 4294967296, 4294967296)
                    )::text::xid8
    from (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as xid) near
$$;
revoke all on function m23.whole_xid(xid) from public, anon, authenticated, service_role;

-- The setting by which the function after a row tells the one after the statement that a group or a key was changed.
create or replace function m23.changed_flag(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.changed_' || p_table_id $$;
revoke all on function m23.changed_flag(int) from public, anon, authenticated, service_role;

-- Whether the table has the layout that a function of its capture knows: else no query of it can be trusted to fit. It
-- names that layout: another session may have written all functions anew since this one was called.
create or replace function m23.layout_check(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select format('m23_log.layout_%s(%L, %L)', p_table.id, p_table.relid, m23.layout_of(p_table.relid))
$$;
revoke all on function m23.layout_check(m23.protected_tables) from public, anon, authenticated, service_role;

-- What others have logged between two change ids comes after what was logged since: for a table whose present shape is
-- not that of the statements that could tell.
create or replace function m23.log_after(p_log regclass, p_start pg_lsn, p_first pg_lsn) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('update %1$s l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from (select o.ctid as place, row_number() over (order by o.change_id) as n from %1$s o
             where o.xid = pg_current_xact_id() and o.change_id >= $1 and o.change_id < $2) later
     where l.ctid = later.place', p_log) using p_start, p_first;
end $$;
revoke all on function m23.log_after(regclass, pg_lsn, pg_lsn) from public, anon, authenticated, service_role;

-- The statement that logs what the transition table of an event holds: the keys that came, or the images that went. An
-- update's images carry all columns, none of those that are in a group, or (some) the groups that were changed.
create or replace function m23.log_statement(
  p_table m23.protected_tables, p_event text, p_groups text default 'all', p_rows text default null
) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_bits   text := case p_groups when 'some' then m23.unchanged_bits(p_table)
                                 when 'none' then (select sum(1 << g.bit)::text from m23.log_groups g
                                                    where g.table_id = p_table.id and g.in_use) end;
  v_fields record := m23.log_fields(p_table, p_event = 'insert', case when v_bits is null then 'all' else p_groups end);
  v_log    text := m23.log_part(p_table.id);
  v_tenant text := m23.row_tenant(p_table, 'r');
begin
  return m23.fill($sql$insert into {log} (tenant_id, op, actor, {names}{unchanged})
    select {tenant}, '{op}', {actor}, {expressions}{bits}
      from {groups}{rows} r where {tenant} is not null and {shares_fence}$sql$,
    'groups', case when v_bits is not null and p_groups = 'some' then m23.changed_groups(p_table.id) || ', '
                   else '' end,
    'log', v_log, 'tenant', v_tenant, 'op', upper(left(p_event, 1)), 'actor', m23.logged_actor(),
    'unchanged', case when v_bits is null then '' else ', unchanged' end, 'bits', coalesce(', ' || v_bits, ''),
    'names', v_fields.names, 'expressions', v_fields.expressions,
    'rows', coalesce(p_rows, case p_event when 'insert' then 'new_rows' else 'old_rows' end),
    'shares_fence', m23.shares_fence(v_tenant, p_table.tenant_type, v_log));
end $outer$;
revoke all on function m23.log_statement(m23.protected_tables, text, text, text) from public, anon, authenticated,
  service_role;

-- What an update does with keys that have moved. In a partitioned table it always looks for them: a row that goes to
-- another partition fires no trigger for updated rows.
create or replace function m23.moves_branch(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$if v_known and {moved} then
    {statements};
  end if;$body$,
    'moved', case when (select relkind from pg_class where oid = p_table.relid) = 'p' then 'true'
                  else format('current_setting(%L, true) <> ''''', m23.moved_flag(p_table.id)) end,
    'statements', array_to_string(m23.move_statements(p_table), ';
    '));
end $outer$;
revoke all on function m23.moves_branch(m23.protected_tables) from public, anon, authenticated, service_role;

-- Statements in statements ------------------------------------------------------
-- A statement that another one fires logs its images first. The setting m23.open_<table> says which
-- statements of the transaction are open: `<last>,U<depth>@<start>,D<depth>@<start>`, where <last> is the change id at
-- which somebody has logged last. A statement that begins before its transaction has a number cannot
-- come after another, and is not noted: its start is 0/0. So a statement that is a transaction of its own
-- pays for next to nothing. What a foreign key's action does begins in a trigger, a level deeper than it ends.

-- The setting that holds the open statements of a table.
create or replace function m23.open_setting(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.open_' || p_table_id $$;
revoke all on function m23.open_setting(int) from public, anon, authenticated, service_role;

-- The last open statement of a kind in that setting, `U1@0/16B3748`; null where none is noted. Updates and deletes
-- that foreign keys make end in the order in which they were fired, not that of their beginning.
create or replace function m23.open_statement(p_open text, p_op text) returns text
language sql immutable set search_path = '' as
$$ select substring(p_open from '.*,(' || p_op || '[^,]*)') $$;
revoke all on function m23.open_statement(text, text) from public, anon, authenticated, service_role;

-- Others have logged while a statement was open: what came after its own image of a key gets new change ids, in its
-- order. A row that a statement has changed itself was changed before all of that: nothing may change it again until
-- the statement's rows are written. One that a foreign key's action has changed on its behalf can have been changed
-- by others before:
--   gone by then   The others say when the key was there. An arrival where it was there already comes after.
--   still there    What its row was then is the image of whoever changed it next.
create or replace function m23.order_statement(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_images constant boolean := p_event = 'update' and m23.references_write(p_table.relid);
begin
  return m23.fill($sql$update {log} l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from unnest(array(select o.m23_place
          from (select o.*, min(o.m23_change_id) filter (where {follows})
                              over (partition by o.m23_tenant, {keys_of_o}) as m23_next
                  from (select e.*, bool_or(e.m23_change_id >= v_first and e.m23_op = '{op}')
                                      over (partition by e.m23_tenant, {keys_of_e}) as m23_own,
                               coalesce(sum(case when e.m23_op in ('I', 'n', 'a') then 1
                                                 when e.m23_op in ('D', 'o', 'l') then -1 else 0 end)
                                          over (partition by e.m23_tenant, {keys_of_e} order by e.m23_change_id
                                                rows between unbounded preceding and 1 preceding), 0) as m23_balance
                          from (select l.tenant_id as m23_tenant, l.change_id as m23_change_id, l.op as m23_op,
                                       l.ctid as m23_place, {keys}{images} from {log} l{many}
                                 where l.tenant_id in (select {tenant} from old_rows r)
                                   and l.xid = pg_current_xact_id() and l.change_id >= v_start) e) o{new_rows}
                 where o.m23_own and o.m23_change_id < v_first) o
         where o.m23_change_id >= o.m23_next
         group by o.m23_place, o.m23_change_id order by o.m23_change_id)) with ordinality later (place, n)
     where l.ctid = later.place$sql$,
    'log', m23.log_part(p_table.id), 'op', upper(left(p_event, 1)), 'tenant', m23.row_tenant(p_table, 'r'),
    'keys', (select string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord)
               from m23.columns_of(p_table.relid, p_of_key => true) c),
    'keys_of_o', m23.key_list(p_table.relid, 'o'), 'keys_of_e', m23.key_list(p_table.relid, 'e'),
    'images', case when v_images then (
      select ', l.unchanged as m23_unchanged' || string_agg(format(', l.%1$s as m23_%1$s', f.name), '' order by f.name)
        from m23.log_columns f where f.table_id = p_table.id and f.until_xid is null) else '' end,
    'many', case when v_images then ' cross join m23.called_many()' else '' end,
    'new_rows', case when v_images then m23.new_rows_of_key(p_table) else '' end,
    'follows', case
      when p_event = 'delete'
      then m23.fill('(v_direct and not {itself} or o.m23_op in (''I'', ''n'', ''a'') and o.m23_balance >= 0)',
                    'itself', m23.references_itself(p_table.relid)::text)
      when v_images then m23.follows_update(p_table)
      else 'true' end);
end $outer$;
revoke all on function m23.order_statement(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- What a trigger that is out of date executes instead of what it knows; null where nothing can be logged. Transition
-- tables are visible to it.
create or replace function m23.stale_capture_statements(p_table_id int, p_relid oid, p_event text) returns text[]
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  if v_table.id is null then return '{}'; end if;
  return m23.log_statement(v_table, p_event) || case when p_event = 'update' then m23.move_statements(v_table) end;
end $$;
revoke all on function m23.stale_capture_statements(int, oid, text) from public, anon, authenticated, service_role;

-- Looks at the clock at every statement where commit times are not native: the moments to come back to are the ticks
-- then.
create or replace function m23.tick_statement() returns text
language sql stable set search_path = '' as $outer$
  select case when m23.commit_times_are_native() then '' else
    $$if current_setting('m23.ticked', true) is distinct from floor(date_part('epoch', clock_timestamp()))::bigint::text
  then perform m23.tick(); end if;$$ end
$outer$;
revoke all on function m23.tick_statement() from public, anon, authenticated, service_role;

-- The setting without that statement.
create or replace function m23.without_statement(p_open text, p_statement text) returns text
language sql immutable set search_path = '' as $$
  select case when p_statement is null then p_open
              else substring(p_open from '^(.*),' || p_statement || '(?:,|$)')
                   || coalesce(substring(p_open from '.*,' || p_statement || '(,.*)$'), '') end
$$;
revoke all on function m23.without_statement(text, text) from public, anon, authenticated, service_role;

-- A trigger of the application's for inserted rows writes before the function after the statement: what it logs comes
-- after the arrivals, which are as old as the statement. That matters only where foreign keys' actions have to be put
-- in order.
create or replace function m23.insert_order(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($body$v_open := current_setting('{open}', true);
  if v_open <> '' then
    v_statement := m23.open_statement(v_open, 'I');
    if v_open not like ',%'
       and split_part(v_open, ',', 1)::pg_lsn > coalesce(split_part(v_statement, '@', 2), '0/0')::pg_lsn then
      update {log} l set change_id = coalesce(split_part(v_statement, '@', 2)::pg_lsn,
               (select min(o.change_id) - 1 from {log} o
                 where o.tenant_id = l.tenant_id and o.xid = pg_current_xact_id()))
       where l.tenant_id in (select {tenant} from new_rows r) and l.xid = pg_current_xact_id()
         and l.op = 'I' and l.change_id >= v_first;
    end if;
    perform set_config('{open}', m23.without_statement(v_open, v_statement), true);
  end if;$body$,
    'open', m23.open_setting(p_table.id), 'log', m23.log_part(p_table.id),
    'tenant', m23.row_tenant(p_table, 'r'));
end $outer$;
revoke all on function m23.insert_order(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether a table has the layout that a capture was written for, by its catalogue.
create or replace function m23.has_layout(p_table regclass, p_layout text) returns boolean
language plpgsql immutable set search_path = '' as
$$ begin return coalesce(m23.layout_of(p_table) = p_layout, false); end $$;
revoke all on function m23.has_layout(regclass, text) from public, anon, authenticated, service_role;

-- What is logged of one row that was written, by the expressions for it before and after.
create or replace function m23.row_statements(p_table m23.protected_tables, p_event text, p_old text, p_new text)
  returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_old text := format('(select %s.*)', p_old);
  v_new text := format('(select %s.*)', p_new);
begin
  return m23.log_statement(p_table, p_event, 'all', case p_event when 'insert' then v_new else v_old end)
      || case p_event when 'update' then m23.move_statements(p_table, v_old, v_new) end;
end $$;
revoke all on function m23.row_statements(m23.protected_tables, text, text, text) from public, anon, authenticated,
  service_role;

-- The same where no event trigger has followed an ALTER TABLE; the row is $1 before and $2 after.
create or replace function m23.stale_row_statements(p_table_id int, p_relid oid, p_event text) returns text[]
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables := m23.follow_layout(p_table_id, p_relid);
begin
  return case when v_table.id is null then '{}' else m23.row_statements(v_table, p_event, '($1)', '($2)') end;
end $$;
revoke all on function m23.stale_row_statements(int, oid, text) from public, anon, authenticated, service_role;

-- The setting that says how many statements on a table are open in this transaction.
create or replace function m23.statements_setting(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.statements_' || p_table_id $$;
revoke all on function m23.statements_setting(int) from public, anon, authenticated, service_role;

-- The condition that a column, or a list of them, differs in `old` and `new` by what is stored. A value that lies
-- outside its row, and was not touched, lies where it did, which only a server from 17 on tells.
create or replace function m23.columns_differ(p_columns text[], p_wide text[] default '{}') returns text
language sql stable set search_path = '' as $$
  select concat_ws(' or ',
    (select format('row(%s)::pg_catalog.record operator(pg_catalog.*<>) row(%s)::pg_catalog.record',
                   string_agg(format('old.%I', c), ', '), string_agg(format('new.%I', c), ', '))
       from unnest(p_columns) c where c <> all (p_wide) or not v.knows having count(*) > 0),
    (select string_agg(format(
         'case when pg_catalog.pg_column_toast_chunk_id(old.%1$I)
                    operator(pg_catalog.=) pg_catalog.pg_column_toast_chunk_id(new.%1$I) then false
               else row(old.%1$I)::pg_catalog.record operator(pg_catalog.*<>) row(new.%1$I)::pg_catalog.record end', c),
                       ' or ')
       from unnest(p_columns) c where c = any (p_wide) and v.knows))
    from (select current_setting('server_version_num')::int >= 170000) v (knows)
$$;
revoke all on function m23.columns_differ(text[], text[]) from public, anon, authenticated, service_role;

-- The setting that says, to the end of the transaction, that a row's column of a group was changed. A trigger
-- for each row writes it, which fires before the one that logs the statement.
create or replace function m23.group_flag(p_table_id int, p_bit int) returns text
language sql immutable set search_path = '' as $$ select format('m23.changed_%s_%s', p_table_id, p_bit) $$;
revoke all on function m23.group_flag(int, int) from public, anon, authenticated, service_role;

-- The condition that a row has changed a group.
create or replace function m23.has_changed_group(p_table_id int, p_bit int) returns text
language sql immutable set search_path = '' as $$
  select format('pg_catalog.current_setting(%L, true) operator(pg_catalog.=) ''yes''',
                m23.group_flag(p_table_id, p_bit))
$$;
revoke all on function m23.has_changed_group(int, int) from public, anon, authenticated, service_role;

-- The setting by which it tells that a key was; `both`: a row has changed its key and its tenant.
create or replace function m23.moved_flag(p_table_id int) returns text
language sql immutable set search_path = '' as $$ select 'm23.moved_' || p_table_id $$;
revoke all on function m23.moved_flag(int) from public, anon, authenticated, service_role;

-- An ALTER TABLE that no event trigger has followed: brings log and capture up to the present
-- layout, from within a trigger, where triggers cannot be made anew. Null where nothing can be
-- logged: where there is an obstacle (m23.obstacles), or in a copy of the database.
create or replace function m23.follow_layout(p_table_id int, p_relid oid) returns m23.protected_tables
language plpgsql set search_path = '' as $$
declare v_table m23.protected_tables;
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.layout.' || p_table_id, 0));
  select * into v_table from m23.protected_tables
   where id = p_table_id and relid = coalesce(pg_partition_root(p_relid), p_relid);
  if v_table.id is null or (m23.obstacle_of(v_table)).kind is not null then
    return null;
  end if;
  if m23.capture_is_stale(v_table) then
    perform m23.write_log_table(v_table);
    perform m23.write_log_groups(v_table);
    perform m23.write_capture_functions(v_table);
  end if;
  return v_table;
end $$;
revoke all on function m23.follow_layout(int, oid) from public, anon, authenticated, service_role;
select m23.pin_text('m23.follow_layout(int, oid)');

-- Fires before an update or delete, after the application's own such triggers. It has its writer's
-- rights only, and no path of its own: both would cost more than all that it does, and every name in it is qualified.
-- Ordinary writers ask for their tenant's fence here, while they hold no row; an insert holds none that a
-- restore could have planned, but for the parents that it refers to, and asks when it logs.
create or replace function m23_log.before() returns trigger language plpgsql as $$
declare
  v_tenant pg_catalog.text;
  v_open   pg_catalog.text;
  v_null   pg_catalog.uuid;
begin
  if pg_catalog.current_setting('request.jwt.claims', true) is not null
     or pg_catalog.pg_current_xact_id_if_assigned() is not null then
    if pg_catalog.current_setting('request.jwt.claims', true) operator(pg_catalog.<>) ''
       and pg_catalog.concat(pg_catalog.current_setting('m23.fenced', true)) operator(pg_catalog.<>) 'yes' then
      begin
        v_tenant := m23.caller_tenant();
      exception when others then null;  -- they ask when they log
      end;
      perform pg_catalog.pg_advisory_xact_lock_shared(m23.fence_key(v_tenant));
      perform pg_catalog.set_config('m23.fenced', 'yes', true);
    end if;
    if pg_catalog.pg_current_xact_id_if_assigned() is not null then
      v_open := pg_catalog.concat('m23.open_', tg_argv[0]);
      perform pg_catalog.set_config(v_open, pg_catalog.concat(
        pg_catalog.current_setting(v_open, true), ',', pg_catalog."left"(tg_op, 1), pg_catalog.pg_trigger_depth(), '@',
        pg_catalog.pg_current_wal_insert_lsn()), true);
      perform pg_catalog.set_config(pg_catalog.concat('m23.seen_', tg_argv[0]), '', true);
    end if;
  end if;
  return v_null;
end $$;
revoke all on function m23_log.before() from public, anon, authenticated, service_role;

-- Fires before and after a statement.
create or replace function m23_log.count_statements() returns trigger language plpgsql set search_path = '' as $$
declare
  v_setting text := 'm23.statements_' || tg_argv[0];
  v_open    int := coalesce(nullif(current_setting(v_setting, true), ''), '0');
begin
  perform set_config(v_setting, (v_open + case tg_when when 'BEFORE' then 1 else -1 end)::text, true);
  return null;
end $$;
revoke all on function m23_log.count_statements() from public, anon, authenticated, service_role;

-- Groups of columns that an update may leave out of its image: which they are, and how an update
-- tells that it has changed one.

-- Which groups a statement has changed, as a relation of one row with a column for each. It is asked once: asked for
-- each row, the settings would be half of what logging the row costs.
create or replace function m23.changed_groups(p_table_id int) returns text
language sql stable set search_path = '' as $$
  select format('(select %s offset 0) changed',
                string_agg(format('%s as g%s', m23.has_changed_group(p_table_id, g.bit), g.bit), ', ' order by g.bit))
    from m23.log_groups g where g.table_id = p_table_id and g.in_use
$$;
revoke all on function m23.changed_groups(int) from public, anon, authenticated, service_role;

-- The column of who writes, in generated code: a look at one setting where nobody is signed in.
create or replace function m23.logged_actor() returns text
language sql immutable set search_path = '' as $expression$
  select $$case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end$$
$expression$;
revoke all on function m23.logged_actor() from public, anon, authenticated, service_role;

-- The value of `unchanged` for an update: the bits of the groups that nobody has changed; null for none.
create or replace function m23.unchanged_bits(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select 'nullif('
         || string_agg(format('case when changed.g%s then 0 else %s end', g.bit, 1 << g.bit), ' + ' order by g.bit)
         || ', 0)'
    from m23.log_groups g where g.table_id = p_table.id and g.in_use
$$;
revoke all on function m23.unchanged_bits(m23.protected_tables) from public, anon, authenticated, service_role;

-- Keys that an update takes away or makes: the sets of keys before and after are compared. How many rows there are is
-- not known when the query is planned, so it counts them and joins nothing. One that goes and comes under another
-- tenant leaves and arrives; where a statement changes tenants and keys together, so does what a tenant has more rows
-- of after it, or fewer, and all that comes where rows of other tenants were changed. Of a partitioned table the set
-- after cannot be trusted: PostgreSQL puts the row that a MERGE has inserted where one that it updates later should
-- be. So no key is gone that is still there, and none has come where none is gone.
create or replace function m23.move_statements(
  p_table m23.protected_tables, p_old text default 'old_rows', p_new text default 'new_rows'
) returns text[]
language plpgsql stable set search_path = '' as $outer$
declare v_key record := m23.log_fields(p_table, true);
begin
  return (select array_agg(m23.fill($sql$insert into {log} (tenant_id, op, actor, {names})
    select r.m23_tenant, (case when r.m23_more > 0 or r.m23_of_key > r.m23_of_row
                                    or {both} and r.m23_of_all > r.m23_of_tenant
                               then '{moved}' else '{changed}' end)::"char", {actor}, {expressions}
      from (select r.*, row_number() over (partition by r.m23_tenant, {keys}, r.m23_n) as m23_nth,
                   sum(r.m23_n) over (partition by r.m23_tenant) as m23_more,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant, {keys}) as m23_of_row,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant) as m23_of_tenant,
                   count(*) filter (where r.m23_n < 0) over (partition by {keys}) as m23_of_key,
                   count(*) filter (where r.m23_n < 0) over () as m23_of_all
              from (select {tenant} as m23_tenant, {keys}, 1 as m23_n from {these} r
                    union all select {tenant}, {keys}, -1 from {those} r) r) r
     where r.m23_n > 0 and r.m23_nth > r.m23_of_row and {is_real} and {shares_fence}$sql$,
      'is_real', case when (select relkind from pg_class where oid = p_table.relid) <> 'p' then 'true'
                      else m23.fill(s.is_real, 'old_rows', p_old, 'new_rows', p_new,
                                    'live', m23.qualified_name(p_table.relid),
                                    'tenant', m23.row_tenant(p_table, 'r'),
                                    'live_tenant', m23.row_tenant(p_table, 'n'),
                                    'same_key', m23.key_match(p_table.relid, 'n', 'r'),
                                    'keys', m23.key_list(p_table.relid, 'r')) end,
      'log', m23.log_part(p_table.id), 'names', v_key.names, 'expressions', v_key.expressions,
      'actor', m23.logged_actor(),
      'both', format('current_setting(%L, true) is not distinct from ''both''', m23.moved_flag(p_table.id)),
      'tenant', m23.row_tenant(p_table, 'r'), 'keys', m23.key_list(p_table.relid, 'r'),
      'these', s.these, 'those', s.those, 'moved', s.moved, 'changed', s.changed,
      'shares_fence', m23.shares_fence('r.m23_tenant', p_table.tenant_type, m23.log_part(p_table.id))) order by s.n)
    from (values
      (1, p_old, p_new, 'l', 'o',
       'not exists (select from {live} n where {live_tenant} = r.m23_tenant and {same_key})'),
      (2, p_new, p_old, 'a', 'n',
       'exists (select from (select {tenant} as m23_tenant, {keys} from {old_rows} r
                             except select {tenant}, {keys} from {new_rows} r) r
                 where not exists (select from {live} n where {live_tenant} = r.m23_tenant and {same_key}))'))
      s (n, these, those, moved, changed, is_real));
end $outer$;
revoke all on function m23.move_statements(m23.protected_tables, text, text) from public, anon, authenticated,
  service_role;

-- One row, which the planner takes for a hundred.
create or replace function m23.called_many() returns setof boolean
language plpgsql immutable rows 100 set search_path = '' as $$ begin return next true; end $$;
revoke all on function m23.called_many() from public, anon, authenticated, service_role;

-- The condition that an entry `o` of others is the first that comes after this statement's update of its key, for a
-- table whose foreign keys can update it; `r` is a row that the statement has made of this key.
create or replace function m23.follows_update(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$case when r.m23_there then o.m23_op in ('U', 'D') and {is_image}
                     else o.m23_op in ('I', 'n', 'a') and o.m23_balance >= 0 end$sql$,
    'is_image', (select string_agg(format('(%srow(o.m23_%s)::record operator(pg_catalog.*=) row(%s)::record)',
                    case when b.bits <> 0 then format('coalesce(o.m23_unchanged, 0) & %s <> 0 or ', b.bits) else '' end,
                    f.name, case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end),
                    ' and ' order by c.attnum)
       from m23.columns_of(p_table.relid) c
       join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null,
            lateral (select m23.column_bits(p_table, c.attnum)) b (bits)
      where not c.generated));
end $outer$;
revoke all on function m23.follows_update(m23.protected_tables) from public, anon, authenticated, service_role;

-- A column's value in a row `l` of the log, in the table's present type and collation: keys are
-- told apart and ordered by it.
create or replace function m23.log_value(p_table m23.protected_tables, p_column m23.column_shape,
  p_shown boolean default false)
returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select (
        case when count(*) = 1 and min(f.since) = '0/0'
             then m23.log_cast(p_table, p_column, max(f.name), max(f.type_name), p_shown)
             -- None: it was added, and nothing has told of it yet.
             else format(case when count(*) = 0 then '%2$s' else '(case %s else %s end)' end,
                         string_agg(format('when l.change_id >= %L then %s', f.since,
                                           m23.log_cast(p_table, p_column, f.name, f.type_name, p_shown)),
                                    ' ' order by f.since desc),
                         m23.value_before(p_table, p_column, p_shown)) end)
      || coalesce((select format(' collate %I.%I', n.nspname, o.collname)
                     from pg_attribute a
                     join pg_collation o on o.oid = a.attcollation
                     join pg_namespace n on n.oid = o.collnamespace
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum
                      and o.collname <> 'default' and not p_shown), '')
      from m23.log_columns f where f.table_id = p_table.id and f.attnum = p_column.attnum);
end $$;
revoke all on function m23.log_value(m23.protected_tables, m23.column_shape, boolean) from public, anon, authenticated,
  service_role;

-- What an update that others can have preceded has made of the keys of the entries `o`. Of how many rows there are
-- nothing is known when the query is planned, and pairs found one by one would take the square of them: both sides are
-- called many.
create or replace function m23.new_rows_of_key(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$
                  left join (select r.*, true as m23_there from new_rows r cross join m23.called_many() offset 0) r
                    on {tenant} = o.m23_tenant and {same_key}$sql$,
    'tenant', m23.row_tenant(p_table, 'r'), 'same_key', m23.key_match(p_table.relid, 'r', 'o'));
end $outer$;
revoke all on function m23.new_rows_of_key(m23.protected_tables) from public, anon, authenticated, service_role;

-- The bits of the groups that a column is or has been in: an image that has any of them does not carry it.
create or replace function m23.column_bits(p_table m23.protected_tables, p_attnum int2) returns int
language sql stable set search_path = '' as $$
  select coalesce(bit_or(1 << g.bit), 0)
    from m23.log_groups g where g.table_id = p_table.id and p_attnum = any (g.attnums)
$$;
revoke all on function m23.column_bits(m23.protected_tables, int2) from public, anon, authenticated, service_role;

-- The column `l.<p_name>` of a log, which has the type p_type, in the type that the table has now.
-- p_shown: as JSON, or as it was logged where it does not fit.
create or replace function m23.log_cast(p_table m23.protected_tables, p_column m23.column_shape, p_name text,
  p_type text,
                             p_shown boolean)
returns text
language plpgsql stable set search_path = '' as $$
declare
  v_now    text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_type   oid := (select a.atttypid from pg_attribute a
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_logged text := format('l.%I', p_name);
begin
  if p_type = 'text' and v_now <> 'text' then v_logged := m23.logged_words(v_logged, v_type); end if;
  return case
    when p_shown then format('m23.json_of(%s, %L)', m23.converted(v_logged, p_type, 'text'),
                             m23.converted('$1::' || p_type, p_type, v_now))
    else format('(%s)', m23.converted(v_logged, p_type, v_now)) end;
end $$;
revoke all on function m23.log_cast(m23.protected_tables, m23.column_shape, text, text, boolean) from public, anon,
  authenticated, service_role;

-- The value of a column in rows of the log from before the column was there: its default, or nothing where a function
-- fills it.
create or replace function m23.value_before(p_table m23.protected_tables, p_column m23.column_shape, p_shown boolean)
  returns text
language plpgsql stable set search_path = '' as $$
declare
  v_now     text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_default text := (select format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), v_now) from pg_attrdef d
                      where d.adrelid = p_table.relid and d.adnum = p_column.attnum
                        and p_column.name <> all (m23.filled_columns(p_table)));
begin
  return case when not p_shown then coalesce(v_default, 'null::' || v_now)
              when v_default is null then 'null::jsonb' else format('m23.json_of(null, %L)', v_default) end;
end $$;
revoke all on function m23.value_before(m23.protected_tables, m23.column_shape, boolean) from public, anon,
  authenticated, service_role;

-- What a column gets in a row that comes back without a value for it, as of a time before the column was there: from a
-- function that the project names (m23.set_fill), else the column's default.

-- By names: a function that is made anew is another object.
create table m23.fills (
  table_id      int not null references m23.protected_tables (id) on delete cascade,
  attnum        int2 not null,
  schema_name   text not null,
  function_name text not null,
  takes_row     boolean not null,
  primary key (table_id, attnum)
);

-- Values of the log in the table's present names and types.

-- A value of one type as one of another: as its text would be read, but for what becomes JSON.
create or replace function m23.converted(p_value text, p_from text, p_to text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_from = p_to then p_value
    when p_from = 'text' then format('(%s)::%s', p_value, p_to)
    when p_to in ('json', 'jsonb')
         and p_from not in ('json', 'jsonb', 'character varying', 'character', 'bpchar', 'name')
    then format('pg_catalog.to_jsonb(%s)::%s', p_value, p_to)
    else format('(case when %1$s is not null then concat(%1$s) end)::%2$s', p_value, p_to) end
$$;
revoke all on function m23.converted(text, text, text) from public, anon, authenticated, service_role;

-- The value of an expression of a text, $1, as JSON; the text where it fails.
create or replace function m23.json_of(p_value text, p_expression text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare v_json jsonb;
begin
  execute format('select pg_catalog.to_jsonb(%s)', p_expression) into v_json using p_value;
  return v_json;
exception when others then return to_jsonb(p_value);
end $$;
revoke all on function m23.json_of(text, text) from public, anon, authenticated, service_role;

-- The expression of a text that a log's row `l` holds: what it has to be read by depends on when it was logged.
create or replace function m23.logged_words(p_text text, p_type oid) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_since pg_lsn;
  v_then  text;
  v_last  text;
  v_text  text;
begin
  if not exists (select from m23.type_versions where since > '0/0') then return p_text; end if;
  for v_since in
    select distinct v.since from m23.types_within(array[p_type]) u join m23.type_versions v on v.type = u.type
     where v.incarnation = m23.present_life() order by v.since
  loop
    v_then := m23.present_words(p_text, p_type, m23.former_words(p_type, v_since, null));
    continue when v_then = v_last;
    v_text := case when v_last is null then v_then
                   else format('case when l.change_id >= %L then %s else %s end', v_since, v_then, v_text) end;
    v_last := v_then;
  end loop;
  return coalesce(v_text, p_text);
end $$;
revoke all on function m23.logged_words(text, oid) from public, anon, authenticated, service_role;

-- The columns of a table that a function fills.
create or replace function m23.filled_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select a.attname from m23.fills f
                 join pg_attribute a on a.attrelid = p_table.relid and a.attnum = f.attnum
                where f.table_id = p_table.id);
end $$;
revoke all on function m23.filled_columns(m23.protected_tables) from public, anon, authenticated, service_role;

-- What has to be put into other words in values of a type as of a change id, or of a position, by the numbers of
-- the types within: `{}` for nothing.
create or replace function m23.former_words(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  if not exists (select from m23.type_versions where since > '0/0') then return '{}'; end if;
  return (select coalesce(jsonb_object_agg(u.type, f.words) filter (where f.words is not null), '{}')
            from m23.types_within(array[p_type]) u join pg_type t on t.oid = u.type
           cross join lateral (select case t.typtype
                                  when 'e' then m23.former_labels(u.type, p_at, p_position)
                                  when 'c' then m23.former_fields(u.type, p_at, p_position) end) f (words));
end $$;
revoke all on function m23.former_words(oid, pg_lsn, pg_snapshot) from public, anon, authenticated, service_role;

-- The expression that puts a text, which is an expression, into present words.
create or replace function m23.present_words(p_text text, p_type oid, p_words jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare v_enum oid := case when p_words <> '{}' then m23.enum_of(p_type) end;
begin
  return case when p_words = '{}' then p_text
    when v_enum is not null
    then format('coalesce(%1$L::jsonb ->> (%2$s), %2$s)', p_words -> v_enum::text, p_text)
    else format('m23.in_present_words(%s, %s, %L)', p_text, p_type, p_words) end;
end $$;
revoke all on function m23.present_words(text, oid, jsonb) from public, anon, authenticated, service_role;

-- Where the present attributes stand in a value of so many fields, if not in their order: `{"2": [1, null, 2]}`.
create or replace function m23.former_fields(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_object_agg(cardinality(was.numbers), now.places)
      from (select distinct on (cardinality(v.numbers)) v.numbers
              from m23.versions_at(p_type, p_at, p_position) v order by cardinality(v.numbers), v.rank) was
     cross join lateral (
           select coalesce(jsonb_agg(array_position(was.numbers, a.attnum::int::oid) order by a.attnum), '[]') as places
             from pg_type t join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            where t.oid = p_type) now
     where now.places <> (select coalesce(jsonb_agg(n), '[]') from generate_series(1, cardinality(was.numbers)) n));
end $$;
revoke all on function m23.former_fields(oid, pg_lsn, pg_snapshot) from public, anon, authenticated, service_role;

-- The labels that are called otherwise now: `{"former": "present"}`.
create or replace function m23.former_labels(p_type oid, p_at pg_lsn, p_position pg_snapshot) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select jsonb_object_agg(was.name, e.enumlabel)
      from (select distinct on (p.name) p.name, p.number
              from m23.versions_at(p_type, p_at, p_position) v, unnest(v.names, v.numbers) p (name, number)
             order by p.name, v.rank) was
      join pg_enum e on e.oid = was.number and e.enumlabel <> was.name);
end $$;
revoke all on function m23.former_labels(oid, pg_lsn, pg_snapshot) from public, anon, authenticated, service_role;

-- An enum, under domains; null where a type is none.
create or replace function m23.enum_of(p_type oid) returns oid
language plpgsql stable set search_path = '' as $$
begin
  return (with recursive under (type) as (
      select p_type union all select t.typbasetype from under u join pg_type t on t.oid = u.type and t.typtype = 'd')
    select t.oid from under u join pg_type t on t.oid = u.type and t.typtype = 'e');
end $$;
revoke all on function m23.enum_of(oid) from public, anon, authenticated, service_role;

-- A value's text in present words. Of a multirange the words are as they were.
create or replace function m23.in_present_words(p_value text, p_type oid, p_words jsonb) returns text
language plpgsql stable strict set search_path = '' as $$
declare
  v_type     pg_type;
  v_elements text[];
  v_fields   text[];
  v_places   jsonb;
begin
  select * into v_type from pg_type where oid = p_type;
  if v_type.typtype = 'd' then
    return m23.in_present_words(p_value, v_type.typbasetype, p_words);
  elsif v_type.typtype = 'e' then
    return coalesce(p_words -> p_type::text ->> p_value, p_value);
  elsif v_type.typcategory = 'A' and v_type.typelem <> 0 then
    v_elements := array(select distinct e from unnest(p_value::text[]) e where e is not null);
    return m23.with_elements(p_value::text[], v_elements,
                             array(select m23.in_present_words(e, v_type.typelem, p_words)
                                     from unnest(v_elements) with ordinality u (e, n) order by n));
  elsif v_type.typtype = 'r' and p_value <> 'empty' then
    v_fields := m23.fields_of(substr(p_value, 2, length(p_value) - 2));
    return (select left(p_value, 1)
                     || string_agg(m23.quoted_field(m23.in_present_words(f, r.rngsubtype, p_words)), ',' order by n)
                     || right(p_value, 1)
              from pg_range r, unnest(v_fields) with ordinality u (f, n) where r.rngtypid = p_type);
  elsif v_type.typtype = 'c' then
    v_fields := m23.fields_of(substr(p_value, 2, length(p_value) - 2));
    v_places := coalesce(p_words -> p_type::text -> cardinality(v_fields)::text,
                         (select jsonb_agg(n) from generate_series(1, cardinality(v_fields)) n));
    return (select format('(%s)', string_agg(m23.quoted_field(
                     m23.in_present_words(v_fields[p.place::int], a.type, p_words)), ',' order by p.n))
              from jsonb_array_elements_text(v_places) with ordinality p (place, n)
              left join (select c.atttypid as type, row_number() over (order by c.attnum) as n from pg_attribute c
                          where c.attrelid = v_type.typrelid and c.attnum > 0 and not c.attisdropped) a on a.n = p.n);
  end if;
  return p_value;
end $$;
revoke all on function m23.in_present_words(text, oid, jsonb) from public, anon, authenticated, service_role;

-- Present words -----------------------------------------------------------------------------

-- Versions of a type in the order in which they are asked: the one that held at a change id, or at a position, the ones
-- before it, the ones after it. Others, too: whoever wrote while a type was altered may have been the last to use its
-- words.
create or replace function m23.versions_at(p_type oid, p_at pg_lsn, p_position pg_snapshot)
returns table (numbers oid[], names text[], rank bigint)
language plpgsql stable rows 2 set search_path = '' as $$
begin
  return query
  select v.numbers, v.names, row_number() over (order by v.held desc, case when v.held then v.n * -1 else v.n end)
    from (select o.numbers, o.names, row_number() over (order by o.since) as n,
                 coalesce(o.since <= p_at, pg_visible_in_snapshot(o.xid, p_position)) as held
            from m23.type_versions o where o.type = p_type and o.incarnation = m23.present_life()) v;
end $$;
revoke all on function m23.versions_at(oid, pg_lsn, pg_snapshot) from public, anon, authenticated, service_role;

-- The texts of composite values, ranges and arrays, taken apart and put together as the server prints them.

-- The fields of a row or a range as the server prints it, without its brackets; null for an empty one.
create or replace function m23.fields_of(p_text text) returns text[]
language sql immutable strict set search_path = '' as $$
  select array_agg(case when f.raw[1] = '' then null
                        when f.raw[1] like '"%'
                        then replace(replace(substr(f.raw[1], 2, length(f.raw[1]) - 2), '""', '"'), '\\', '\')
                        else f.raw[1] end order by f.n)
    from regexp_matches(p_text || ',', '("(?:[^"\\]|""|\\\\)*"|[^",]*),', 'g') with ordinality f (raw, n)
$$;
revoke all on function m23.fields_of(text) from public, anon, authenticated, service_role;

-- A field of a composite value or a range, quoted; nothing for null.
create or replace function m23.quoted_field(p_field text) returns text
language sql immutable set search_path = '' as
$$ select coalesce('"' || replace(replace(p_field, '\', '\\'), '"', '""') || '"', '') $$;
revoke all on function m23.quoted_field(text) from public, anon, authenticated, service_role;

-- An array's text with other elements in the places of some. Its dimensions and bounds stay.
create or replace function m23.with_elements(p_array text[], p_these text[], p_those text[]) returns text
language plpgsql immutable set search_path = '' as $$
declare v_mark text := md5(p_array::text);  -- is no part of it: two elements can change places
begin
  for n in 1..cardinality(p_these) loop p_array := array_replace(p_array, p_these[n], v_mark || n); end loop;
  for n in 1..cardinality(p_these) loop p_array := array_replace(p_array, v_mark || n, p_those[n]); end loop;
  return p_array::text;
end $$;
revoke all on function m23.with_elements(text[], text[], text[]) from public, anon, authenticated, service_role;

do $$
begin
  create event trigger m23_foresee_drop on ddl_command_start when tag in ('DROP TABLE')
    execute function m23.foresee_drop();
  create event trigger m23_follow_ddl on ddl_command_end when tag in ('ALTER TABLE', 'ALTER TYPE', 'ALTER EXTENSION',
    'CREATE TABLE', 'CREATE TRIGGER', 'CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION')
    execute function m23.follow_ddl();
  create event trigger m23_follow_drop on sql_drop execute function m23.follow_drop();
  alter event trigger m23_foresee_drop enable always;  -- with session_replication_role = replica, too
  alter event trigger m23_follow_ddl enable always;
  alter event trigger m23_follow_drop enable always;
exception when insufficient_privilege then
  raise notice 'no right to make an event trigger: call m23.protect_table again after another primary key or a new '
               'partition';
end $$;

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

-- The newest changes of the caller's tenants: what the view below shows.
create or replace function m23.transaction_log() returns setof m23.log_entry
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return query
  select h.* from m23.caller_tenants(array['owner', 'admin', 'operator']) c (tenant)
   cross join lateral m23.newest_changes(c.tenant) h
   order by h.transaction_id::xid8 desc, h.id desc;
end $$;
revoke all on function m23.transaction_log() from public, anon, authenticated, service_role;
grant execute on function m23.transaction_log() to authenticated;
select m23.pin_text('m23.transaction_log()');

create view public.transaction_logs with (security_invoker = true) as select * from m23.transaction_log();

comment on view public.transaction_logs is
  'The newest changes of the protected tables (10,000; the setting history_rows), newest first: when each was '
  'committed, by whom, which row, and its old values, without long columns that an update left as they were '
  '(unchanged_columns). '
  'Owner, admin and operator. get_transaction_logs has them all.';

revoke all on public.transaction_logs from anon, authenticated;

grant select on public.transaction_logs to authenticated;

-- The time-travel read: a tenant's rows of one table as of a position. Live rows, with
-- the first old images of whatever has changed since laid over them. Backups, previews
-- and a user's own look into the past are all this one query.

-- The condition that a live row, which is found by its key or its place, is the tenant's; p_tenant is an
-- expression. Said so that no index serves it: of a tenant that has grown since the last ANALYZE the planner
-- believes that it has next to no rows, and would look through all of them for each planned one.
create or replace function m23.is_tenants(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable strict set search_path = '' as
$$
begin
  return format('greatest(%s) = %s', m23.row_tenant(p_table, p_row), m23.tenant_value(p_table, p_tenant));
end $$;
revoke all on function m23.is_tenants(m23.protected_tables, text, text) from public, anon, authenticated, service_role;

-- A tenant's live rows, with the same parameters: those of the moment as long as nothing lies after it.
create or replace function m23.live_query(p_table m23.protected_tables, p_limit int) returns text
language sql stable set search_path = '' as $q$
  select format('select %1$s from %2$s r where %3$s and %4$s order by %5$s limit %6$s',
    m23.select_list(p_table.relid, 'r'), m23.qualified_name(p_table.relid), m23.belongs_to(p_table, 'r', '$1'),
    m23.key_after(p_table.relid), m23.key_list(p_table.relid, 'r'), p_limit)
$q$;
revoke all on function m23.live_query(m23.protected_tables, int) from public, anon, authenticated, service_role;

-- Whether the log has anything of a tenant after a moment.
create or replace function m23.has_changed(p_table m23.protected_tables, p_tenant text, p_moment m23.moment)
  returns boolean
language plpgsql volatile set search_path = '' as $$
declare v_changed boolean;
begin
  execute format('select exists (select from %s l where l.tenant_id = %s and l.xid >= ($2).floor and %s)',
                 m23.log_of(p_table.id, p_tenant, p_moment.floor), m23.tenant_value(p_table, '$1'),
                 m23.lies_after('l.xid'))
    into v_changed using p_tenant, p_moment;
  return v_changed;
end $$;
revoke all on function m23.has_changed(m23.protected_tables, text, m23.moment) from public, anon, authenticated,
  service_role;

-- The rows of a tenant in a protected table (a null of its type) as of a moment.
create or replace function m23.as_of(p_table anyelement, p_tenant text, p_moment m23.moment) returns setof anyelement
language plpgsql volatile set search_path = '' as $$
declare
  v_row    m23.protected_tables;
  v_fault  text;
  v_shape  int2[];
  v_select text;
begin
  select t.* into v_row from m23.protected_tables t join pg_class c on c.oid = t.relid
   where c.reltype = pg_typeof(p_table);
  if v_row.id is null then
    raise exception '% is not a protected table', pg_typeof(p_table) using errcode = 'undefined_object';
  end if;
  v_fault := coalesce(m23.moment_fault(v_row, p_moment), m23.tenant_fault(p_tenant, p_moment));
  if v_fault is not null then
    raise exception '%', v_fault using errcode = 'object_not_in_prerequisite_state';
  end if;
  v_fault := m23.lost_since(v_row, p_tenant, p_moment);
  if v_fault is not null then raise warning '%', v_fault; end if;
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot. The
  -- caller expects the shape of before: columns that are added meanwhile are left out.
  v_shape := array(select c.attnum from m23.columns_of(v_row.relid) c);
  execute format('lock table %s in access share mode', m23.qualified_name(v_row.relid));
  -- With length and precision, which the log does not keep.
  select string_agg(format('(%s)::%s', case when c.generated then pg_get_expr(d.adbin, d.adrelid)
                                            else format('r.%I', c.name) end,
                           format_type(a.atttypid, a.atttypmod)), ', ' order by c.attnum)
    into v_select
    from m23.columns_of(v_row.relid) c
    join pg_attribute a on a.attrelid = v_row.relid and a.attnum = c.attnum
    left join pg_attrdef d on d.adrelid = v_row.relid and d.adnum = c.attnum
   where c.attnum = any (v_shape);
  return query execute format('select %s from (%s) r', v_select,
                              m23.as_of_query(v_row, m23.log_of(v_row.id, p_tenant, p_moment.floor)))
    using p_tenant, p_moment, null::text[];
exception when datatype_mismatch then
  raise exception '% was altered while it was read', m23.public_name(v_row.relid)
    using errcode = 'object_in_use', hint = 'Run the query again.';
end $$;
revoke all on function m23.as_of(anyelement, text, m23.moment) from public, anon, authenticated, service_role;
select m23.pin_text('m23.as_of(anyelement, text, m23.moment)');

create or replace function m23.as_of(p_table anyelement, p_tenant text, p_position pg_snapshot) returns setof anyelement
language sql volatile set search_path = '' as
$$ select * from m23.as_of(p_table, p_tenant, m23.moment_of(p_position)) $$;
comment on function m23.as_of(anyelement, text, pg_snapshot) is
  'The rows of a tenant in a protected table as of a position: '
  'select * from m23.as_of(null::public.orders, tenant, position).';
revoke all on function m23.as_of(anyelement, text, pg_snapshot) from public, anon, authenticated, service_role;

create or replace function m23.as_of(p_table anyelement, p_tenant text, p_at timestamptz) returns setof anyelement
language sql volatile set search_path = '' as $$ select * from m23.as_of(p_table, p_tenant, m23.moment_at(p_at)) $$;
comment on function m23.as_of(anyelement, text, timestamptz) is
  'The rows of a tenant in a protected table as they were committed at a time: '
  'select * from m23.as_of(null::public.orders, tenant, timestamptz ''…'').';
revoke all on function m23.as_of(anyelement, text, timestamptz) from public, anon, authenticated, service_role;

-- A tenant's rows as of a moment, with the parameters of m23.touched_since; with a limit the
-- first ones by key, read in the order of an index where there is one.
create or replace function m23.as_of_query(
  p_table m23.protected_tables, p_log text, p_limit int default null,
  p_moment text default '$2', p_after text default '$3'
) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$with {touched}
    (select {columns} from {live} r where {is_its} and {key_after} and not {is_touched} {limit})
    union all
    (select {columns} from touched r
      where (exists (select from {live} t where {is_there} and {same_key}))::int - r.m23_balance = 1 {limit})$sql$,
    'touched', m23.touched_since(p_table, p_log, p_moment, p_after),
    'columns', m23.select_list(p_table.relid, 'r'), 'live', m23.qualified_name(p_table.relid),
    'is_its', m23.belongs_to(p_table, 'r', '$1'), 'is_there', m23.belongs_to(p_table, 't', '$1'),
    'key_after', m23.key_after(p_table.relid, p_after),
    'is_touched', m23.key_in(p_table.relid, 'r', 'touched'),
    'same_key', m23.key_match(p_table.relid, 't', 'r'),
    'limit', case when p_limit is null then ''
                  else format('order by %s limit %s', m23.key_list(p_table.relid, 'r'), p_limit) end);
end $outer$;
revoke all on function m23.as_of_query(m23.protected_tables, text, int, text, text) from public, anon, authenticated,
  service_role;

-- Drops a part that holds nothing that is needed: no transaction below p_needed is.
create or replace function m23.drop_log_part(p_table m23.protected_tables, p_part int, p_needed xid8) returns void
language plpgsql set search_path = '' as $$
declare
  v_name text := m23.part_name(p_table.id, p_part);
  v_tick m23.ticks;
begin
  perform m23.keep_arrivals(p_table, v_name);
  execute format('drop table %s', v_name);
  perform m23.forget_part(p_table.id, p_part);
  select * into v_tick from m23.ticks
   where pg_snapshot_xmin(position) >= p_needed and incarnation = (select m23.incarnation()) order by at limit 1;
  update m23.protected_tables set pruned_below = p_needed, pruned_at = coalesce(v_tick.at, clock_timestamp())
   where id = p_table.id;
  delete from m23.removed_partitions where table_id = p_table.id and xid < p_needed;
end $$;
revoke all on function m23.drop_log_part(m23.protected_tables, int, xid8) from public, anon, authenticated,
  service_role;

-- A query for the first old image of each key among entries of a log: a relation with the table's columns p_columns and
-- m23_op, m23_change_id and m23_unchanged. m23_balance is the key's arrivals less its departures. What the image does
-- not carry is as in the key's next one that does, else as in the row of p_live, a relation, for which p_is_live holds
-- (`l`). The next one is found by windows: of a join the planner would not know how much there is to join. They are
-- dear: only keys with several images have them, in a list that is hashed, whatever the planner believes.
create or replace function m23.first_images(p_relid oid, p_columns text[], p_groups jsonb, p_entries text, p_live text,
                                 p_is_live text)
returns text
language plpgsql stable set search_path = '' as $outer$
declare
  v_bits  int[] := array(select distinct m23.bits_in(p_groups, c) as bits from unnest(p_columns) c
                          where m23.bits_in(p_groups, c) <> 0 order by bits);
  v_keys  text := m23.key_list(p_relid, 'r');
  v_first text := $sql$
      select distinct on ({keys}) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance{nexts}
        from {entries} r
       where {is_one}
      window w as (partition by {keys} order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following){windows}
       order by {keys}, r.m23_op not in ('U', 'D'), r.m23_change_id$sql$;
begin
  if v_bits = '{}' then
    return m23.fill(v_first, 'keys', v_keys, 'entries', p_entries, 'is_one', 'true', 'nexts', '', 'windows', '');
  end if;
  return m23.fill($sql$
      with m23_first as materialized ({first})
      select t.m23_balance, {whole} from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, {alone} from m23_first t left join {live} l on {is_live} and {same_key}
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, {several}
        from ({first_of_several}) t left join {live} l on ({needs_live}) and {is_live} and {same_key}$sql$,
    'first', m23.fill(v_first, 'keys', v_keys, 'entries', p_entries, 'is_one', 'true', 'nexts', '', 'windows', ''),
    'first_of_several', m23.fill(v_first, 'keys', v_keys, 'entries', p_entries,
      'is_one', format('(%s) is true', m23.key_in(
        p_relid, 'r', '(select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1)')),
      'nexts', m23.next_values(p_columns, p_groups, v_bits),
      'windows', (select string_agg(m23.fill(',
             w{bits} as (partition by {keys}
                         order by r.m23_op not in (''U'', ''D'') or r.m23_unchanged & {bits} <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)',
                                             'bits', b::text, 'keys', v_keys), '') from unnest(v_bits) b)),
    'live', p_live, 'is_live', p_is_live, 'same_key', m23.key_match(p_relid, 'l', 't'),
    'needs_live', (select string_agg(format('t.m23_unchanged & %1$s <> 0 and not t.m23_has_%1$s', b), ' or ')
                     from unnest(v_bits) b),
    'whole', m23.image_values(p_columns, p_groups, 't.{column}'),
    'alone', m23.image_values(p_columns, p_groups, 'case when t.m23_unchanged & {bits} = 0 then t.{column}
                                                                      else l.{column} end as {column}'),
    'several', m23.image_values(p_columns, p_groups, 'case when t.m23_unchanged & {bits} = 0 then t.{column}
             when t.m23_has_{bits} then t.m23_next_{n} else l.{column} end as {column}'));
end $outer$;
revoke all on function m23.first_images(oid, text[], jsonb, text, text, text) from public, anon, authenticated,
  service_role;

-- The bits of the groups that have a column, by groups as lists of names (m23.groups_of).
create or replace function m23.bits_in(p_groups jsonb, p_column text) returns int
language sql immutable set search_path = '' as $$
  select coalesce(bit_or(1 << (g.n - 1)::int), 0)
    from jsonb_array_elements(p_groups) with ordinality g (names, n) where g.names ? p_column
$$;
revoke all on function m23.bits_in(jsonb, text) from public, anon, authenticated, service_role;

-- The columns of an image, those in groups as a template says.
create or replace function m23.image_values(p_columns text[], p_groups jsonb, p_grouped text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return (select string_agg(m23.fill(case b.bits when 0 then 't.{column}' else p_grouped end,
                                     'column', quote_ident(c.name), 'bits', b.bits::text, 'n', c.n::text),
                            ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n),
                 lateral (select m23.bits_in(p_groups, c.name)) b (bits));
end $$;
revoke all on function m23.image_values(text[], jsonb, text) from public, anon, authenticated, service_role;

-- Whether an image of a key carries a group, and the values of the first one that does.
create or replace function m23.next_values(p_columns text[], p_groups jsonb, p_bits int[]) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return concat(
    (select string_agg(m23.fill(', first_value(r.m23_op in (''U'', ''D'') and r.m23_unchanged & {bits} = 0)
                   over w{bits} as m23_has_{bits}', 'bits', b::text), '') from unnest(p_bits) b),
    (select string_agg(m23.fill(', first_value(r.{column}) over w{bits} as m23_next_{n}',
                                'column', quote_ident(c.name), 'bits', b.bits::text, 'n', c.n::text), '' order by c.n)
       from unnest(p_columns) with ordinality c (name, n), lateral (select m23.bits_in(p_groups, c.name)) b (bits)
      where b.bits <> 0));
end $$;
revoke all on function m23.next_values(text[], jsonb, int[]) from public, anon, authenticated, service_role;

-- Whether types that a table uses have been altered since a position, or may have been, as nobody has noted it yet.
create or replace function m23.has_altered_type(p_relid oid, p_position pg_snapshot) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (
    select from m23.types_within(m23.column_types(array[p_relid])) u join m23.known_types() k on k.type = u.type
     cross join lateral m23.type_parts(u.type) p
     where p.numbers <> k.numbers or p.names <> k.names
        or exists (select from m23.type_versions v
                    where v.type = u.type and v.incarnation = m23.present_life()
                      and not pg_visible_in_snapshot(v.xid, p_position)));
end $$;
revoke all on function m23.has_altered_type(oid, pg_snapshot) from public, anon, authenticated, service_role;

-- Why nothing before the present history can be reached.
create or replace function m23.history_reason(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $$
  select coalesce((select g.reason from m23.gaps g where g.table_id = p_table.id order by g.until desc limit 1),
                  'the table was not protected before')
$$;
revoke all on function m23.history_reason(m23.protected_tables) from public, anon, authenticated, service_role;

-- Why a table's log does not know all that has happened to it; null when it does. Partitions that have gone are
-- seen as the server sees them in this statement.
create or replace function m23.capture_fault(p_table m23.protected_tables) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return coalesce(m23.history_fault(p_table), (
    select 'a partition was dropped or detached, and no event trigger told of it' from m23.partitions p
     where p.table_id = p_table.id
       and not exists (select from pg_class c where c.oid = p.relid and c.relispartition) limit 1));
end $$;
revoke all on function m23.capture_fault(m23.protected_tables) from public, anon, authenticated, service_role;

-- m23.capture_fault of tables, where there is one.
create or replace function m23.capture_faults(p_ids int[]) returns table (table_id int, fault text)
language plpgsql volatile rows 1 set search_path = '' as $$
declare v_sound int[] := m23.sound_tables(p_ids);
begin
  return query
  select t.id, f.fault from m23.protected_tables t cross join lateral (select m23.capture_fault(t) as fault offset 0) f
   where t.id = any (p_ids) and t.id <> all (v_sound) and f.fault is not null;
end $$;
revoke all on function m23.capture_faults(int[]) from public, anon, authenticated, service_role;

-- Why tables can neither be backed up nor restored in place: of what is done to them nothing would be known.
-- p_tables: as callers name them; null: all that are protected.
create or replace function m23.obstacle_faults(p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_sound int[] := m23.sound_tables(array(select c.id from m23.chosen(p_tables) c));
begin
  return array(
    select format('tables: %s cannot be backed up or restored: capture is suspended: the table %s',
                  m23.public_name(t.relid), (m23.obstacle_of(t)).sentence)
      from m23.chosen(p_tables) t
     where t.id <> all (v_sound)
       and (m23.obstacle_of(t)).kind is not null order by t.name);
end $$;
revoke all on function m23.obstacle_faults(text[]) from public, anon, authenticated, service_role;

-- Refuses a restore for which m23.obstacle_faults gives reasons.
create or replace function m23.refuse_obstacles(p_tables text[]) returns void
language plpgsql volatile set search_path = '' as $$
declare v_faults text[] := m23.obstacle_faults(p_tables);
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_obstacles(text[]) from public, anon, authenticated, service_role;

-- The groups by bit, as lists of the columns' present names; null where there are none.
create or replace function m23.groups_of(p_table m23.protected_tables) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg((select coalesce(jsonb_agg(a.attname order by a.attnum), '[]')
                      from m23.log_groups g join pg_attribute a on a.attnum = any (g.attnums)
                     where g.table_id = p_table.id and g.bit = b.bit
                       and a.attrelid = p_table.relid and not a.attisdropped) order by b.bit)
    from generate_series(0, (select max(g.bit) from m23.log_groups g where g.table_id = p_table.id)) b (bit)
$$;
revoke all on function m23.groups_of(m23.protected_tables) from public, anon, authenticated, service_role;

-- One table's entries of the log, p_log, under a filter, $2. p_shown: values that do not fit their columns any more as
-- they were logged.
create or replace function m23.history_query(p_table m23.protected_tables, p_log text, p_shown boolean,
  p_is_page boolean)
returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$select (l.change_id - '0/0')::bigint, l.tenant_id::text, {at}, l.xid::text, l.actor,
      case l.op {operations} end, {name}::text,
      (select to_jsonb(m23_k) from (select {key}) m23_k),
      case when l.op in ('U', 'D') then (select to_jsonb(m23_v) from (select {images}) m23_v) - u.names end,
      case when u.names <> '{}' then u.names end
    from {log} l, lateral (select {unchanged}) u (names)
   where l.tenant_id = {tenant} and (l.op <> 'a' or l.xid >= {pruned}){page}$sql$,
    'at', m23.committed_at(), 'tenant', m23.tenant_value(p_table, '$1'),
    'operations', (select string_agg(format('when %L then %L', o.op, o.name), ' ') from m23.operations() o),
    'name', quote_literal(m23.public_name(p_table.relid)),
    'key', coalesce((select string_agg(format('%s as %I', m23.log_value(p_table, c, p_shown), c.name),
                                       ', ' order by c.key_ord)
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
revoke all on function m23.history_query(m23.protected_tables, text, boolean, boolean) from public, anon, authenticated,
  service_role;

-- Capture: what every row of a protected table was before each change, in one typed
-- log table per protected table, written by statement-level triggers.
--
-- The log of a key answers two questions about a position:
--   was the key there?   there now, minus the arrivals since, plus the departures
--                        since. Only sums are used, so the order in which triggers of
--                        one statement fire does not matter.
--   what was its row?    the first old image since, in order of change_id. What that
--                        image does not carry is as in the next one that does, or as in
--                        the row that is there (below).
--
--   op  balance  meaning                               carries
--   I     +1     inserted                              the key
--   D     -1     deleted (or truncated)                the old row
--   U      0     updated                               the old row
--   o     -1     an update took this key away          the key
--   n     +1     an update made this key               the key
--   l     -1     the row left for another tenant       the key
--   a     +1     the row arrived from another tenant   the key
--
-- The columns of a log table are c<attnum>: a rename costs nothing. They have types of
-- pg_catalog only; whatever the application could drop or alter is kept as text. A column
-- whose type changes gets another column in the log (m23.log_columns says since when); what
-- is logged is never rewritten.
--
-- A change id is the place in the server's log (WAL) at which the change was noted: a later change of
-- the same row has a larger one, in whichever session, and no sequence of the writer's session is
-- touched, whose lastval() stays as it was. Two transactions can read one place: what is unique is a
-- change id together with its transaction, and the entries of one key never tie.

-- Those codes, and what each is called outside.
create or replace function m23.operations() returns table (op "char", name text)
language sql immutable set search_path = '' as $$
  values ('I'::"char", 'INSERT'), ('U', 'UPDATE'), ('D', 'DELETE'), ('o', 'KEY_FROM'), ('n', 'KEY_TO'),
         ('l', 'TENANT_FROM'), ('a', 'TENANT_TO')
$$;
revoke all on function m23.operations() from public, anon, authenticated, service_role;

-- One part of a log.
create or replace function m23.part_name(p_table_id int, p_part int) returns text
language sql immutable set search_path = '' as $$ select format('m23_log.log_%s_%s', p_table_id, p_part) $$;
revoke all on function m23.part_name(int, int) from public, anon, authenticated, service_role;

-- The log's column for a key column, which is never retyped: that would begin another history.
create or replace function m23.log_field(p_table m23.protected_tables, p_attnum int2) returns text
language sql stable set search_path = '' as
$$ select name from m23.log_columns where table_id = p_table.id and attnum = p_attnum and until_xid is null $$;
revoke all on function m23.log_field(m23.protected_tables, int2) from public, anon, authenticated, service_role;

-- What stands for a log in a query: its parts that can have changes of a tenant from a transaction on. They are held
-- until the transaction ends, so that none is dropped before it is read. Whoever makes the query long before it runs,
-- and has not taken the table itself, holds nothing: an ALTER TABLE takes the table before its log.
create or replace function m23.log_of(p_table_id int, p_tenant text, p_from xid8, p_held boolean default true)
  returns text
language plpgsql volatile set search_path = '' as $$
declare v_parts int[];
begin
  loop
    begin
      v_parts := m23.parts_of(p_table_id, p_tenant, p_from);
      exit when not p_held or v_parts = '{}';
      execute format('lock table %s in access share mode',
                     (select string_agg(m23.part_name(p_table_id, p), ', ' order by p) from unnest(v_parts) p));
      exit;
    exception when undefined_table then null;  -- one was dropped meanwhile
    end;
  end loop;
  return m23.fill('({parts} select * from m23.entries_beside(null::{log}, {table}, {numbers}, {tenant}, {from}))',
    'parts', coalesce((select string_agg(format('select * from %s union all', m23.part_name(p_table_id, p)),
                                         ' ' order by p)
                         from unnest(v_parts) p), ''),
    'log', m23.log_name(p_table_id), 'table', p_table_id::text, 'numbers', quote_literal(v_parts) || '::int[]',
    'tenant', quote_literal(p_tenant), 'from', quote_nullable(p_from) || '::xid8');
end $$;
revoke all on function m23.log_of(int, text, xid8, boolean) from public, anon, authenticated, service_role;

-- Retention: the log is kept for a time, and longer where a snapshot or a running backup
-- needs it. Old parts are dropped whole; no row is deleted one by one. Only that a row came from
-- another tenant is remembered for as long as a backup is older than that.

-- No transaction below it is needed by anybody: neither by the time that the log is kept,
-- nor by a snapshot that can be rolled back to, nor by a backup that is being read.
create or replace function m23.needed_from() returns xid8
language sql volatile set search_path = '' as $$
  select least(
    (select pg_snapshot_xmin(t.position) from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int) order by t.at desc limit 1),
    (select min(pg_snapshot_xmin((s.snapshot_data ->> 'position')::pg_snapshot)) from public.pitr_snapshots s
      where s.status = 'active' and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text),
    (select min(pg_snapshot_xmin(w.position))
       from public.backup_jobs j join m23.backup_work w on w.job_id in (j.id, j.parent_backup_id)
      where j.status in ('pending', 'in_progress')),
    (select min((w.moment).floor) from m23.restore_work w))
   where exists (select from m23.ticks t where t.incarnation = (select m23.incarnation())
        and t.at <= clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
$$;
comment on function m23.needed_from() is 'The oldest transaction whose changes are kept; null while all are.';
revoke all on function m23.needed_from() from public, anon, authenticated, service_role;

-- Takes the arrivals of a part that goes over into the newest one: a restore of an older backup
-- leaves such rows alone. They are below what the log can answer for, which passes them over.
create or replace function m23.keep_arrivals(p_table m23.protected_tables, p_part text) returns void
language plpgsql set search_path = '' as $$
declare v_columns text := 'tenant_id, xid, change_id, op, actor, ' || (select names from m23.log_fields(p_table, true));
begin
  execute format('insert into %s (%s) select %2$s from %s l where l.op = ''a'' and exists (
      select from m23.backup_work w
       where w.tenant_id = l.tenant_id::text and w.incarnation = (select m23.incarnation())
         and not pg_visible_in_snapshot(l.xid, w.position))',
    m23.log_part(p_table.id), v_columns, p_part);
end $$;
revoke all on function m23.keep_arrivals(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Goes on to a new part.
create or replace function m23.close_log_part(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.open_log_part(p_table.id);
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.write_capture_functions(p_table);
end $$;
revoke all on function m23.close_log_part(m23.protected_tables) from public, anon, authenticated, service_role;

-- One step of the upkeep of a log. It waits for a lock only shortly: a part that somebody reads is dropped the next
-- time, and one that is still written into is sealed then.
create or replace function m23.try_log_step(p_step text, p_table m23.protected_tables, p_part int, p_needed xid8)
  returns boolean
language plpgsql set search_path = '' set lock_timeout = '200ms' as $$
begin
  case p_step
    when 'seal' then return m23.seal_log_part(p_table.id, p_part);
    when 'drop' then perform m23.drop_log_part(p_table, p_part, p_needed);
    when 'close' then perform m23.close_log_part(p_table);
  end case;
  return true;
exception when lock_not_available or deadlock_detected then return false;
end $$;
revoke all on function m23.try_log_step(text, m23.protected_tables, int, xid8) from public, anon, authenticated,
  service_role;

-- The lock of whoever drops old parts: one at a time does.
create or replace function m23.prune_key() returns bigint
language sql immutable set search_path = '' as $$ select hashtextextended('m23.prune_logs', 0) $$;
revoke all on function m23.prune_key() from public, anon, authenticated, service_role;

-- What is to be done now of one kind, as much as one transaction has locks for; the upkeep comes again in a minute.
-- A part is closed when it is time and something was written into it, and sealed by a later run. Of a log only the
-- oldest parts are dropped, so that what is left is whole. Where capture is suspended, nothing is logged and nothing
-- can be read.
create or replace function m23.log_steps(p_step text, p_needed xid8) returns table (tbl m23.protected_tables, part int)
language plpgsql volatile set search_path = '' as $$
declare
  v_most constant int := 50;
  v_hours interval := make_interval(hours => m23.setting('log_part_hours')::int);
begin
  return query
  select t, p.part
    from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
   where t.suspended is null and exists (select from pg_class c where c.oid = t.relid)
     and (m23.obstacle_of(t)).kind is null
     and case p_step
       when 'seal' then p.closed_at is not null and not p.sealed
       when 'drop' then p_needed is not null and p.part < (
         select min(k.part) from m23.log_parts k
          where k.table_id = p.table_id and (not k.sealed or m23.part_reaches(k.table_id, k.part, p_needed)))
       when 'close' then p.closed_at is null and p.opened_at <= clock_timestamp() - v_hours
         and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) > 0 end
   order by p.opened_at, p.part limit v_most;
end $$;
revoke all on function m23.log_steps(text, xid8) from public, anon, authenticated, service_role;

-- The log's columns of a row `l`, in the table's names and types.
create or replace function m23.log_images(p_table m23.protected_tables, p_shown boolean default false) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('%s as %I', case when f.is_plain then 'l.' || f.name
                                                    else m23.log_value(p_table, c, p_shown) end, c.name),
                            ', ' order by c.attnum)
      from m23.columns_of(p_table.relid) c
      left join lateral (
           select min(l.name) as name,
                  min(l.since) = '0/0' and count(*) = 1 and min(l.type_name) = c.type_name
                  -- That JSON shows \u0000 is not sure.
                  and not (p_shown and c.type_name in ('json', 'json[]')) as is_plain
             from m23.log_columns l where l.table_id = p_table.id and l.attnum = c.attnum) f on true
     where not c.generated);
end $$;
revoke all on function m23.log_images(m23.protected_tables, boolean) from public, anon, authenticated, service_role;

-- The tables among these whose logs can have changes of a tenant from a transaction on. It only says less than all
-- where there is nothing: parts that are sealed are known, and the others are looked into, some at a time. A schema
-- change of several tables is waited for while nothing is held, and under the fence nobody is.
create or replace function m23.logged_tables(p_ids int[], p_tenant text, p_from xid8) returns int[]
language plpgsql volatile set search_path = '' as $$
declare
  v_some  constant int := 32;
  v_found int[] := array(select distinct n.table_id from m23.log_tenants n
                          where n.tenant_id in (p_tenant, lower(p_tenant)) and n.table_id = any (p_ids)
                            and n.last_xid >= p_from);
  v_looks text[] := array(
    select format('select %s where exists (select from %s l where l.tenant_id = %s and l.xid >= $2)',
                  p.table_id, m23.part_name(p.table_id, p.part), m23.tenant_value(t, '$1'))
      from m23.log_parts p
     join m23.protected_tables t on t.id = p.table_id
     where not p.sealed and p.table_id = any (p_ids) and p.table_id <> all (v_found)
       and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) > 0);
  v_deadline timestamptz := clock_timestamp() + interval '5 seconds';
  v_first    int := 1;
begin
  while v_first <= cardinality(v_looks) loop
    begin
      v_found := v_found || m23.glance(v_looks[v_first:v_first + v_some - 1], p_tenant, p_from);
      v_first := v_first + v_some;
      continue;
    exception when lock_not_available then
      if current_setting('lock_timeout') = '200ms' or clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
  return array(select distinct f from unnest(v_found) f order by f);
end $$;
revoke all on function m23.logged_tables(int[], text, xid8) from public, anon, authenticated, service_role;

-- Why the log cannot answer for a moment: of a table, and of a tenant.

-- Why a table's log cannot answer for a moment; null when it can.
create or replace function m23.moment_fault(p_table m23.protected_tables, p_moment m23.moment) returns text
language plpgsql volatile set search_path = '' as $$
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
revoke all on function m23.moment_fault(m23.protected_tables, m23.moment) from public, anon, authenticated,
  service_role;

-- m23.moment_fault of tables, where there is one.
create or replace function m23.moment_faults(p_ids int[], p_moment m23.moment) returns table (table_id int, fault text)
language plpgsql volatile rows 1 set search_path = '' as $$
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
revoke all on function m23.moment_faults(int[], m23.moment) from public, anon, authenticated, service_role;

-- Why the logs of tables, as callers name them, cannot answer for a moment: the tables, and the reasons.
create or replace function m23.moment_faults(p_names text[], p_moment m23.moment) returns table (table_id int,
  fault text)
language plpgsql volatile rows 1 set search_path = '' as
$$
begin
  return query select f.* from m23.moment_faults(array(select t.id from m23.tables_named(p_names) t), p_moment) f;
end $$;
revoke all on function m23.moment_faults(text[], m23.moment) from public, anon, authenticated, service_role;

-- Why no log can answer for a tenant at a moment; null when it can.
create or replace function m23.tenant_fault(p_tenant text, p_moment m23.moment) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return (select format('the history of this tenant begins at %s; what was before has been removed', m23.iso(f.at))
      from m23.forgotten f
     where f.tenant_id = p_tenant and f.incarnation = (select m23.incarnation())
       and (p_moment.position is null or not pg_visible_in_snapshot(f.xid, p_moment.position) or p_moment.at < f.at));
end $$;
revoke all on function m23.tenant_fault(text, m23.moment) from public, anon, authenticated, service_role;

-- Whether a tenant can have had rows within bounds.
create or replace function m23.can_concern(p_bounds m23.bounds, p_table m23.protected_tables, p_tenant text)
  returns boolean
language plpgsql stable set search_path = '' as $$
declare v_concerns boolean := true;
begin
  if p_bounds.of_tenant is not null then
    execute format('select %s from (select $1 as %I) r', p_bounds.of_tenant,
                   p_bounds.names[array_position(p_bounds.attnums, p_table.tenant_attnum)])
      into v_concerns using p_tenant;
  end if;
  return v_concerns is not false;
end $$;
revoke all on function m23.can_concern(m23.bounds, m23.protected_tables, text) from public, anon, authenticated,
  service_role;

-- The partitions that a tenant can have had rows in and that were removed after a moment, in this order.
create or replace function m23.removed_since(p_table m23.protected_tables, p_tenant text, p_moment m23.moment)
returns setof m23.removed_partitions
language plpgsql stable rows 1 set search_path = '' as $$
begin
  return query
  select r.* from m23.removed_partitions r
   where r.table_id = p_table.id and r.xid >= p_moment.floor
     and (not pg_visible_in_snapshot(r.xid, p_moment.position)
          or case when p_moment.at is not null then
               coalesce((select c.at from m23.commit_times c where c.xid = r.xid),
                        pg_xact_commit_timestamp(r.xid::xid), r.at) > p_moment.at end)
     and m23.can_concern(r.bounds, p_table, p_tenant)
   order by r.id;
end $$;
revoke all on function m23.removed_since(m23.protected_tables, text, m23.moment) from public, anon, authenticated,
  service_role;

-- What a moment before the drop of a partition lacks; null for nothing.
create or replace function m23.lost_since(p_table m23.protected_tables, p_tenant text, p_moment m23.moment) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%s: rows of partitions that were dropped after that moment cannot come back: %s',
                        m23.public_name(p_table.relid),
                        string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id))
            from m23.removed_since(p_table, p_tenant, p_moment) r where r.lost having count(*) > 0);
end $$;
revoke all on function m23.lost_since(m23.protected_tables, text, m23.moment) from public, anon, authenticated,
  service_role;

-- Sealing ------------------------------------------------------------------------

-- Fires after an insert into a sealed part.
create or replace function m23_log.note_late() returns trigger language plpgsql set search_path = '' as $$
begin
  insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
    select r.tenant_id::text, tg_argv[0]::int, tg_argv[1]::int, max(r.xid) from new_rows r group by r.tenant_id;
  return null;
end $$;
revoke all on function m23_log.note_late() from public, anon, authenticated, service_role;

-- Whether a sealed part has a change of a transaction from this one on.
create or replace function m23.part_reaches(p_table_id int, p_part int, p_from xid8) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from m23.log_tenants n
                  where n.table_id = p_table_id and n.part = p_part and n.last_xid >= p_from);
end $$;
revoke all on function m23.part_reaches(int, int, xid8) from public, anon, authenticated, service_role;

-- Forgets a part that was dropped, and whose it was.
create or replace function m23.forget_part(p_table_id int, p_part int) returns void
language plpgsql set search_path = '' as $$
begin
  delete from m23.log_parts where table_id = p_table_id and part = p_part;
  delete from m23.log_tenants where table_id = p_table_id and part = p_part;
end $$;
revoke all on function m23.forget_part(int, int) from public, anon, authenticated, service_role;

-- Reading ------------------------------------------------------------------------

-- The parts that can have changes of a tenant from a transaction on (null: from the beginning), in their order.
create or replace function m23.parts_of(p_table_id int, p_tenant text, p_from xid8) returns int[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select p.part from m23.log_parts p
                where p.table_id = p_table_id and (not p.sealed or exists (
                  select from m23.log_tenants n
                   where n.tenant_id in (p_tenant, lower(p_tenant)) and n.table_id = p_table_id and n.part = p.part
                     and n.last_xid >= coalesce(p_from, '0')))
                order by p.part);
end $$;
revoke all on function m23.parts_of(int, text, xid8) from public, anon, authenticated, service_role;

-- A tenant's entries of a log in parts that came to hold them after a reader had chosen its own: a part was opened
-- meanwhile, or somebody came late. It is stable, and so sees what its reader's statement sees. p_log: null, of the
-- log's type.
create or replace function m23.entries_beside(p_log anyelement, p_table_id int, p_parts int[], p_tenant text,
  p_from xid8)
returns setof anyelement
language plpgsql stable rows 1 set search_path = '' as $$
declare v_part int;
begin
  foreach v_part in array m23.parts_of(p_table_id, p_tenant, p_from) loop
    continue when v_part = any (p_parts);
    return query execute format('select * from %s l where %s and l.xid >= $2',
                                m23.part_name(p_table_id, v_part), m23.is_logged_of(p_table_id, '$1'))
      using p_tenant, coalesce(p_from, '0');
  end loop;
end $$;
revoke all on function m23.entries_beside(anyelement, int, int[], text, xid8) from public, anon, authenticated,
  service_role;

-- Which logs have something -----------------------------------------------------------

-- Which of these statements, each a select of numbers, give some. Locks that they take are let go of: whatever is
-- taken in a block that fails is. What a tenant has written last lies at the end of a log, where only the index
-- finds it.
create or replace function m23.glance(p_selects text[], p_tenant text, p_from xid8) returns int[]
language plpgsql volatile set search_path = '' set enable_seqscan = off set lock_timeout = '200ms' as $$
declare v_seen int[];
begin
  begin
    execute format('select array(%s)', array_to_string(p_selects, ' union all ')) into v_seen using p_tenant, p_from;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_seen;
end $$;
revoke all on function m23.glance(text[], text, xid8) from public, anon, authenticated, service_role;

-- The upkeep of the logs: seals parts, drops what is no longer needed, and goes on to new ones; gives how many were
-- dropped. Two that come at once do it one after the other.
create or replace function m23.prune_logs() returns int
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables;
  v_needed xid8;
  v_step   text;
  v_part   record;
  v_done   boolean;
  v_count  int := 0;
begin
  perform pg_advisory_xact_lock(m23.prune_key());
  v_needed := m23.needed_from();
  foreach v_step in array '{seal,drop,close}'::text[] loop
    for v_part in select s.* from m23.log_steps(v_step, v_needed) s loop
      v_done := m23.try_log_step(v_step, v_part.tbl, v_part.part, v_needed);
      v_count := v_count + (v_step = 'drop' and v_done)::int;
    end loop;
  end loop;
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_class c where c.oid = t.relid) and t.suspended is null
                    and m23.capture_is_stale(t) and (m23.obstacle_of(t)).kind is null order by t.id loop
    perform m23.follow_layout(v_table.id, v_table.relid);
  end loop;
  delete from m23.ticks where at < clock_timestamp() - make_interval(days => m23.setting('log_days')::int + 1)
     and not exists (select from public.pitr_snapshots s
                      where s.status = 'active' and s.created_at < ticks.at + interval '1 day');
  return v_count;
end $$;
revoke all on function m23.prune_logs() from public, anon, authenticated, service_role;

-- Switches the capture of a table on again, or notes what stands in its way. It waits for a lock only
-- shortly: there is a next time.
create or replace function m23.renew_capture(p_table m23.protected_tables) returns boolean
language plpgsql volatile set search_path = '' as $$
declare v_obstacle m23.obstacle := m23.obstacle_of(p_table);
begin
  perform set_config('lock_timeout', '200ms', true);
  if v_obstacle.kind is null then
    perform m23.protect_table(p_table.relid, m23.tenant_column(p_table)::name);
    return true;
  elsif p_table.suspended is null then
    perform m23.suspend_capture(p_table, v_obstacle.kind);
  end if;
  return false;
exception when others then
  raise log 'm23: the capture of % was not renewed: % (%)', p_table.name, sqlerrm, sqlstate;
  return false;
end $$;
revoke all on function m23.renew_capture(m23.protected_tables) from public, anon, authenticated, service_role;

-- Renews the capture of the tables whose log does not know all; gives how many of them were.
create or replace function m23.renew_captures() returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_table   m23.protected_tables;
  v_faulty  int[];
  v_renewed int := 0;
begin
  perform m23.renew_types();
  v_faulty := array(select f.table_id from m23.capture_faults(array(select t.id from m23.protected_tables t)) f);
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_class c where c.oid = t.relid)
                    and (t.id = any (v_faulty) or m23.replication_has_ended(t))
                  order by t.id loop
    v_renewed := v_renewed + m23.renew_capture(v_table)::int;
  end loop;
  return v_renewed;
end $$;
revoke all on function m23.renew_captures() from public, anon, authenticated, service_role;

-- Whether an event trigger tells of every ALTER TABLE.
create or replace function m23.ddl_is_followed() returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from pg_event_trigger where evtname = 'm23_follow_ddl' and evtenabled = 'A');
end $$;
revoke all on function m23.ddl_is_followed() from public, anon, authenticated, service_role;

-- Seals a part that was closed. The lock that making a trigger takes waits until nobody is writing into it, and whoever
-- comes after finds the trigger. What its statement sees must be newer than that lock.
create or replace function m23.seal_log_part(p_table_id int, p_part int) returns boolean
language plpgsql set search_path = '' as $$
declare v_name text := m23.part_name(p_table_id, p_part);
begin
  if current_setting('transaction_isolation') not like 'read %' then return false; end if;
  perform set_config('m23.writing_capture', 'yes', true);
  execute m23.fill($ddl$create or replace trigger m23_note_late after insert on {part} referencing new table as new_rows
      for each statement execute function m23_log.note_late({table}, {number})$ddl$,
    'part', v_name, 'table', p_table_id::text, 'number', p_part::text);
  perform set_config('m23.writing_capture', '', true);
  execute format('insert into m23.log_tenants (tenant_id, table_id, part, last_xid)
      select l.tenant_id::text, $1, $2, max(l.xid) from %s l group by l.tenant_id', v_name) using p_table_id, p_part;
  update m23.log_parts set sealed = true where table_id = p_table_id and part = p_part;
  return true;
end $$;
revoke all on function m23.seal_log_part(int, int) from public, anon, authenticated, service_role;

-- The tables among these of which m23.capture_fault has nothing to say, as one look at the catalogue tells: ordinary
-- ones that nothing has been done to. Of the others it has to be asked.
create or replace function m23.sound_tables(p_ids int[]) returns int[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_triggers name[] := array(select g.name from m23.capture_triggers(true, false, false, false) g);
  v_temporal oid[] := case when current_setting('server_version_num')::int >= 180000 then array(
    select r from pg_constraint k, unnest(array[k.conrelid, k.confrelid]) r
     where k.contype = 'f' and m23.is_temporal(k)) else '{}' end;
begin
  return array(
    select t.id
      from m23.protected_tables t
      join pg_class c on c.oid = t.relid and c.relkind = 'r' and c.relpersistence = 'p'
      join pg_index i on i.indrelid = t.relid and i.indisprimary
      join pg_class x on x.oid = i.indexrelid
      join pg_am m on m.oid = x.relam and m.amname = 'btree'
      join pg_attribute a on a.attrelid = t.relid and a.attnum = t.tenant_attnum
                         and not a.attisdropped and m23.tenant_type(a.atttypid) = t.tenant_type and a.attgenerated = ''
     where t.id = any (p_ids) and t.suspended is null
       and t.relid <> all (v_temporal)
       and (i.indkey::int2[])[0:i.indnkeyatts - 1] = t.key_attnums
       and not exists (select from pg_attribute o
                        where o.attrelid = t.relid and not o.attisdropped
                          and (o.attname like 'm23\_%' or o.attnum = any (t.key_attnums) and o.attgenerated <> ''))
       and not exists (select from pg_attribute k join pg_type y on y.oid = k.atttypid
                         join m23.log_columns f on f.table_id = t.id and f.attnum = k.attnum and f.until_xid is null
                        where k.attrelid = t.relid and k.attnum = any (t.key_attnums)
                          and f.type_name <> case
                            when y.typnamespace = 'pg_catalog'::regnamespace and y.typtype in ('b', 'r', 'm')
                            then format_type(k.atttypid, -1) else 'text' end)
       and not exists (select from pg_inherits h where h.inhrelid = t.relid)
       and not exists (select from pg_inherits h where h.inhparent = t.relid)
       and not exists (select from pg_subscription_rel s where s.srrelid = t.relid)
       and not exists (select from m23.partitions p where p.table_id = t.id)
       and (select array_agg(g.tgname) @> v_triggers from pg_trigger g where g.tgrelid = t.relid and g.tgenabled = 'A')
       and t.triggers <@ array(select concat_ws('/', g.oid, g.xmin, g.tgrelid) from pg_trigger g
                                where g.tgrelid = t.relid));
end $$;
revoke all on function m23.sound_tables(int[]) from public, anon, authenticated, service_role;

-- Who is at it already does it.
create or replace function m23.sweep_logs() returns bigint
language plpgsql set search_path = '' as $$
begin
  return case when pg_try_advisory_xact_lock(m23.prune_key()) then m23.prune_logs() end;
end $$;
revoke all on function m23.sweep_logs() from public, anon, authenticated, service_role;

-- The start of every query into the past: a WITH list whose last part, `touched`, has one
-- row for each key that has changed since a moment, with its first old image and the
-- balance of arrivals and departures (m23_balance). Parameters, by the names that are given:
--   $1        tenant, as text
--   p_moment  an m23.moment
--   p_after   a key as text[], or null: only rows with a greater key
-- p_log: the log's entries from the moment's floor on, as m23.log_of() gives them.
create or replace function m23.touched_since(
  p_table m23.protected_tables, p_log text, p_moment text default '$2', p_after text default '$3'
) returns text
language plpgsql stable set search_path = '' as $outer$
begin
  return m23.fill($sql$
    later as materialized (
      select x.xid
        from (select distinct l.xid from {log} l where l.tenant_id = {tenant} and l.xid >= ({moment}).floor) x
       where {lies_after}),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              {images} from {log} l
                        where l.tenant_id = {tenant} and l.xid >= ({moment}).floor
                          and l.xid in (select xid from later)) r
       where {key_after}),
    touched as ({first_images})$sql$,
    'log', p_log, 'tenant', m23.tenant_value(p_table, '$1'), 'moment', p_moment,
    'lies_after', m23.lies_after('x.xid', p_moment),
    'images', m23.log_images(p_table), 'key_after', m23.key_after(p_table.relid, p_after),
    'first_images', m23.first_images(
      p_table.relid,
      array(select c.name from m23.columns_of(p_table.relid) c where not c.generated order by c.attnum),
      m23.groups_of(p_table), 'logged', m23.qualified_name(p_table.relid), m23.is_tenants(p_table, 'l', '$1')));
end $outer$;
revoke all on function m23.touched_since(m23.protected_tables, text, text, text) from public, anon, authenticated,
  service_role;

-- History: the log as its tenant may read it, and rows as they were. Old values are for
-- owner, admin and operator only: policies finer than the tenant cannot be applied to them.

-- When a change `l` of a log was committed: the time itself where one is recorded, else the first tick that sees it.
create or replace function m23.committed_at() returns text
language sql immutable set search_path = '' as $q$
  select $$coalesce((select c.at from m23.commit_times c where c.xid = l.xid),
               case when current_setting('track_commit_timestamp')::boolean
                    then pg_xact_commit_timestamp(l.xid::xid) end,
               (select t.at from m23.ticks t
                 where pg_snapshot_xmax(t.position) > l.xid and pg_visible_in_snapshot(l.xid, t.position)
                 order by pg_snapshot_xmax(t.position), t.at limit 1))$$
$q$;
revoke all on function m23.committed_at() from public, anon, authenticated, service_role;

-- The names of the columns that an entry `l` of a log does not carry.
create or replace function m23.unchanged_names(p_table m23.protected_tables) returns text
language sql stable set search_path = '' as $q$
  select coalesce('case when l.unchanged is null then ''{}''::text[] else array_remove(array['
                    || string_agg(format('case when l.unchanged & %s <> 0 then %L end', b.bits, c.name),
                                  ', ' order by c.attnum) || '], null) end', '''{}''::text[]')
    from m23.columns_of(p_table.relid) c, lateral (select m23.column_bits(p_table, c.attnum)) b (bits) where b.bits <> 0
$q$;
revoke all on function m23.unchanged_names(m23.protected_tables) from public, anon, authenticated, service_role;

-- A table's entries under a filter. p_shown: as m23.history_query has it.
create or replace function m23.history_rows(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter,
  p_shown boolean)
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
revoke all on function m23.history_rows(m23.protected_tables, text, m23.log_filter, boolean) from public, anon,
  authenticated, service_role;

-- The same, whatever has become of the table's types since: a value that does not fit its column any more is told as it
-- was logged, at the price of a look at each. Nothing of the rows before a failure is left: they are given when all are
-- there.
create or replace function m23.history_of(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter)
returns setof m23.log_entry
language plpgsql stable set search_path = '' as $$
begin
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, false);
exception when others then
  return query select * from m23.history_rows(p_table, p_tenant, p_filter, true);
end $$;
revoke all on function m23.history_of(m23.protected_tables, text, m23.log_filter) from public, anon, authenticated,
  service_role;

-- A page of it. What it has opened is let go of, for there may be hundreds of tables: whatever is taken in a block that
-- fails is.
create or replace function m23.history_page(p_table m23.protected_tables, p_tenant text, p_filter m23.log_filter)
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
revoke all on function m23.history_page(m23.protected_tables, text, m23.log_filter) from public, anon, authenticated,
  service_role;

-- A tenant's newest changes, by their order in the log.
create or replace function m23.newest_changes(p_tenant text) returns setof m23.log_entry
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
revoke all on function m23.newest_changes(text) from public, anon, authenticated, service_role;

-- The transactions that can have been committed between two times: from `first` on, for a tick before p_since has seen
-- the end of all that are lower, and below `beyond`, for all from there on began after a tick of p_until or later. That
-- tick's clock was read after its position was taken, so `beyond` is told by one that has seen its transaction end.
create or replace function m23.transactions_between(p_since timestamptz, p_until timestamptz, out first xid8,
  out beyond xid8)
language sql stable set search_path = '' as $$
  with ticks as not materialized (select t.* from m23.ticks t where t.incarnation = (select m23.present_life()))
  select (select pg_snapshot_xmin(t.position) from ticks t where t.at < p_since order by t.at desc limit 1),
         (select (select pg_snapshot_xmax(later.position) from ticks later
                   where later.at > t.at and pg_snapshot_xmin(later.position) >= pg_snapshot_xmax(t.position)
                   order by later.at limit 1)
            from ticks t where t.at >= p_until order by t.at limit 1)
$$;
revoke all on function m23.transactions_between(timestamptz, timestamptz) from public, anon, authenticated,
  service_role;

-- What is wrong with the filter of a page of the log.
create or replace function m23.log_filter_faults(p_table text, p_operation text, p_before jsonb) returns text[]
language sql stable set search_path = '' as $$
  select array_remove(array[
    case when p_table is not null and (m23.find_table(p_table)).id is null
         then format('p_table: "%s" is not a protected table', p_table) end,
    case when p_operation not in (select o.name from m23.operations() o)
         then 'p_operation: one of ' || (select string_agg(o.name, ', ') from m23.operations() o) end,
    case when p_before is not null
              and not coalesce(p_before ->> 'id' ~ '^\d{1,18}$' and p_before ->> 'transaction_id' ~ '^\d{1,18}$', false)
         then 'p_before: the last row of the page before, or its id and transaction_id' end], null)
$$;
revoke all on function m23.log_filter_faults(text, text, jsonb) from public, anon, authenticated, service_role;

-- The transactions of a part of a log within bounds. It is let go of again.
create or replace function m23.transactions_in(p_part m23.log_parts, p_from xid8, p_to xid8) returns xid8[]
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
revoke all on function m23.transactions_in(m23.log_parts, xid8, xid8) from public, anon, authenticated, service_role;

-- Composite types of a table that have lost attributes since a moment, with the values.
create or replace function m23.type_warnings(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_said text[];
begin
  if not exists (select from m23.type_versions where since > '0/0') then return '{}'; end if;
  execute format($sql$
      select array_agg(distinct format(
               '%%s: its type %%s has lost an attribute since; the values of that cannot come back',
               $3, format_type(v.type, null)))
        from (select t.type, t.xid, t.numbers, lag(t.numbers) over (partition by t.type order by t.since) as former
                from m23.type_versions t
               where t.incarnation = $4
                 and t.type in (select u.type from m23.types_within(m23.column_types(array[$1])) u)) v
        join pg_type c on c.oid = v.type and c.typtype = 'c'
       where not v.former <@ v.numbers and %s$sql$, m23.lies_after('v.xid'))
    into v_said using p_table.relid, p_moment, m23.public_name(p_table.relid), m23.present_life();
  return coalesce(v_said, '{}');
end $$;
revoke all on function m23.type_warnings(m23.protected_tables, m23.moment) from public, anon, authenticated,
  service_role;

-- Writes the functions of each capture anew, as M23 of now generates them; for the end of an upgrade. It locks no
-- table. Functions that no trigger calls are left: they are written when capture begins again. So are those of a table
-- whose layout has changed since its last write: its next write follows it, with the functions of now.
create or replace function m23.write_captures() returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_table      m23.protected_tables;
  v_is_current boolean;
begin
  for v_table in select t.* from m23.protected_tables t
                  where exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgname ~ '^(aaa|zzz)_m23_')
                  order by t.id loop
    execute format('select m23_log.layout_%s(%s, m23.layout_of(%2$s))', v_table.id, v_table.relid) into v_is_current;
    if v_is_current then
      perform m23.write_capture_functions(v_table);
    end if;
  end loop;
end $$;
revoke all on function m23.write_captures() from public, anon, authenticated, service_role;

-- The audit: every call of the five functions, and every change that somebody makes through the
-- API. Entries are only ever added; each contains the hash of the one before it in its tenant's
-- chain, so that a chain which was edited no longer fits together.

create table public.audit_log (
  tenant_id    text not null,
  seq          bigint not null check (seq > 0),
  created_at   timestamptz not null,
  event        text not null check (event in ('begun', 'ended', 'refused', 'replayed', 'done')),
  action       text not null,  -- the function, or what was done
  actor        uuid,           -- null: the service key
  request_id   uuid,           -- an end has that of its beginning
  from_address text,
  user_agent   text,
  status       int check (status between 100 and 599),
  code         text,
  detail       jsonb,
  prev_hash    text not null check (prev_hash ~ '^[0-9a-f]{64}$'),
  hash         text not null check (hash ~ '^[0-9a-f]{64}$'),
  check (event not in ('begun', 'ended') or request_id is not null),
  primary key (tenant_id, seq)
);

create index audit_log_request on public.audit_log (tenant_id, request_id);

create index audit_log_created on public.audit_log (created_at);

alter table public.audit_log enable row level security;

revoke all on public.audit_log from anon, authenticated, service_role;

grant select on public.audit_log to authenticated, service_role;

create policy owners_read on public.audit_log for select to authenticated
  using (tenant_id in (select m23.caller_tenants(array['owner'])));

comment on table public.audit_log is
  'Who did what, when, from where, with what outcome. begun and ended belong to one admitted call; refused, replayed '
  'and done stand alone. See get_audit_log.';

-- Where each chain ends: whoever adds to it holds this row.
create table m23.audit_heads (
  tenant_id text primary key,
  seq       bigint not null check (seq >= 0),
  hash      text not null check (hash ~ '^[0-9a-f]{64}$')
);

select m23.close_table('m23.audit_heads');

-- What is older than audit_days is gone, and with what its chain ended.
create table m23.audit_checkpoints (
  tenant_id  text primary key,
  seq        bigint not null check (seq > 0),
  hash       text not null check (hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.audit_checkpoints');

-- Refusals and repetitions of the last minute, before they become one entry of the audit: a caller may have any number
-- of them.
create table m23.refusals (
  id           bigint primary key generated always as identity,
  tenant_id    text not null,
  minute       timestamptz not null,
  event        text not null check (event in ('refused', 'replayed')),
  action       text not null,
  actor        uuid,
  status       int,
  code         text,
  request_id   uuid,  -- of the first one
  from_address text,
  user_agent   text,
  detail       jsonb,  -- of the service: why, and who
  count        bigint not null default 1 check (count > 0),
  since        timestamptz not null default clock_timestamp(),
  until        timestamptz not null default clock_timestamp(),
  unique nulls not distinct (tenant_id, minute, event, action, actor, status, code, detail)
);

select m23.close_table('m23.refusals');

-- Nobody edits. Only a tenant that is forgotten takes its chain with it, and what lies behind a checkpoint goes.
create or replace function m23.refuse_audit_edit() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  if tg_op = 'DELETE' and (current_setting('m23.forgetting', true) = old.tenant_id
      or old.seq <= (select c.seq from m23.audit_checkpoints c where c.tenant_id = old.tenant_id)) then
    return old;
  end if;
  raise exception 'the audit is only ever added to' using errcode = 'insufficient_privilege';
end $$;
revoke all on function m23.refuse_audit_edit() from public, anon, authenticated, service_role;

create trigger refuse_edit before update or delete on public.audit_log
  for each row execute function m23.refuse_audit_edit();

create trigger refuse_truncate before truncate on public.audit_log
  for each statement execute function m23.refuse_audit_edit();

-- Rows that clients write themselves. M23's own functions write as its owner.
create or replace function m23.audit_row() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_before jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) else '{}' end;
begin
  perform m23.audit_done(new.tenant_id, format('%s %s', lower(tg_op), tg_table_name), jsonb_build_object('id', new.id,
    'columns', (select jsonb_agg(n.key order by n.key) from jsonb_each(to_jsonb(new)) n
                 where tg_op = 'UPDATE' and n.value is distinct from v_before -> n.key)));
  return null;
end $$;
revoke all on function m23.audit_row() from public, anon, authenticated, service_role;

-- Records: the tables that a client reads through the API, each under row-level
-- security. Rows are written by M23's functions; clients insert only what a policy
-- and a column grant below name.

create table public.backup_jobs (
  id                uuid primary key default gen_random_uuid(),
  tenant_id         text not null default m23.caller_tenant(),
  backup_name       text not null check (char_length(backup_name) between 1 and 200),
  description       text check (char_length(description) <= 2000),
  job_type          text not null check (job_type in ('full', 'incremental', 'snapshot')),
  status            text not null default 'pending' check (status in ('pending', 'in_progress', 'completed', 'failed')),
  tables            text[] check (cardinality(tables) > 0),
  created_at        timestamptz not null default now(),
  created_by        uuid default auth.uid(),
  started_at        timestamptz,
  completed_at      timestamptz,
  backup_size_bytes bigint check (backup_size_bytes >= 0),
  duration_seconds  numeric,
  error_message     text,
  deleted_at        timestamptz,  -- its objects go when the grace period has passed
  is_incremental    boolean generated always as (job_type = 'incremental') stored,
  base_backup_id    uuid references public.backup_jobs (id),
  parent_backup_id  uuid references public.backup_jobs (id),
  metadata          jsonb not null default '{}',
  check (id not in (base_backup_id, parent_backup_id))
);

create index backup_jobs_tenant on public.backup_jobs (tenant_id, created_at desc);

create index backup_jobs_pending on public.backup_jobs (tenant_id, created_at) where status = 'pending';

create index backup_jobs_open on public.backup_jobs (tenant_id) where status in ('pending', 'in_progress');

create index backup_jobs_completed on public.backup_jobs (completed_at) where status = 'completed';

create index backup_jobs_base on public.backup_jobs (base_backup_id) where base_backup_id is not null;

create index backup_jobs_parent on public.backup_jobs (parent_backup_id) where parent_backup_id is not null;

comment on table public.backup_jobs is 'Backups, requested, running and done. metadata.progress follows the work.';

create table public.restore_logs (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  restore_type     text not null check (restore_type in ('backup', 'pitr')),
  backup_job_id    uuid references public.backup_jobs (id),
  target_timestamp timestamptz,
  target_schema    text,
  tables           text[],
  snapshot_id      uuid,
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  started_at       timestamptz,
  completed_at     timestamptz,
  duration_seconds numeric,
  rows_restored    bigint check (rows_restored >= 0),
  stats            jsonb,
  warnings         text[] not null default '{}',
  metadata         jsonb not null default '{}'
);

create index restore_logs_tenant on public.restore_logs (tenant_id, created_at desc);

create index restore_logs_backup on public.restore_logs (backup_job_id);

comment on table public.restore_logs is
  'Every restore: committed before the work starts, ended as completed, failed or cancelled.';

create table public.pitr_snapshots (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  restore_log_id   uuid references public.restore_logs (id),
  snapshot_name    text not null check (char_length(snapshot_name) between 1 and 200),
  snapshot_type    text not null check (snapshot_type in ('pre_restore', 'manual', 'automated')),
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  expires_at       timestamptz,
  snapshot_data    jsonb not null,
  affected_tables  text[] not null,
  total_rows_count bigint check (total_rows_count >= 0),
  is_rolled_back   boolean not null default false,
  rolled_back_at   timestamptz,
  status           text not null default 'active' check (status in ('active', 'expired', 'rolled_back', 'archived')),
  check (is_rolled_back = (rolled_back_at is not null))
);

create index pitr_snapshots_tenant on public.pitr_snapshots (tenant_id, created_at desc);

create index pitr_snapshots_expiry on public.pitr_snapshots (expires_at) where status = 'active';

create index pitr_snapshots_restore on public.pitr_snapshots (restore_log_id);

alter table public.restore_logs add foreign key (snapshot_id) references public.pitr_snapshots (id);

create index restore_logs_snapshot on public.restore_logs (snapshot_id);

comment on table public.pitr_snapshots is
  'Positions to come back to. Made in constant time; a snapshot pins the log that it needs.';

create table public.pitr_rollbacks (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  snapshot_id      uuid not null references public.pitr_snapshots (id),
  reason           text,
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  completed_at     timestamptz,
  affected_tables  text[],
  rows_restored    bigint check (rows_restored >= 0),
  pre_rollback_snapshot_id uuid references public.pitr_snapshots (id),
  warnings         text[] not null default '{}'
);

create index pitr_rollbacks_pre on public.pitr_rollbacks (pre_rollback_snapshot_id);

create index pitr_rollbacks_tenant on public.pitr_rollbacks (tenant_id, created_at desc);

create index pitr_rollbacks_snapshot on public.pitr_rollbacks (snapshot_id);

comment on table public.pitr_rollbacks is 'Every rollback to a snapshot.';

create table public.dr_plans (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null default m23.caller_tenant(),
  plan_name        text not null check (char_length(plan_name) between 1 and 200),
  description      text,
  rto_minutes      int not null check (rto_minutes > 0),
  rpo_minutes      int not null check (rpo_minutes > 0),
  backup_frequency text not null,
  backup_types     text[] not null default '{full}'
                   check (cardinality(backup_types) > 0 and backup_types <@ array['full', 'incremental', 'snapshot']),
  retention_days   int not null default 30 check (retention_days > 0),
  test_frequency   text not null,
  next_test_date   timestamptz,
  is_active        boolean not null default true,
  created_by       uuid default auth.uid(),
  created_at       timestamptz not null default now(),
  time_zone        text not null default 'UTC',
  next_backup_date timestamptz
);

create trigger zzz_audit after insert or update on public.dr_plans for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();

create trigger zzz_audit after insert on public.backup_jobs for each row
  when (current_user in ('authenticated', 'service_role')) execute function m23.audit_row();

create table m23.cancellations (
  work_id uuid primary key,
  by      uuid not null,
  at      timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.cancellations');

-- Leases: who works on a backup, restore, test or key. Its driver renews the lease while it works; another one takes
-- over where it is silent for lease_seconds.

create table m23.leases (
  work_id uuid primary key,
  token   uuid not null,
  until   timestamptz not null,
  taken   int not null default 1 check (taken > 0),  -- by how many workers since the last progress
  pid     int default pg_backend_pid(),  -- which backend took or renewed it last,
  backend_start timestamptz,             -- and since when that has run
  check (backend_start is null or pid is not null)
);

select m23.close_table('m23.leases');

-- Limits that the operator of the service has raised for a time, of one tenant and function.

create table m23.raised_limits (
  tenant_id text not null,
  function  text not null
            check (function in ('backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback', 'recovery-test')),
  most      int not null check (most >= 0),
  until     timestamptz not null,
  primary key (tenant_id, function)
);

select m23.close_table('m23.raised_limits');

-- Refuses a job of a tenant that has pending_jobs of them already.
create or replace function m23.refuse_more_jobs() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_most int := m23.setting('pending_jobs')::int;
begin
  perform pg_advisory_xact_lock(hashtextextended(concat_ws('.', 'm23.pending', new.tenant_id), 0));
  if v_most <= (select count(*) from public.backup_jobs j
                 where j.tenant_id = new.tenant_id and j.status = 'pending') then
    perform m23.refuse('VALIDATION_FAILED',
                       format('this tenant has %s backup jobs that wait to be run; run or cancel one of them first',
                              v_most),
                       array['backup_jobs: too many are pending']);
  end if;
  return new;
end $$;
revoke all on function m23.refuse_more_jobs() from public, anon, authenticated, service_role;

-- M23's own functions write as its owner, and run what they write.
create trigger refuse_more_jobs before insert on public.backup_jobs for each row
  when (new.status = 'pending' and current_user in ('authenticated', 'service_role'))
  execute function m23.refuse_more_jobs();

create index dr_plans_tenant on public.dr_plans (tenant_id);

create index dr_plans_backup on public.dr_plans (next_backup_date) where is_active;

create index dr_plans_test on public.dr_plans (next_test_date) where is_active;

comment on table public.dr_plans is 'How often a tenant is backed up and its recovery tested, and within which bounds.';

create table public.recovery_tests (
  id               uuid primary key default gen_random_uuid(),
  tenant_id        text not null,
  created_at       timestamptz not null default now(),
  created_by       uuid default auth.uid(),
  dr_plan_id       uuid references public.dr_plans (id),
  backup_job_id    uuid references public.backup_jobs (id),
  test_name        text not null,
  test_type        text not null check (test_type in ('manual', 'automated', 'scheduled')),
  validation_level text not null check (validation_level in ('basic', 'full', 'deep')),
  status           text not null default 'pending'
                   check (status in ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  error_message    text,
  started_at       timestamptz,
  completed_at     timestamptz,
  results          jsonb
);

create index recovery_tests_tenant on public.recovery_tests (tenant_id, created_at desc);

create index recovery_tests_plan on public.recovery_tests (dr_plan_id);

create index recovery_tests_backup on public.recovery_tests (backup_job_id);

comment on table public.recovery_tests is 'Recovery tests and what they found.';

create table public.health_snapshots (
  id         uuid primary key default gen_random_uuid(),
  tenant_id  text not null,
  created_at timestamptz not null default now(),
  score      numeric not null check (score between 0 and 100),
  parts      jsonb not null
);

create index health_snapshots_tenant on public.health_snapshots (tenant_id, created_at desc);

comment on table public.health_snapshots is 'The health score over time, with its parts.';

-- Deny first, then the few grants. Supabase's default privileges would otherwise give
-- the API roles everything on a new table.
do $$
declare v_table text;
begin
  foreach v_table in array array['backup_jobs', 'restore_logs', 'pitr_snapshots', 'pitr_rollbacks',
                                 'dr_plans', 'recovery_tests', 'health_snapshots'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from anon, authenticated', v_table);
    execute format('grant select on public.%I to authenticated', v_table);
    execute format('grant all on public.%I to service_role', v_table);
    execute format('create policy members_read on public.%I for select to authenticated
                      using (tenant_id in (select m23.caller_tenants()))', v_table);
  end loop;
end $$;

-- createBackupJob: a pending row, run later by backup-create with its jobId.
grant insert (tenant_id, backup_name, description, job_type, tables, base_backup_id, created_by)
  on public.backup_jobs to authenticated;

-- Whether a backup that a new one names is of the same tenant; a foreign key alone would tell
-- of other tenants' backups, too.
create or replace function m23.may_build_on(p_tenant text, p_backup uuid) returns boolean
language sql stable security definer set search_path = '' set row_security = off as $$
  select p_backup is null
      or exists (select from public.backup_jobs j where j.id = p_backup and j.tenant_id = p_tenant)
$$;
revoke all on function m23.may_build_on(text, uuid) from public, anon, authenticated, service_role;
grant execute on function m23.may_build_on(text, uuid) to authenticated, service_role;

create policy operators_request on public.backup_jobs for insert to authenticated
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin', 'operator']))
              and created_by = (select auth.uid()) and m23.may_build_on(tenant_id, base_backup_id));

-- createDRPlan and its upkeep.
grant insert (tenant_id, plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
              retention_days, test_frequency, next_test_date, is_active, time_zone, created_by)
  on public.dr_plans to authenticated;

grant update (plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
              retention_days, test_frequency, next_test_date, is_active, time_zone)
  on public.dr_plans to authenticated;

create policy admins_plan on public.dr_plans for insert to authenticated
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])) and created_by = (select auth.uid()));

create policy admins_change on public.dr_plans for update to authenticated
  using (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])))
  with check (tenant_id in (select m23.caller_tenants(array['owner', 'admin'])));

-- Requests: who may call what, how often, and what was answered. The rate window is
-- counted here exactly; Workers KV only refuses early.

create table m23.requests (
  id              uuid primary key,
  tenant_id       text not null,
  user_id         uuid,  -- null: the service key, whose requests use up no quota
  function        text not null
                  check (function in ('backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback',
                                      'recovery-test')),
  counted_at      timestamptz not null default clock_timestamp(),
  used_at         timestamptz,  -- work has begun with it, or never will
  given_back_at   timestamptz,  -- it ended by our own fault, and counts for nothing
  idempotency_key text,
  body_sha256     text,
  response_status int check (response_status between 100 and 599),
  response_body   jsonb,
  -- What is given back is used, and had been counted.
  check (given_back_at is null or used_at is not null and user_id is not null),
  check (response_body is null or response_status is not null)
);

select m23.close_table('m23.requests');

create index requests_window on m23.requests (tenant_id, function, counted_at);

create index requests_time on m23.requests (counted_at);

create unique index requests_idempotency on m23.requests (tenant_id, user_id, function, idempotency_key)
  nulls not distinct where idempotency_key is not null;

comment on table m23.requests is 'Every request that was admitted, for the rate window and for idempotent answers.';

-- Adding --------------------------------------------------------------------------------

create or replace function m23.audit_hash(p_entry public.audit_log) returns text
language sql stable set search_path = '' as $$
  select encode(sha256(convert_to((p_entry).prev_hash || chr(10) || jsonb_build_array(
    (p_entry).tenant_id, (p_entry).seq, m23.iso((p_entry).created_at), (p_entry).event, (p_entry).action,
    (p_entry).actor, (p_entry).request_id, (p_entry).from_address, (p_entry).user_agent, (p_entry).status,
    (p_entry).code, (p_entry).detail)::text, 'UTF8')), 'hex')
$$;
comment on function m23.audit_hash(public.audit_log) is
  'SHA-256 of the hash before, a newline, and the entry as a JSON array: tenant, seq, time (UTC, microseconds), event, '
  'action, actor, request, address, agent, status, code, detail.';
revoke all on function m23.audit_hash(public.audit_log) from public, anon, authenticated, service_role;

-- The last thing that a transaction does: others of the tenant wait until it ends. p_at: when it happened, if not now.
create or replace function m23.audit(p_tenant text, p_entry jsonb, p_at timestamptz default null) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_head  m23.audit_heads;
  v_entry public.audit_log;
begin
  insert into m23.audit_heads (tenant_id, seq, hash) values (p_tenant, 0, repeat('0', 64)) on conflict do nothing;
  select * into v_head from m23.audit_heads where tenant_id = p_tenant for update;
  v_entry.tenant_id := p_tenant;
  v_entry.seq := v_head.seq + 1;
  v_entry.created_at := coalesce(p_at, clock_timestamp());
  v_entry.event := p_entry ->> 'event';
  v_entry.action := p_entry ->> 'action';
  v_entry.actor := p_entry ->> 'actor';
  v_entry.request_id := p_entry ->> 'request_id';
  v_entry.from_address := left(p_entry ->> 'from_address', 64);
  v_entry.user_agent := left(p_entry ->> 'user_agent', 300);
  v_entry.status := p_entry ->> 'status';
  v_entry.code := p_entry ->> 'code';
  v_entry.detail := nullif(p_entry -> 'detail', 'null');
  v_entry.prev_hash := v_head.hash;
  v_entry.hash := m23.audit_hash(v_entry);
  insert into public.audit_log select (v_entry).*;
  update m23.audit_heads set seq = v_entry.seq, hash = v_entry.hash where tenant_id = p_tenant;
end $$;
revoke all on function m23.audit(text, jsonb, timestamptz) from public, anon, authenticated, service_role;

-- Counts a refusal or a repetition; write_refusals makes entries of them. p_entry: as m23.audit takes it.
create or replace function m23.note_refusal(p_tenant text, p_entry jsonb) returns void
language sql volatile set search_path = '' as $$
  insert into m23.refusals as r
      (tenant_id, minute, event, action, actor, status, code, request_id, from_address, user_agent, detail)
    values (p_tenant, date_trunc('minute', clock_timestamp()), p_entry ->> 'event', p_entry ->> 'action',
            (p_entry ->> 'actor')::uuid, (p_entry ->> 'status')::int, p_entry ->> 'code',
            (p_entry ->> 'request_id')::uuid, left(p_entry ->> 'from_address', 64), left(p_entry ->> 'user_agent', 300),
            nullif(p_entry -> 'detail', 'null'))
    on conflict (tenant_id, minute, event, action, actor, status, code, detail)
    do update set count = r.count + 1, until = clock_timestamp()
$$;
revoke all on function m23.note_refusal(text, jsonb) from public, anon, authenticated, service_role;

-- The detail of the entry of refusals that were counted: how many there were, and until when.
create or replace function m23.refusal_detail(p_refusal m23.refusals) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(p_refusal.detail, '{}')
         || jsonb_build_object('count', p_refusal.count, 'until', m23.iso(p_refusal.until))
$$;
revoke all on function m23.refusal_detail(m23.refusals) from public, anon, authenticated, service_role;

-- How an admitted call has ended, once. What ended by our own fault is given back, should nobody have done so.
create or replace function m23.audit_end(p_tenant text, p_entry jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare v_request uuid := (p_entry ->> 'request_id')::uuid;
begin
  if exists (select from public.audit_log a
              where a.tenant_id = p_tenant and a.request_id = v_request and a.event = 'ended') then
    return;
  end if;
  update m23.requests set used_at = coalesce(used_at, clock_timestamp()) where id = v_request;
  perform m23.give_back(v_request) where (p_entry ->> 'status')::int >= 500;
  perform m23.audit(p_tenant, p_entry);
end $$;
revoke all on function m23.audit_end(text, jsonb) from public, anon, authenticated, service_role;

-- What a caller of the API has done, in the transaction that does it.
create or replace function m23.audit_done(p_tenant text, p_action text, p_detail jsonb) returns void
language sql volatile set search_path = '' as $$
  select m23.audit(p_tenant, jsonb_build_object(
      'event', 'done', 'action', p_action, 'actor', auth.uid(), 'detail', p_detail,
      'user_agent', h ->> 'user-agent', 'from_address', m23.address_of(h)))
    from (select nullif(current_setting('request.headers', true), '')::jsonb) x (h)
$$;
revoke all on function m23.audit_done(text, text, jsonb) from public, anon, authenticated, service_role;

-- The first link of a chain that does not fit, and why; from the checkpoint on, up to an entry if one is given.
create or replace function m23.audit_fault(p_tenant text, p_upto bigint default null, out broken bigint,
  out reason text)
language plpgsql volatile set search_path = '' as $$
declare v_from m23.audit_checkpoints;
begin
  select * into v_from from m23.audit_checkpoints c where c.tenant_id = p_tenant;
  select l.seq, l.reason into broken, reason from (
    select a.seq, case
        when a.seq <> coalesce(v_from.seq, 0) + row_number() over (order by a.seq) then 'an entry before it is missing'
        when a.prev_hash <> coalesce(lag(a.hash) over (order by a.seq), v_from.hash, repeat('0', 64))
          then 'it does not follow the entry before it'
        when a.hash <> m23.audit_hash(a) then 'it has been altered' end as reason
      from public.audit_log a where a.tenant_id = p_tenant and (p_upto is null or a.seq <= p_upto)) l
   where l.reason is not null order by l.seq limit 1;
end $$;
revoke all on function m23.audit_fault(text, bigint) from public, anon, authenticated, service_role;

-- Begins a heavy read in the caller's name. The service key is not metered.
create or replace function m23.begin_heavy_read(p_tenant text, p_kind text) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_user     uuid := auth.uid();
  v_deadline timestamptz := clock_timestamp() + interval '2 seconds';
begin
  if v_user is null then return; end if;
  if m23.take_place('tenant and waiting.' || p_tenant, 6) then
    loop
      if m23.take_place(concat_ws('.', v_user, p_kind), 1) and m23.take_place('tenant.' || p_tenant, 3) then
        return;
      end if;
      exit when clock_timestamp() >= v_deadline;
      perform pg_sleep(0.05);
    end loop;
  end if;
  perform m23.refuse('UNAVAILABLE', 'other reads of this kind are under way in this tenant; try again shortly',
                     p_retry_after => 2);
end $$;
revoke all on function m23.begin_heavy_read(text, text) from public, anon, authenticated, service_role;

-- Bodies of requests, looked at again by the database: whoever calls it without an edge function, with the id of an
-- admitted request, gets no further than they would through it. The words are those of the edge functions.

-- Whether a text is a time with a time zone, as ISO 8601 has it.
create or replace function m23.is_moment(p_text text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_text ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$'
     and p_text::timestamptz is not null;
exception when data_exception then return false;
end $$;
revoke all on function m23.is_moment(text) from public, anon, authenticated, service_role;

-- What is wrong with a text as a line for people; null for nothing.
create or replace function m23.line_fault(p_text text) returns text
language sql immutable set search_path = '' as $$
  select case when p_text !~ '[^[:space:][:cntrl:]]' then 'must not be blank'
              when p_text ~ '[[:cntrl:]]' then 'must not contain control characters' end
$$;
revoke all on function m23.line_fault(text) from public, anon, authenticated, service_role;

-- What is wrong with a list of tables' names; null for nothing. Whether there are such tables is not asked.
create or replace function m23.tables_fault(p_tables jsonb) returns text
language sql immutable set search_path = '' as $$
  select case
    when jsonb_typeof(p_tables) <> 'array' then 'must be a list of table names'
    when p_tables = '[]' then 'must name at least one table; leave it out for every protected table'
    else (select case when jsonb_typeof(t.name) <> 'string' then format('entry %s must be a string', t.n)
                      when count(*) over (partition by t.name) > 1 then format('%s is named twice', t.name) end
            from jsonb_array_elements(p_tables) with ordinality t (name, n)
           order by jsonb_typeof(t.name) = 'string', count(*) over (partition by t.name) desc limit 1) end
$$;
revoke all on function m23.tables_fault(jsonb) from public, anon, authenticated, service_role;

-- Refuses a body that an edge function would not have let through.
create or replace function m23.refuse_body(p_function text, p_body jsonb, p_dry_run boolean default null) returns void
language plpgsql stable set search_path = '' as $$
declare v_faults text[] := m23.body_faults(p_function, p_body, p_dry_run);
begin
  if v_faults = '{}' then
    v_faults := m23.table_faults(m23.list_of(p_body -> 'tables'));
  end if;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the request is invalid', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_body(text, jsonb, boolean) from public, anon, authenticated, service_role;

-- What is wrong with a body for a function, a sentence each. p_dry_run: as m23.together_faults has it.
create or replace function m23.body_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
language plpgsql stable set search_path = '' as $$
declare v_body jsonb := jsonb_strip_nulls(p_body);  -- null counts as absent
begin
  if jsonb_typeof(p_body) is distinct from 'object' then
    return array['body: must be a JSON object'];
  end if;
  return array(select k || ': unknown field' from jsonb_object_keys(v_body) k
                where k not in (select f.field from m23.body_fields(p_function) f) order by k)
    || array(select f.field || ': ' || v.fault
               from m23.body_fields(p_function) with ordinality f (field, kind, is_required, most, words, n),
                    lateral (select case when v_body ? f.field
                                              then m23.value_fault(f.kind, f.most, f.words, v_body -> f.field)
                                         when f.is_required then 'is required' end) v (fault)
              where v.fault is not null order by f.n)
    || m23.together_faults(p_function, v_body, p_dry_run);
end $$;
revoke all on function m23.body_faults(text, jsonb, boolean) from public, anon, authenticated, service_role;

-- The fields that a function's body may have. most: characters; words: those that may stand there.
create or replace function m23.body_fields(p_function text)
returns table (field text, kind text, is_required boolean, most int, words text[])
language sql immutable rows 10 set search_path = '' as $$
  select f.field, f.kind, f.is_required, f.most, f.words from (values
    ('backup-create',  'jobType',          'word',    false, null, '{full,incremental,snapshot}'::text[]),
    ('backup-create',  'backupName',       'line',    false, 200,  null),
    ('backup-create',  'description',      'text',    false, 2000, null),
    ('backup-create',  'tables',           'tables',  false, null, null),
    ('backup-create',  'baseBackupId',     'uuid',    false, null, null),
    ('backup-create',  'jobId',            'uuid',    false, null, null),
    ('backup-restore', 'backupJobId',      'uuid',    true,  null, null),
    ('backup-restore', 'tables',           'tables',  false, null, null),
    ('backup-restore', 'targetSchema',     'schema',  false, null, null),
    ('backup-restore', 'mode',             'word',    false, null, '{exact,missing_only,overwrite_existing}'),
    ('backup-restore', 'dryRun',           'boolean', false, null, null),
    ('backup-restore', 'confirmRestore',   'boolean', false, null, null),
    ('backup-restore', 'planHash',         'line',    false, 128,  null),
    ('pitr-restore',   'targetTimestamp',  'moment',  true,  null, null),
    ('pitr-restore',   'baseBackupId',     'uuid',    false, null, null),
    ('pitr-restore',   'tables',           'tables',  false, null, null),
    ('pitr-restore',   'includeRelated',   'boolean', false, null, null),
    ('pitr-restore',   'dryRun',           'boolean', false, null, null),
    ('pitr-restore',   'confirmRestore',   'boolean', false, null, null),
    ('pitr-restore',   'planHash',         'line',    false, 128,  null),
    ('pitr-rollback',  'snapshotId',       'uuid',    true,  null, null),
    ('pitr-rollback',  'reason',           'text',    false, 2000, null),
    ('pitr-rollback',  'dryRun',           'boolean', false, null, null),
    ('pitr-rollback',  'confirmRollback',  'boolean', false, null, null),
    ('pitr-rollback',  'planHash',         'line',    false, 128,  null),
    ('recovery-test',  'dr_plan_id',       'uuid',    false, null, null),
    ('recovery-test',  'backup_job_id',    'uuid',    false, null, null),
    ('recovery-test',  'test_name',        'line',    true,  200,  null),
    ('recovery-test',  'test_type',        'word',    true,  null, '{manual,automated,scheduled}'),
    ('recovery-test',  'validation_level', 'word',    true,  null, '{basic,full,deep}')
  ) f (function, field, kind, is_required, most, words) where f.function = p_function
$$;
revoke all on function m23.body_fields(text) from public, anon, authenticated, service_role;

-- Why a tenant cannot be forgotten now; null when it can.
create or replace function m23.busy(p_tenant text) returns text
language sql volatile set search_path = '' as $$
  select case
    when exists (select from m23.restore_work where tenant_id = p_tenant)
    then 'a restore or rollback of this tenant is running'
    when exists (select from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
                  where j.tenant_id = p_tenant and j.status in ('pending', 'in_progress'))
    then 'a backup of this tenant is running' end
$$;
revoke all on function m23.busy(text) from public, anon, authenticated, service_role;

-- Refuses, for whoever calls in SQL, where m23.busy gives a reason.
create or replace function m23.refuse_busy(p_tenant text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_busy text := m23.busy(p_tenant);
begin
  if v_busy is not null then
    raise exception '%', v_busy using errcode = 'object_in_use', hint = 'Wait for its end, or cancel it.';
  end if;
end $$;
revoke all on function m23.refuse_busy(text) from public, anon, authenticated, service_role;

-- A restore that somebody has cancelled goes no further. Read anew at every call: the wish
-- comes from another transaction.
create or replace function m23.stop_if_cancelled(p_work uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if exists (select from m23.cancellations where work_id = p_work) then
    raise exception 'cancelled' using errcode = 'query_canceled';
  end if;
end $$;
revoke all on function m23.stop_if_cancelled(uuid) from public, anon, authenticated, service_role;

-- Heavy reads: they look at all that a tenant has changed, and hold a connection meanwhile. Of a user one of a kind
-- runs at a time, of a tenant three. Others wait for 2 s, as long as a tenant has six of both and no more; whatever
-- is beyond that is refused at once. Places are locks: whatever becomes of a read, its place is free when it ends.

-- Takes one of so many places until the end of the transaction, if one is free.
create or replace function m23.take_place(p_name text, p_places int) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  for n in 1..p_places loop
    if pg_try_advisory_xact_lock(hashtextextended(concat_ws('.', 'm23.read', p_name, n), 0)) then return true; end if;
  end loop;
  return false;
end $$;
revoke all on function m23.take_place(text, int) from public, anon, authenticated, service_role;

-- When this backend was started.
create or replace function m23.own_start() returns timestamptz
language sql volatile set search_path = '' as
$$ select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a $$;
revoke all on function m23.own_start() from public, anon, authenticated, service_role;

-- Until when a lease holds that is taken or renewed now.
create or replace function m23.lease_end() returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return clock_timestamp() + make_interval(secs => m23.setting('lease_seconds')::int);
end $$;
revoke all on function m23.lease_end() from public, anon, authenticated, service_role;

-- Takes or takes over a lease; null while somebody else holds it.
create or replace function m23.take_lease(p_work uuid) returns m23.leases
language plpgsql set search_path = '' as $$
declare v_lease m23.leases;
begin
  perform m23.refuse_other_versions();
  insert into m23.leases as l (work_id, token, until, backend_start)
    values (p_work, gen_random_uuid(), m23.lease_end(), m23.own_start())
    on conflict (work_id) do update set token = excluded.token, until = excluded.until, taken = l.taken + 1,
                                        pid = excluded.pid, backend_start = excluded.backend_start
     where l.until < clock_timestamp()
    returning * into v_lease;
  return v_lease;
end $$;
revoke all on function m23.take_lease(uuid) from public, anon, authenticated, service_role;

-- Renews a lease, or says that it was lost: the worker must stop then.
create or replace function m23.keep_lease(p_work uuid, p_token uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.refuse_other_versions();
  update m23.leases set until = m23.lease_end(), pid = pg_backend_pid(), backend_start = m23.own_start()
   where work_id = p_work and token = p_token;
  if not found then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;
revoke all on function m23.keep_lease(uuid, uuid) from public, anon, authenticated, service_role;

-- Whether the backend that renewed a lease last is known to have died with its server. A pool closes connections for
-- other reasons, so that one which is only gone says nothing of its worker, but where nothing is between two calls.
create or replace function m23.holder_is_dead(p_lease m23.leases, p_is_one_call boolean) returns boolean
language plpgsql volatile set search_path = '' as $$
declare v_server_start timestamptz := greatest(pg_postmaster_start_time(),
  (select a.backend_start from pg_stat_activity a where a.backend_type = 'checkpointer'));  -- crashes end it, too
begin
  return coalesce(p_lease.backend_start < v_server_start, false)
      or p_is_one_call and p_lease.pid is not null and not exists (
    select from pg_stat_activity a
     where a.pid = p_lease.pid and coalesce(a.backend_start = p_lease.backend_start, true));
end $$;
revoke all on function m23.holder_is_dead(m23.leases, boolean) from public, anon, authenticated, service_role;

-- The same without renewing it, for a long read beside which others renew it.
create or replace function m23.check_lease(p_work uuid, p_token uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.refuse_other_versions();
  if not exists (select from m23.leases where work_id = p_work and token = p_token) then
    perform m23.refuse('UNAVAILABLE', 'another worker has taken this job over');
  end if;
end $$;
revoke all on function m23.check_lease(uuid, uuid) from public, anon, authenticated, service_role;

-- Null where none is raised.
create or replace function m23.raised_limit(p_tenant text, p_function text) returns int
language plpgsql volatile set search_path = '' as $$
begin
  return (select l.most from m23.raised_limits l
           where l.tenant_id = p_tenant and l.function = p_function and l.until > clock_timestamp());
end $$;
revoke all on function m23.raised_limit(text, text) from public, anon, authenticated, service_role;

create or replace function m23.raise_limit(p_tenant_id text, p_function text, p_limit int, p_until timestamptz)
  returns void
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.tenant_key(p_tenant_id);
  if p_until is null or p_until <= clock_timestamp() then
    raise exception 'p_until must be a time to come' using errcode = 'invalid_parameter_value';
  end if;
  insert into m23.raised_limits values (p_tenant_id, p_function, p_limit, p_until)
    on conflict (tenant_id, function) do update set most = excluded.most, until = excluded.until;
  perform m23.audit_done(p_tenant_id, 'raise_limit',
                         jsonb_build_object('function', p_function, 'limit', p_limit, 'until', m23.iso(p_until)));
end $$;
comment on function m23.raise_limit(text, text, int, timestamptz) is
  'Lets a tenant call a function p_limit times an hour until p_until, at once. A lower one changes nothing.';
revoke all on function m23.raise_limit(text, text, int, timestamptz) from public, anon, authenticated, service_role;
grant execute on function m23.raise_limit(text, text, int, timestamptz) to service_role;

-- Backup jobs that wait to be run (createBackupJob): a tenant has so many at most, and those that nobody runs go.

-- Whether anybody has begun to run a job.
create or replace function m23.has_begun(p_job uuid) returns boolean
language sql stable set search_path = '' as $$ select exists (select from m23.backup_work w where w.job_id = p_job) $$;
revoke all on function m23.has_begun(uuid) from public, anon, authenticated, service_role;

-- Removes jobs that nobody has run for pending_job_days; gives how many.
create or replace function m23.sweep_pending_jobs() returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_count bigint;
begin
  delete from public.backup_jobs j
   where j.status = 'pending'
     and j.created_at < clock_timestamp() - make_interval(days => m23.setting('pending_job_days')::int)
     and not m23.has_begun(j.id);
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.sweep_pending_jobs() from public, anon, authenticated, service_role;

-- Removes what is older than audit_days, so much at a time; gives how many entries. A chain that does not fit is left
-- as it is, for verify_audit to tell.
create or replace function m23.prune_audit() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_began  timestamptz := clock_timestamp();
  v_cutoff timestamptz := v_began - make_interval(days => m23.setting('audit_days')::int);
  v_tenant text;
  v_upto   bigint;
  v_count  bigint;
  v_pruned bigint := 0;
begin
  for v_tenant in
    select t.tenant_id from (select distinct a.tenant_id from public.audit_log a where a.created_at < v_cutoff) t
     order by random()  -- those that do not fit come again, and keep nobody waiting
  loop
    exit when clock_timestamp() > v_began + interval '1 second';
    perform from m23.audit_heads h where h.tenant_id = v_tenant for update;
    v_upto := (select coalesce(min(a.seq) filter (where a.created_at >= v_cutoff) - 1, max(a.seq))
                 from (select * from public.audit_log o where o.tenant_id = v_tenant order by o.seq limit 10000) a);
    continue when (m23.audit_fault(v_tenant, v_upto)).broken is not null;
    insert into m23.audit_checkpoints as c (tenant_id, seq, hash)
      select a.tenant_id, a.seq, a.hash from public.audit_log a where a.tenant_id = v_tenant and a.seq = v_upto
      on conflict (tenant_id)
      do update set seq = excluded.seq, hash = excluded.hash, created_at = excluded.created_at;
    delete from public.audit_log where tenant_id = v_tenant and seq <= v_upto;
    get diagnostics v_count = row_count;
    v_pruned := v_pruned + v_count;
  end loop;
  return v_pruned;
end $$;
revoke all on function m23.prune_audit() from public, anon, authenticated, service_role;

-- Since when requests count.
create or replace function m23.window_start() returns timestamptz
language sql volatile set search_path = '' as $$ select clock_timestamp() - interval '1 hour' $$;
revoke all on function m23.window_start() from public, anon, authenticated, service_role;

-- The lock under which the requests of a tenant's window are counted.
create or replace function m23.window_key(p_tenant text, p_function text) returns bigint
language sql immutable set search_path = '' as
$$ select hashtextextended(concat_ws('.', 'm23.window', p_tenant, p_function), 0) $$;
revoke all on function m23.window_key(text, text) from public, anon, authenticated, service_role;

-- How many requests of a tenant's window are used, and when the oldest of them leaves it, as Unix time.
create or replace function m23.window_of(p_tenant text, p_function text, out used int, out reset bigint)
language sql volatile security definer set search_path = '' set row_security = off as $$
  select count(*)::int,
         ceil(extract(epoch from coalesce(min(r.counted_at), clock_timestamp()) + interval '1 hour'))::bigint
    from m23.requests r
   where r.tenant_id = p_tenant and r.function = p_function and r.counted_at > m23.window_start()
     and r.given_back_at is null and r.user_id is not null
$$;
revoke all on function m23.window_of(text, text) from public, anon, authenticated, service_role;

-- Takes a request out of the window that ended by our own fault, at most 10 an hour. It is used up all the same.
create or replace function m23.give_back(p_id uuid) returns m23.requests
language plpgsql volatile set search_path = '' as $$
declare v_request m23.requests;
begin
  select * into v_request from m23.requests r where r.id = p_id;
  perform pg_advisory_xact_lock(m23.window_key(v_request.tenant_id, v_request.function));
  update m23.requests r set given_back_at = clock_timestamp(), used_at = coalesce(r.used_at, clock_timestamp())
   where r.id = p_id and r.given_back_at is null and r.user_id is not null
     and (select count(*) from m23.requests o where o.tenant_id = r.tenant_id and o.function = r.function
                                                 and o.given_back_at > m23.window_start()) < 10;
  select * into v_request from m23.requests r where r.id = p_id;
  return v_request;
end $$;
revoke all on function m23.give_back(uuid) from public, anon, authenticated, service_role;

-- Whom to ask, for those who decide.
create or replace function m23.limit_sentence(p_is_owner boolean) returns text
language sql immutable set search_path = '' as $$
  select 'this tenant''s hourly limit for this function is used up'
         || case when p_is_owner then '; the operator of the service can raise it for a time (raise_limit)' else '' end
$$;
revoke all on function m23.limit_sentence(boolean) from public, anon, authenticated, service_role;

-- Counts a call that reaches the database without an edge function, in the same window.
create or replace function m23.count_call(p_tenant text, p_user uuid, p_function text) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_admitted json := public.m23_admit(jsonb_build_object(
    'id', gen_random_uuid(), 'tenant_id', p_tenant, 'user_id', p_user, 'function', p_function,
    'limit', m23.setting('limit.' || p_function)::int));
begin
  if v_admitted ->> 'outcome' <> 'admitted' then
    perform m23.refuse('RATE_LIMIT_EXCEEDED', m23.limit_sentence(exists (
        select from m23.memberships_of(p_user) m where m.tenant_id = p_tenant and m.role = 'owner')), null,
      greatest(1, least(3600, (v_admitted ->> 'reset')::bigint - floor(extract(epoch from clock_timestamp()))))::int);
  end if;
end $$;
revoke all on function m23.count_call(text, uuid, text) from public, anon, authenticated, service_role;

-- Has the tenant to itself until the end of the transaction: no backup, restore or writer of
-- it is under way, and none begins.
create or replace function m23.seize_tenant(p_tenant text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_deadline timestamptz := clock_timestamp() + make_interval(secs => m23.setting('restore_wait_seconds')::int);
begin
  perform m23.sweep_restores(p_tenant);
  perform m23.refuse_busy(p_tenant);
  -- Work begins under a request: those that are beginning are waited for, no new one is admitted.
  perform pg_advisory_xact_lock(m23.window_key(p_tenant, 'backup-create'));
  perform from m23.requests where tenant_id = p_tenant for update;
  perform m23.refuse_busy(p_tenant);
  insert into m23.restore_work (work_id, tenant_id, kind) values (gen_random_uuid(), p_tenant, 'rollback');
  loop
    begin
      perform m23.take_fence(p_tenant);
      exit;
    exception when lock_not_available then
      if clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
exception
  when unique_violation then
    raise exception 'a restore or rollback of this tenant is running' using errcode = 'object_in_use';
  when lock_not_available then
    raise exception 'other transactions are at work on this tenant'
      using errcode = 'object_in_use', hint = 'Try again.';
end $$;
revoke all on function m23.seize_tenant(text) from public, anon, authenticated, service_role;

-- Upkeep, every minute: what dead workers have left behind, what is past its time, and capture
-- that was switched off. Gives how much of each there was; nothing that is none. What is old goes in bounded shares.

-- Deletes requests that are older than request_days, a share of them; gives how many.
create or replace function m23.sweep_requests() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  delete from m23.requests where ctid = any (array(
    select ctid from m23.requests
     where counted_at < clock_timestamp() - make_interval(days => m23.setting('request_days')::int) limit 10000));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.sweep_requests() from public, anon, authenticated, service_role;

-- One step of the upkeep: one that fails takes back nothing that another has done. Null: it failed.
create or replace function m23.sweep_step(p_function name) returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  execute format('select m23.%I()', p_function) into v_count;
  return coalesce(v_count, 0);
exception when others or query_canceled then
  raise log 'm23: the upkeep failed in %: % (%)', p_function, sqlerrm, sqlstate;
  return null;
end $$;
revoke all on function m23.sweep_step(name) from public, anon, authenticated, service_role;

-- What a body's fields have to do with each other. p_dry_run: the call only looks (true), or changes data (false); null
-- where the body decides.
create or replace function m23.together_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_confirm text := case p_function when 'pitr-rollback' then 'confirmRollback' else 'confirmRestore' end;
  v_is_dry  boolean := coalesce(p_body -> 'dryRun' = 'true', false);
begin
  if p_function = 'backup-create' then
    return array_remove(array[
      case when not p_body ?| '{jobId,jobType}'
           then 'jobType: is required and must be one of full, incremental, snapshot' end,
      case when p_body ->> 'jobType' = 'incremental' and not p_body ? 'baseBackupId'
           then 'baseBackupId: is required for incremental' end], null)
      || array(select k || ': cannot be combined with jobId' from jsonb_object_keys(p_body) k
                where p_body ? 'jobId' and k <> 'jobId' order by k);
  elsif p_function = 'recovery-test' then
    return '{}';
  end if;
  return array_remove(array[
    case when p_dry_run <> v_is_dry then 'dryRun: must be ' || p_dry_run end,
    case when not v_is_dry and p_body -> v_confirm is distinct from 'true'
         then v_confirm || ': must be true' end], null);
end $$;
revoke all on function m23.together_faults(text, jsonb, boolean) from public, anon, authenticated, service_role;

-- Work begins with an admitted request, once: the quota cannot be passed by calling the
-- database directly. Gives the request; refuses in the caller's words. Used is used: callers keep this transaction
-- whatever comes after it (m23.answer_refusal).
create or replace function m23.use_request(p_id uuid, p_function text, p_dry_run boolean default false)
  returns m23.requests
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests;
  v_role    text;
begin
  perform m23.refuse_anonymous();
  update m23.requests set used_at = clock_timestamp()
   where id = p_id and function = p_function and used_at is null
     and case when m23.is_service() then user_id is null else user_id = auth.uid() end
   returning * into v_request;
  v_role := case when m23.is_service() then 'owner'
                 else (select m.role from m23.caller_memberships() m where m.tenant_id = v_request.tenant_id) end;
  if v_request.id is null or not m23.may_call(p_function, v_role, p_dry_run) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS',
                       format('call the edge function %s: this needs a request that it has admitted', p_function));
  end if;
  return v_request;
end $$;
revoke all on function m23.use_request(uuid, text, boolean) from public, anon, authenticated, service_role;

-- What is wrong with the value of a field; null for nothing.
create or replace function m23.value_fault(p_kind text, p_most int, p_words text[], p_value jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_is_text boolean := jsonb_typeof(p_value) = 'string';
  v_text    text := p_value #>> '{}';
begin
  return case p_kind
    when 'boolean' then case when jsonb_typeof(p_value) <> 'boolean' then 'must be true or false' end
    when 'tables' then m23.tables_fault(p_value)
    when 'uuid' then case when not v_is_text or v_text !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      then 'must be a UUID' end
    when 'word' then case when not v_is_text or v_text <> all (p_words)
      then 'must be one of ' || array_to_string(p_words, ', ') end
    when 'moment' then case when not v_is_text or not m23.is_moment(v_text)
      then 'must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z' end
    when 'schema' then case when not v_is_text then 'must be a string' when v_text !~ '^[A-Za-z_][A-Za-z0-9_-]{0,62}$'
      then format('"%s" must be letters, digits, _ and -, and start with a letter or _', left(v_text, 80)) end
    else case when not v_is_text then 'must be a string'
              when char_length(v_text) > p_most then format('must have at most %s characters', p_most)
              when p_kind = 'line' then m23.line_fault(v_text) end end;
end $$;
revoke all on function m23.value_fault(text, int, text[], jsonb) from public, anon, authenticated, service_role;

-- One entry for each user, cause and minute that is over; gives how many.
create or replace function m23.write_refusals() returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_refusal m23.refusals;
  v_count   bigint := 0;
begin
  for v_refusal in
    with over as (delete from m23.refusals where minute < date_trunc('minute', clock_timestamp()) returning *)
    select * from over order by tenant_id, since
  loop
    perform m23.audit(v_refusal.tenant_id, p_at => v_refusal.since,
                      p_entry => to_jsonb(v_refusal) || jsonb_build_object('detail', m23.refusal_detail(v_refusal)));
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
revoke all on function m23.write_refusals() from public, anon, authenticated, service_role;

select m23.close_table('m23.fills');

-- A hook is a function of the application, (tenant text, changes jsonb). It is kept by name,
-- so that one which is dropped and made again is still the hook.

create table m23.after_restore_hooks (
  id            bigint primary key generated always as identity,
  relid         oid,   -- of the table; null: the restore as a whole
  tenant_id     text,  -- null: every tenant
  schema_name   text not null,
  function_name text not null,
  unique nulls not distinct (relid, tenant_id, schema_name, function_name)
);

select m23.close_table('m23.after_restore_hooks');

create or replace function m23.set_after_restore(
  p_table regclass, p_function regprocedure, p_tenant text default null
) returns void
language plpgsql set search_path = '' as $$
declare
  v_schema name;
  v_name   name;
  v_fault  text;
  v_pinned boolean;
begin
  select n.nspname, p.proname, exists (select from unnest(p.proconfig) c where c like 'search_path=%')
    into v_schema, v_name, v_pinned
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = p_function;
  v_fault := m23.hook_fault(v_schema, v_name);
  if v_fault is null and p_function <> to_regprocedure(format('%I.%I(text, jsonb)', v_schema, v_name)) then
    v_fault := 'must take (tenant text, changes jsonb)';
  end if;
  if v_fault is not null then
    raise exception '% cannot be an after_restore hook: it %', coalesce(p_function::text, 'null'), v_fault
      using errcode = 'invalid_function_definition';
  end if;
  if p_table is not null and not exists (select from m23.protected_tables where relid = p_table) then
    raise exception '% is not protected, so no restore changes it', p_table
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  if not v_pinned then
    raise warning '% has no search_path of its own: it is called with an empty one, and finds only qualified names',
      p_function;
  end if;
  insert into m23.after_restore_hooks (relid, tenant_id, schema_name, function_name)
    values (p_table, p_tenant, v_schema, v_name) on conflict do nothing;
end $$;
comment on function m23.set_after_restore(regclass, regprocedure, text) is
  'Has p_function(tenant text, changes jsonb) called at the end of every restore and rollback that changes p_table '
  '(null: any table), of p_tenant (null: any tenant), in the same transaction. A hook that fails takes the restore '
  'back.';
revoke all on function m23.set_after_restore(regclass, regprocedure, text) from public, anon, authenticated,
  service_role;

comment on table m23.after_restore_hooks is
  'Functions to call at the end of a restore or rollback; see m23.set_after_restore.';

-- What the plan of each table came to, for as long as it is worked on: each backend has one at most.
-- Not a temporary table, whose making and dropping is a third of the time of a small restore.
create unlogged table m23.plans (
  backend    int not null default pg_backend_pid(),
  table_id   int not null,
  name       text not null,
  left_alone bigint not null default 0,
  inserts    bigint not null,
  updates    bigint not null,
  deletes    bigint not null,
  warnings   text[] not null default '{}',
  written    bigint not null default 0,
  unreachable bigint not null default 0,  -- of those left alone
  taken_back bigint not null default 0,  -- of the inserts
  primary key (backend, table_id),
  constraint no_negative_counts
    check (least(inserts, updates, deletes, left_alone, unreachable, taken_back, written) >= 0
           and unreachable <= left_alone)
);

select m23.close_table('m23.plans');

create view m23.plan with (security_invoker = true) as
  select table_id, name, left_alone, inserts, updates, deletes, warnings, written, unreachable, taken_back
    from m23.plans where backend = pg_backend_pid();

-- A column that takes its values from a sequence.
create type m23.feed as (
  sequence    oid,
  column_name text,
  base        oid,    -- its type, or what its domain is made of
  type_name   text,   -- that with its length
  around      text[]  -- what stands before and after the sequence's number in a value
);

-- Targets: which tables a restore is to make what of.

-- One table to bring to its wanted rows. They come from the log, as of a moment; or from a
-- query, which may use the parameters of m23.touched_since for that moment.
create type m23.target as (
  tbl     m23.protected_tables,
  moment  m23.moment,
  wanted  text,
  columns text[],  -- those that are planned
  arrived text,    -- of an archive's rows: the keys that came from another tenant since
  path    text,    -- m23.path_of the table: for statements that touch it
  kept    text[]   -- those of the columns that are newer than the wanted rows: a live row keeps its value
);

-- Takes the sequences that feed these columns past what a relation has in them, which is read under a path.
create or replace function m23.advance_sequences(p_relid oid, p_columns text[], p_rows text, p_path text) returns void
language plpgsql set search_path = '' as $$
declare
  v_feed     m23.feed;
  v_sequence pg_sequence;
  v_top      numeric;
begin
  for v_feed in select * from m23.feeds_of(p_relid, p_columns) loop
    select * into v_sequence from pg_sequence where seqrelid = v_feed.sequence;
    if v_feed.around = '{"",""}' and v_feed.base = any ('{int2,int4,int8,numeric,float4,float8}'::regtype[]::oid[]) then
      v_top := trunc(m23.number_of(p_path, format('select %s(%I) from %s',
        case when v_sequence.seqincrement > 0 then 'max' else 'min' end, v_feed.column_name, p_rows)));
    else
      v_top := m23.furthest_within(p_rows, p_path, v_feed, v_sequence);
    end if;
    if v_top between v_sequence.seqmin and v_sequence.seqmax then
      -- Where it is that far already it is left alone: another session may be taking a number just now.
      execute format('select setval(%1$L, %2$s) from %1$s
                       where %2$s %3$s last_value or %2$s = last_value and not is_called',
        m23.qualified_name(v_feed.sequence), v_top, case when v_sequence.seqincrement > 0 then '>' else '<' end);
    end if;
  end loop;
end $$;
revoke all on function m23.advance_sequences(oid, text[], text, text) from public, anon, authenticated, service_role;

-- Updates and inserts, the deletes being done. Unique values that rows exchange among
-- themselves defeat an UPDATE: then the changed rows are deleted and inserted. What still
-- collides has been written by another tenant since the plan: it is made anew.
create or replace function m23.apply_table(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql set search_path = '' as $$
begin
  perform m23.exchange_fixed(p_target);
  begin
    return m23.write_diff(p_target, p_tenant, p_quiet);
  exception when unique_violation or exclusion_violation then
    execute format('update %s set m23_op = ''R'' where m23_op in (''U'', ''T'')', m23.diff_name(p_target.tbl));
  end;
  begin
    return m23.write_diff(p_target, p_tenant, p_quiet);
  exception when unique_violation or exclusion_violation then
    if m23.leave_claimed(p_target, p_tenant) = 0 then raise; end if;
  end;
  raise exception 'another tenant has taken a value meanwhile' using errcode = 'lock_not_available';
end $$;
revoke all on function m23.apply_table(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Writes the plan, and notes for each table how many rows are known to be as planned.
create or replace function m23.apply_targets(p_tenant text, p_targets m23.target[], p_quiet boolean) returns void
language plpgsql set search_path = '' as $$
declare
  v_ordered m23.target[] := m23.parents_first(m23.targets_with_changes(p_targets));
  v_count   bigint;
begin
  for n in 1..cardinality(v_ordered) loop
    perform m23.lock_planned(v_ordered[n], p_tenant, p_quiet);
    perform m23.note_vanishing(v_ordered[n], p_tenant);
  end loop;
  for n in reverse cardinality(v_ordered)..1 loop
    if exists (select from m23.plan p where p.table_id = ((v_ordered[n]).tbl).id and p.deletes > 0) then
      v_count := m23.delete_diff(v_ordered[n], p_tenant, 'D', p_quiet);
      update m23.plan p set written = v_count where p.table_id = ((v_ordered[n]).tbl).id;
    end if;
  end loop;
  for n in 1..cardinality(v_ordered) loop
    v_count := m23.apply_table(v_ordered[n], p_tenant, p_quiet);
    update m23.plan p set written = p.written + v_count where p.table_id = ((v_ordered[n]).tbl).id;
  end loop;
end $$;
revoke all on function m23.apply_targets(text, m23.target[], boolean) from public, anon, authenticated, service_role;

-- Rows that have come from another tenant since the moment: a restore does not delete them.

-- The keys that an update has brought to a tenant from another, in the log's entries `l` from a transaction on for
-- which a condition holds.
create or replace function m23.arrived_keys(
  p_table m23.protected_tables, p_tenant text, p_from xid8, p_later text, p_held boolean default true
) returns text
language sql volatile set search_path = '' as $$
  select format('select %s from %s l where l.tenant_id = %s and l.op = ''a'' and %s',
                string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord),
                m23.log_of(p_table.id, p_tenant, p_from, p_held),
                m23.tenant_value(p_table, quote_literal(p_tenant)), p_later)
    from m23.columns_of(p_table.relid, p_of_key => true) c
$$;
revoke all on function m23.arrived_keys(m23.protected_tables, text, xid8, text, boolean) from public, anon,
  authenticated, service_role;

-- Leaves live rows that came from another tenant after the moment: they are not this
-- restore's to delete.
create or replace function m23.leave_arrived(p_target m23.target, p_tenant text) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_later text := m23.lies_after('l.xid', format('%L::m23.moment', p_target.moment));
begin
  if p_target.arrived is null and (p_target.moment).position is null then return 0; end if;
  return m23.leave_alone(p_target, 'd.m23_op = ''D'' and ' || m23.key_in((p_target.tbl).relid, 'd',
                   format('(%s)', coalesce(p_target.arrived,
                                           m23.arrived_keys(p_target.tbl, p_tenant, (p_target.moment).floor,
                                                            v_later)))));
end $$;
revoke all on function m23.leave_arrived(m23.target, text) from public, anon, authenticated, service_role;

-- What nobody can know of rows that an archive does not have and a restore deletes.
create or replace function m23.arrival_warnings(p_target m23.target, p_deletes bigint) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return case when p_target.arrived is null or p_deletes = 0
                or (p_target.moment).position is not null
                 and pg_visible_in_snapshot((p_target.tbl).xid, (p_target.moment).position) then '{}'
    else array[format('%s: the history before %s is missing; '
                      'whether rows that are deleted had come from another tenant before is not known',
                      m23.public_name((p_target.tbl).relid), m23.iso(m23.history_since(p_target.tbl)))] end;
end $$;
revoke all on function m23.arrival_warnings(m23.target, bigint) from public, anon, authenticated, service_role;

-- A lock that a hook did not get is not its failure: the restore holds the fence, waits for
-- nobody and tries again.
create or replace function m23.call_hook(p_hook m23.after_restore_hooks, p_tenant text, p_changes jsonb) returns text
language plpgsql set search_path = '' as $$
declare
  v_name    text := format('%I.%I', p_hook.schema_name, p_hook.function_name);
  v_fault   text := m23.hook_fault(p_hook.schema_name, p_hook.function_name);
  v_state   text;
  v_message text;
begin
  if v_fault is not null then
    perform m23.refuse_hook(v_name, 'no hook', 'it ' || v_fault);
  end if;
  begin
    execute format('select %s($1, $2)', v_name) using p_tenant, p_changes;
    return v_name;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(v_name, v_state, v_message);
end $$;
revoke all on function m23.call_hook(m23.after_restore_hooks, text, jsonb) from public, anon, authenticated,
  service_role;

-- Rows of any table, of any tenant, that refer to what has vanished.
create or replace function m23.check_children(p_targets m23.target[], p_target m23.target) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_key    pg_constraint;
  v_count  bigint;
  v_faults text[] := '{}';
begin
  for v_key in select * from m23.references_to((p_target.tbl).relid) loop
    v_count := m23.number_of(m23.path_with(p_targets, p_target, v_key.conrelid), format('
        select count(*) from pg_temp.m23_gone_%s g
         where exists (select from %s c where %s) and not exists (select from %s p where %s)',
      v_key.oid, m23.qualified_name(v_key.conrelid), m23.refers(v_key, 'g', 'c'),
      m23.qualified_name(v_key.confrelid), m23.alike_parents(v_key, 'p', 'g')));
    if v_count > 0 then v_faults := v_faults || m23.leaves_child(v_key, v_count); end if;
  end loop;
  return v_faults;
end $$;
revoke all on function m23.check_children(m23.target[], m23.target) from public, anon, authenticated, service_role;

-- Checks deferrable constraints: triggers keep them, which are silent, so that no write has run into them. What
-- another tenant has written since the plan, nobody has run into either: the plan is made anew.
create or replace function m23.check_deferrable(p_target m23.target, p_tenant text) returns void
language plpgsql set search_path = '' as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_rule  record;
  v_count bigint;
begin
  perform m23.wait_out_writers(v_table.relid) where exists (
    select from pg_constraint where conrelid = v_table.relid and contype in ('p', 'u', 'x') and condeferrable);
  for v_rule in
    select k.conname, i as index from pg_constraint k join pg_index i on i.indexrelid = k.conindid
     where k.conrelid = v_table.relid and k.contype in ('p', 'u', 'x') and k.condeferrable
  loop
    v_count := m23.number_of(p_target.path, m23.fill($sql$
        with live as (select r.ctid as m23_place, r.*, {parts} from {live} r where {predicate})
        select count(*) from live l join {diff} d on {same_key} and d.m23_op <> 'D'
          join live o on o.m23_place <> l.m23_place and {collide}$sql$,
      'parts', m23.index_parts(v_rule.index), 'live', m23.qualified_name(v_table.relid), 'diff', m23.diff_name(v_table),
      'predicate', coalesce(pg_get_expr((v_rule.index).indpred, v_table.relid), 'true'),
      'same_key', m23.key_match(v_table.relid, 'l', 'd'), 'collide', m23.collide(v_rule.index, 'l', 'o')));
    if v_count > 0 and m23.leave_claimed(p_target, p_tenant) > 0 then
      raise exception 'another tenant has taken a value meanwhile' using errcode = 'lock_not_available';
    elsif v_count > 0 then
      raise exception 'the restore would break "%"', v_rule.conname
        using errcode = 'unique_violation', table = m23.public_name(v_table.relid), constraint = v_rule.conname;
    end if;
  end loop;
end $$;
revoke all on function m23.check_deferrable(m23.target, text) from public, anon, authenticated, service_role;

-- Constraints that wait for the commit are checked now, while a hook can still be named.
create or replace function m23.check_hooks(p_called text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_state   text;
  v_message text;
begin
  begin
    set constraints all immediate;
    return;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(array_to_string(p_called, ', '), v_state, v_message);
end $$;
revoke all on function m23.check_hooks(text[]) from public, anon, authenticated, service_role;

-- Written rows whose parent does not exist; existing parents are locked against deletion. Of a key that is
-- NOT VALID, rows that were there may have referred to nothing before: the plan has seen to what they refer to now.
create or replace function m23.check_parents(p_targets m23.target[], p_target m23.target) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_key    pg_constraint;
  v_path   text;
  v_parent text;
  v_rows   text;
  v_match  text;
  v_count  bigint;
  v_faults text[] := '{}';
begin
  for v_key in
    select k.* from m23.references_from((p_target.tbl).relid) k
     where m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
  loop
    v_path := m23.path_with(p_targets, p_target, v_key.confrelid);
    v_parent := m23.qualified_name(v_key.confrelid);
    v_rows := m23.planned_rows(p_target.tbl, v_key.conrelid, '<>');
    v_match := m23.refers(v_key, 'p', 'd');
    perform m23.number_of(v_path, format('select count(*) from (
        select 1 from %s p where exists (select from %s d where %s) for key share of p nowait) locked',
      v_parent, v_rows, v_match));
    v_count := m23.number_of(v_path, format('
        select count(*) from %s d where row(%s) is not null and (d.m23_op in (''I'', ''T'') or %L)
           and not exists (select from %s p where %s)',
      v_rows, m23.columns_text(v_key.conrelid, v_key.conkey, 'd'), v_key.convalidated, v_parent, v_match));
    if v_count > 0 then v_faults := v_faults || m23.needs_parent(v_key, v_count); end if;
  end loop;
  return v_faults;
end $$;
revoke all on function m23.check_parents(m23.target[], m23.target) from public, anon, authenticated, service_role;

-- Checks what was written: foreign keys in both directions, deferrable constraints, then that nothing differs from the
-- plan any more. Takes sequences past the rows that came back. p_since: the log's place before the writing.
create or replace function m23.check_targets(
  p_tenant text, p_targets m23.target[], p_chosen m23.target[], p_since pg_lsn, p_quiet boolean
) returns void
language plpgsql set search_path = '' as $$
declare
  v_changed m23.target[] := m23.targets_with_changes(p_targets);
  v_target  m23.target;
  v_faults  text[] := '{}';
begin
  foreach v_target in array v_changed loop
    v_faults := v_faults || m23.check_parents(p_targets, v_target) || m23.check_children(p_targets, v_target);
    perform m23.check_deferrable(v_target, p_tenant);
  end loop;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_faults);
  end if;
  foreach v_target in array v_changed loop
    -- The defaults of a deep test's copies name the live tables' sequences.
    continue when not exists (select from m23.protected_tables t where t.relid = (v_target.tbl).relid);
    perform m23.advance_sequences((v_target.tbl).relid, v_target.columns, m23.diff_name(v_target.tbl), '');
  end loop;
  foreach v_target in array p_targets loop
    perform m23.refuse_difference(v_target, p_tenant) where not m23.is_as_written(v_target.tbl, p_tenant, p_since);
  end loop;
  if not (select bool_and(m23.writes_as_planned((t).tbl, p_quiet)) from unnest(v_changed) t) then
    perform m23.refuse_difference(t, p_tenant) from unnest(m23.written_beside(p_tenant, p_targets, p_chosen)) t;
  end if;
end $$;
revoke all on function m23.check_targets(text, m23.target[], m23.target[], pg_lsn, boolean) from public, anon,
  authenticated, service_role;

-- Whether a table is as it was planned, once it is written.

-- Whether a table is known to be as planned without a look at its rows: every planned row was written, and found stored
-- as it should be where triggers could have had a say, and nothing has been logged of the tenant's rows since the plan
-- but what that takes. Else some trigger has done more, or otherwise.
create or replace function m23.is_as_written(p_table m23.protected_tables, p_tenant text, p_since pg_lsn)
  returns boolean
language plpgsql set search_path = '' as $$
declare v_known boolean;
begin
  if to_regclass(m23.log_name(p_table.id)) is null then return false; end if;  -- a copy, whose changes nobody logs
  execute format('select p.written = d.changes and l.changes = d.changes from m23.plan p,
      (select count(*) + count(*) filter (where m23_op = ''R'') as changes from %s) d,
      (select count(*) as changes from %s log
        where tenant_id = %s and xid = pg_current_xact_id() and change_id >= $2) l where p.table_id = $3',
    m23.diff_name(p_table), m23.log_of(p_table.id, p_tenant, pg_current_xact_id()),
    m23.tenant_value(p_table, '$1')) into v_known
    using p_tenant, p_since, p_table.id;
  return v_known;
end $$;
revoke all on function m23.is_as_written(m23.protected_tables, text, pg_lsn) from public, anon, authenticated,
  service_role;

-- How many rows differ from what a target wants, but for those left alone; it is planned anew.
create or replace function m23.differs_still(p_target m23.target, p_tenant text) returns bigint
language plpgsql set search_path = '' as $$
declare v_rows bigint;
begin
  perform m23.plan_table(p_target, p_tenant);
  select c.inserts + c.updates + c.deletes - p.left_alone into v_rows
    from m23.count_diff(p_target.tbl) c, m23.plan p where p.table_id = (p_target.tbl).id;
  return v_rows;
end $$;
revoke all on function m23.differs_still(m23.target, text) from public, anon, authenticated, service_role;

-- Fails where a target is not as it is wanted, but for the rows that were left alone.
create or replace function m23.refuse_difference(p_target m23.target, p_tenant text) returns void
language plpgsql set search_path = '' as $$
begin
  if m23.differs_still(p_target, p_tenant) <> 0 then
    raise exception 'after the restore some rows of % are not as they should be', (p_target.tbl).relid::regclass;
  end if;
end $$;
revoke all on function m23.refuse_difference(m23.target, text) from public, anon, authenticated, service_role;

-- The targets among the chosen ones that were not planned, and that this transaction has written to all the same: by
-- triggers of the application, or rules.
create or replace function m23.written_beside(p_tenant text, p_targets m23.target[], p_chosen m23.target[])
  returns m23.target[]
language plpgsql set search_path = '' as $$
declare
  v_others int[] := array(select (t).tbl.id from unnest(p_chosen) t except select (t).tbl.id from unnest(p_targets) t);
  v_logged int[] := m23.logged_tables(v_others, p_tenant, pg_current_xact_id());
begin
  return m23.complete_targets(array(select t from unnest(p_chosen) t where ((t).tbl).id = any (v_logged)));
end $$;
revoke all on function m23.written_beside(text, m23.target[], m23.target[]) from public, anon, authenticated,
  service_role;

-- The condition that an index does not take two rows together, of which it holds these parts. Where nulls are equal,
-- whole rows are compared besides, if by the same operators: of two conditions with OR no join can be made but each
-- with each.
create or replace function m23.collide(p_index pg_index, p_left text, p_right text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_operators oid[] := (select k.conexclop from pg_constraint k
                         where k.conindid = p_index.indexrelid and k.contype in ('p', 'u', 'x'));
  v_parts     text;
  v_joined    text;
begin
  select string_agg(m23.fill(
             case when p_index.indnullsnotdistinct
                  then '({left} {operator} {right} or {left} is null and {right} is null)'
                else '{left} {operator} {right}' end,
             'left', format('%s.m23_e%s', p_left, n), 'right', format('%s.m23_e%s', p_right, n),
             'operator', coalesce((select format('operator(%I.%s)', s.nspname, o.oprname)
                                     from pg_operator o join pg_namespace s on s.oid = o.oprnamespace
                                    where o.oid = v_operators[n]),
                                  m23.equality(p_index.indexrelid, n))), ' and ' order by n),
         format('row(%s)::record operator(pg_catalog.=) row(%s)::record',
                string_agg(format('%s.m23_e%s', p_left, n), ', ' order by n),
                string_agg(format('%s.m23_e%s', p_right, n), ', ' order by n))
    into v_parts, v_joined
    from generate_series(1, p_index.indnkeyatts) n;
  return case when p_index.indnullsnotdistinct and not exists (
                  select from pg_opclass c where c.oid = any (p_index.indclass::oid[]) and not c.opcdefault)
              then v_joined || ' and ' || v_parts else v_parts end;
end $$;
revoke all on function m23.collide(pg_index, text, text) from public, anon, authenticated, service_role;

-- The indexes of a table, or of a partition alone, under which the rows of a plan can collide with others: unique ones,
-- and those of exclusion constraints. One over a column that the plan does not have cannot be hit by it.
create or replace function m23.colliding_indexes(p_target m23.target) returns setof pg_index
language plpgsql stable rows 2 set search_path = '' as $$
declare v_known text[] := p_target.columns || (m23.generated_columns(p_target)).names;
begin
  return query
  select i.* from m23.captured_relations((p_target.tbl).relid) c join pg_index i on i.indrelid = c.relid
   where (i.indisunique or i.indisexclusion) and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
     and not exists (
       select from pg_attribute a
        where a.attrelid = i.indrelid and a.attname <> all (v_known)
          and (a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) and a.attnum > 0 or exists (
            select from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass
               and d.refobjid = i.indrelid and d.refobjsubid = a.attnum and a.attnum > 0)));
end $$;
revoke all on function m23.colliding_indexes(m23.target) from public, anon, authenticated, service_role;

-- Whether an index is that of its table's key.
create or replace function m23.is_of_key(p_index pg_index) returns boolean
language plpgsql stable set search_path = '' as
$$ begin return p_index.indexrelid = m23.key_index(p_index.indrelid); end $$;
revoke all on function m23.is_of_key(pg_index) from public, anon, authenticated, service_role;

-- The generated columns that follow from those of the plan, as the end of a select list.
create or replace function m23.generated_columns(p_target m23.target, out names text[], out list text)
language plpgsql stable set search_path = '' as $$
begin
  select array_agg(a.attname::text),
         string_agg(format(', (%s)::%s as %I', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod),
                           a.attname), '')
    into names, list
    from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = (p_target.tbl).relid and a.attgenerated <> '' and not exists (
     select from pg_depend x join pg_attribute b on b.attrelid = a.attrelid and b.attnum = x.refobjsubid
      where x.classid = 'pg_attrdef'::regclass and x.objid = d.oid and x.refclassid = 'pg_class'::regclass
        and x.refobjid = a.attrelid and b.attnum <> a.attnum and b.attname <> all (p_target.columns));
end $$;
revoke all on function m23.generated_columns(m23.target) from public, anon, authenticated, service_role;

-- What an index holds of a row, the only one in sight.
create or replace function m23.index_parts(p_index pg_index) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(p_index.indexrelid, n, true), n), ', ' order by n)
            from generate_series(1, p_index.indnkeyatts) n);
end $$;
revoke all on function m23.index_parts(pg_index) from public, anon, authenticated, service_role;

-- Columns of a live row `l` with the expressions that are wanted for them, and what tells two of
-- them apart. `value`: their type's equality, as none of its values is stored in two ways; that is
-- quickest. `image`: what is stored. `text`: for where two images may stand for one value; it costs
-- ten times as much.
create or replace function m23.compared(p_table m23.protected_tables, p_columns text[], p_wanted text[])
returns table (live text, wanted text, by text)
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query
  select format(f.form, format('l.%I', c.name)), format(f.form, c.expression), f.by
    from rows from (unnest(p_columns), unnest(p_wanted)) c (name, expression)
    join pg_attribute a on a.attrelid = p_table.relid and a.attname = c.name
    join pg_type t on t.oid = a.atttypid
    cross join lateral (select case
        when a.atttypid = any (array['text', 'varchar']::regtype[]::oid[])
          then '(%s)::pg_catalog.text collate pg_catalog."C"'
        when t.typtype = 'd' then '(%s)::' || m23.type_with_nulls(a.attrelid, a.attnum) else '%s' end, case
        when a.atttypid = any (array['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp',
                                     'timestamptz', 'text', 'varchar', 'bytea']::regtype[]::oid[]) then 'value'
        when a.atttypid = any (array['bpchar', 'json']::regtype[]::oid[]) then 'image'
        else 'text' end) f (form, by);
end $$;
revoke all on function m23.compared(m23.protected_tables, text[], text[]) from public, anon, authenticated,
  service_role;

-- Converge: the one primitive behind every restore. It makes a tenant's tables what they
-- should be, and touches nothing else:
--
--   plan      the difference between what is and what should be
--   apply     only the difference, every write with the tenant in it
--   check     foreign keys in both directions, then that nothing differs any more

-- The targets whose plan is not empty.
create or replace function m23.targets_with_changes(p_targets m23.target[]) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(array_agg(t), '{}') from unnest(p_targets) t
            join m23.plan p on p.table_id = (t).tbl.id and p.inserts + p.updates + p.deletes > 0);
end $$;
revoke all on function m23.targets_with_changes(m23.target[]) from public, anon, authenticated, service_role;

-- Makes the targets what they should be. With a plan hash: only if that is still the plan.
-- Changed rows are few among many: the planner should think well of indexes, and knows too little
-- of them to compile anything.
-- Gives `{"stats", "warnings"}`.
create or replace function m23.converge(p_tenant text, p_targets m23.target[], p_plan_hash text, p_work uuid)
  returns jsonb
language plpgsql set search_path = '' set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_since    pg_lsn := pg_current_wal_insert_lsn();
  v_plan     record;
  v_targets  m23.target[];
  v_alone    boolean;
  v_quiet    boolean;
  v_warnings text[] := '{}';
begin
  v_plan := m23.plan_all(p_tenant, p_targets, p_lock => true);
  v_targets := v_plan.targets;
  v_alone := not m23.sets_off(v_targets);
  if p_plan_hash is not null then
    if p_plan_hash <> m23.plan_hash(p_tenant, v_targets) then
      perform m23.refuse('PLAN_CHANGED', 'the data has changed since the plan was made; look at a new plan first');
    end if;
  end if;
  if cardinality(v_plan.faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_plan.faults);
  end if;
  if not v_alone then
    v_warnings := m23.check_triggers(v_targets);
  end if;
  perform m23.stop_if_cancelled(p_work);
  v_quiet := v_alone or current_setting('session_replication_role') = 'replica' and cardinality(v_warnings) = 0;
  begin
    perform m23.apply_targets(p_tenant, v_targets, v_quiet);
    perform m23.check_targets(p_tenant, v_targets, p_targets, v_since, v_quiet);
  exception when data_exception or integrity_constraint_violation then
    perform m23.refuse_rows(m23.broken_rules(p_tenant, v_targets));
    raise;
  end;
  -- Back again: foreign keys cascade by triggers, M23's own as well.
  perform set_config('session_replication_role', v_role, true)
    where v_role <> current_setting('session_replication_role');
  perform m23.run_after_restore(p_tenant);
  perform m23.stop_if_cancelled(p_work);
  return m23.plan_report(v_warnings);
end $$;
revoke all on function m23.converge(text, m23.target[], text, uuid) from public, anon, authenticated, service_role;

-- Has the tenant to itself, or tries again: it waits for the fence while it holds
-- nothing, and once it holds the fence it waits for nobody. Rolling the attempt back
-- gives everything back, the fence too. After a first failure the rows are taken right
-- after the fence: while a plan is made, more writers could come to hold some.
create or replace function m23.converge_fenced(
  p_tenant text, p_targets m23.target[], p_plan_hash text, p_snapshot uuid, p_work uuid
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_wait     int := m23.setting('restore_wait_seconds')::int;
  v_deadline timestamptz := clock_timestamp() + make_interval(secs => v_wait);
  v_again    boolean := false;
  v_early    m23.target[];
begin
  loop
    begin
      perform set_config('lock_timeout', v_wait || 's', true);
      if v_again then v_early := m23.plan_early(p_tenant, p_targets); end if;
      perform m23.await_fence(p_tenant, p_work, v_deadline);
      -- Long enough for the space that a busy table or log grows by, and shorter than the
      -- server takes to look for deadlocks: nobody else becomes a victim.
      perform set_config('lock_timeout', '200ms', true);
      if v_again then perform m23.lock_early(p_tenant, v_early); end if;
      update public.pitr_snapshots set snapshot_data = snapshot_data || m23.snapshot_here() where id = p_snapshot;
      return m23.converge(p_tenant, p_targets, p_plan_hash, p_work);
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > v_deadline then
        perform m23.refuse('UNAVAILABLE',
          format('other transactions held rows of this tenant for %s seconds; nothing was changed, try again', v_wait));
      end if;
    end;
    v_again := true;
    perform m23.stop_if_cancelled(p_work);
    perform pg_sleep(0.02);
  end loop;
end $$;
revoke all on function m23.converge_fenced(text, m23.target[], text, uuid, uuid) from public, anon, authenticated,
  service_role;

-- A sum over the planned rows of a table and those that they would replace. What live rows keep is among the latter; a
-- default or a function that fills may give another value each time.
create or replace function m23.digest_of(p_target m23.target, p_tenant text) returns text
language plpgsql set search_path = '' as $$
declare
  v_query text := m23.fill($sql$
    select pg_catalog.concat_ws(':', count(*), sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(
             chr(30), row(m23_d.m23_op, {columns})::text, m23_l::text), 0::bigint)::numeric))
      from {diff} m23_d left join (select * from {live} r where {is_tenants}) m23_l on {same_key}$sql$,
    'columns', (select string_agg(format('m23_d.%I', c), ', ') from unnest(p_target.columns) c
                 where c <> all (p_target.kept || m23.filled_columns(p_target.tbl))),
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'is_tenants', m23.is_tenants(p_target.tbl, 'r', quote_literal(p_tenant)),
    'same_key', m23.key_match((p_target.tbl).relid, 'm23_l', 'm23_d'));
  v_sum text;
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_sum;
  return v_sum;
end $$;
revoke all on function m23.digest_of(m23.target, text) from public, anon, authenticated, service_role;

-- Checks that planned rows do not pass.
create or replace function m23.failed_checks(p_target m23.target) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_check record;
  v_rows  bigint;
begin
  for v_check in
    select k.conname, pg_get_expr(k.conbin, k.conrelid) as expression, pg_get_constraintdef(k.oid) as definition
      from pg_constraint k
     where k.conrelid = (p_target.tbl).relid and k.contype = 'c' and m23.is_enforced(k) order by k.conname
  loop
    v_rows := m23.rows_where(p_target, format('not (%s)', v_check.expression));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break the constraint "%s": %s; they can come back once it allows them',
                         m23.public_name((p_target.tbl).relid), v_rows, v_check.conname, v_check.definition);
    end if;
  end loop;
end $$;
revoke all on function m23.failed_checks(m23.target) from public, anon, authenticated, service_role;

-- How the columns of a table or of its partitions take their values from sequences: by their defaults, or those of
-- their domains, or as their own (identity, serial).
create or replace function m23.feeds_of(p_relid oid, p_columns text[]) returns setof m23.feed
language plpgsql stable rows 2 set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query
  with feeding as (
    select d.adrelid as relid, d.adnum as attnum, 'pg_attrdef'::regclass as class, d.oid as id, n.refobjid as sequence
      from pg_attrdef d join pg_depend n on n.classid = 'pg_attrdef'::regclass and n.objid = d.oid
     where d.adrelid = any (v_relids) and n.refclassid = 'pg_class'::regclass
    union all
    select a.attrelid, a.attnum, 'pg_type', t.oid, n.refobjid
      from pg_attribute a join pg_type t on t.oid = a.atttypid and t.typtype = 'd'
      join pg_depend n on n.classid = 'pg_type'::regclass and n.objid = t.oid
     where a.attrelid = any (v_relids) and a.attnum > 0 and not a.atthasdef and n.refclassid = 'pg_class'::regclass
    union all
    select o.refobjid, o.refobjsubid, null, null, o.objid
      from pg_depend o
     where o.refclassid = 'pg_class'::regclass and o.refobjid = any (v_relids) and o.refobjsubid > 0
       and o.classid = 'pg_class'::regclass and o.deptype in ('a', 'i'))
  select distinct f.sequence, a.attname::text, b.base, format_type(b.base, a.atttypmod), n.around
    from feeding f join pg_class s on s.oid = f.sequence and s.relkind = 'S'
    join pg_attribute a on a.attrelid = f.relid and a.attnum = f.attnum and a.attgenerated = ''
    cross join lateral (select m23.base_of(a.atttypid) offset 0) b (base)
    cross join lateral (select case when f.id is null then '{"",""}'
                                    else m23.around_nextval(f.class, f.id, f.sequence) end offset 0) n (around)
   where a.attname = any (p_columns) and n.around is not null;
end $$;
revoke all on function m23.feeds_of(oid, text[]) from public, anon, authenticated, service_role;

-- The function of a fill; null where it is no longer there.
create or replace function m23.fill_function(p_fill m23.fills) returns regprocedure
language plpgsql stable set search_path = '' as $$
begin
  return to_regprocedure(format('%I.%I(%s)', p_fill.schema_name, p_fill.function_name, case when p_fill.takes_row then
    (select m23.qualified_name(t.relid) from m23.protected_tables t where t.id = p_fill.table_id) end));
end $$;
revoke all on function m23.fill_function(m23.fills) from public, anon, authenticated, service_role;

-- The call of a column's function for a wanted row `w` with some columns; null where it has none.
create or replace function m23.fill_call(p_table m23.protected_tables, p_attnum int2, p_columns text[]) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%I.%I(%s)::%s', f.schema_name, f.function_name,
                        case when f.takes_row then m23.row_of_table(p_table.relid, p_columns) end,
                        format_type(a.atttypid, a.atttypmod))
            from m23.fills f join pg_attribute a on a.attrelid = p_table.relid and a.attnum = f.attnum
           where f.table_id = p_table.id and f.attnum = p_attnum and m23.fill_function(f) is not null);
end $$;
revoke all on function m23.fill_call(m23.protected_tables, int2, text[]) from public, anon, authenticated, service_role;

-- A wanted row `w`, which has some columns, as a row of its table.
create or replace function m23.row_of_table(p_relid oid, p_columns text[]) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('row(%s)::%s', string_agg(
                   case when a.attisdropped or a.attname <> all (p_columns) then 'null'
                        else format('w.%I', a.attname) end,
                   ', ' order by a.attnum) filter (where not a.attisdropped), m23.qualified_name(p_relid))
            from pg_attribute a where a.attrelid = p_relid and a.attnum > 0);
end $$;
revoke all on function m23.row_of_table(oid, text[]) from public, anon, authenticated, service_role;

-- What the database itself gives a column in a new row; null for nothing.
create or replace function m23.default_of(p_relid oid, p_attnum int2) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when a.attidentity <> '' then
                   format('nextval(%L::regclass)', pg_get_serial_sequence(m23.qualified_name(p_relid), a.attname))
                 else (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
                        where d.adrelid = p_relid and d.adnum = p_attnum) end
            from pg_attribute a where a.attrelid = p_relid and a.attnum = p_attnum);
end $$;
revoke all on function m23.default_of(oid, int2) from public, anon, authenticated, service_role;

-- The value that a column gets in a wanted row `w` that has none: that of its function, else its default, where it must
-- have a value or the row comes from an archive, which cannot have said that it had none.
create or replace function m23.filled(
  p_table m23.protected_tables, p_attnum int2, p_columns text[], p_archive boolean
) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_column pg_attribute;
  v_fill   text := m23.fill_call(p_table, p_attnum, p_columns);
begin
  if v_fill is not null then return v_fill; end if;
  select * into v_column from pg_attribute where attrelid = p_table.relid and attnum = p_attnum;
  if not (v_column.attnotnull or p_archive) then return null; end if;
  return '(' || m23.default_of(p_table.relid, p_attnum) || ')::' || format_type(v_column.atttypid, v_column.atttypmod);
end $$;
revoke all on function m23.filled(m23.protected_tables, int2, text[], boolean) from public, anon, authenticated,
  service_role;

-- A value, or another one where it is null and there is another one.
create or replace function m23.or_else(p_value text, p_other text) returns text
language plpgsql immutable set search_path = '' as
$$ begin return case when p_other is null then p_value else format('coalesce(%s, %s)', p_value, p_other) end; end $$;
revoke all on function m23.or_else(text, text) from public, anon, authenticated, service_role;

-- What a restore would break of foreign keys, in both directions: foreseen from the plan, which is what a dry run says
-- and what spares a restore the writing; and noted for the check after it.

-- What to do about a table that was not chosen.
create or replace function m23.advice_for_table(p_relid oid, p_otherwise text) returns text
language sql stable set search_path = '' as $$
  select format(case when exists (select from m23.protected_tables t where t.relid = m23.root_of(p_relid))
                     then 'add "%s"' else '"%s" is not protected: %s' end,
                m23.public_name(m23.root_of(p_relid)), p_otherwise)
$$;
revoke all on function m23.advice_for_table(oid, text) from public, anon, authenticated, service_role;

-- What to say of planned rows that refer to rows which do not exist.
create or replace function m23.needs_parent(p_key pg_constraint, p_rows bigint) returns text
language sql stable set search_path = '' as $$
  select format('tables: %s row(s) of "%s" need rows of "%s" that do not exist; %s', p_rows,
                m23.public_name(p_key.conrelid), m23.public_name(p_key.confrelid),
                m23.advice_for_table(p_key.confrelid, 'put them back first'))
$$;
revoke all on function m23.needs_parent(pg_constraint, bigint) from public, anon, authenticated, service_role;

-- What to say of rows that would go and that others refer to.
create or replace function m23.leaves_child(p_key pg_constraint, p_rows bigint) returns text
language sql stable set search_path = '' as $$
  select format('tables: %s row(s) of "%s" would go, and rows of "%s" need them; %s', p_rows,
                m23.public_name(p_key.confrelid), m23.public_name(p_key.conrelid),
                m23.advice_for_table(p_key.conrelid, 'take them away first'))
$$;
revoke all on function m23.leaves_child(pg_constraint, bigint) from public, anon, authenticated, service_role;

-- The rows that the plan of a table lets go (`=`) or will be there (`<>`), as far as they are in a partition.
create or replace function m23.planned_rows(p_table m23.protected_tables, p_partition oid, p_are_d text) returns text
language plpgsql stable strict set search_path = '' as $$
begin
  return format('(select ctid, * from %s where m23_op %s ''D'' and %s)',
                m23.diff_name(p_table), p_are_d, m23.partition_condition(p_partition));
end $$;
revoke all on function m23.planned_rows(m23.protected_tables, oid, text) from public, anon, authenticated, service_role;

-- What is about to vanish as the target of a foreign key, kept for check_children.
create or replace function m23.note_vanishing(p_target m23.target, p_tenant text) returns void
language plpgsql set search_path = '' as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_key   pg_constraint;
begin
  for v_key in select * from m23.references_to(v_table.relid) loop
    perform m23.run(p_target.path, format('create temp table m23_gone_%s on commit drop as
        select distinct %s from %s l join %s d on %s where %s and d.m23_op <> ''I''',
      v_key.oid, m23.columns_text(v_key.confrelid, v_key.confkey, 'l'), m23.qualified_name(v_key.confrelid),
      m23.diff_name(v_table), m23.key_match(v_table.relid, 'l', 'd'), m23.is_planned(v_table, p_tenant)));
  end loop;
end $$;
revoke all on function m23.note_vanishing(m23.target, text) from public, anon, authenticated, service_role;

-- The condition that a planned row `d` goes and a row that stays needs it. The rows that go are few: from them
-- to those that refer to them.
create or replace function m23.leaves_need(p_targets m23.target[], p_target m23.target, p_key pg_constraint)
  returns text
language plpgsql stable set search_path = '' as $$
declare
  v_child m23.target := m23.planned_target(p_targets, p_key.conrelid);
begin
  return format('d.ctid in (select g.ctid from %s)', concat_ws(' and ',
    format('%s g join %s c on %s', m23.planned_rows(p_target.tbl, p_key.confrelid, '='),
           m23.qualified_name(p_key.conrelid), m23.refers(p_key, 'g', 'c')),
    'not exists (select from ' || m23.diff_name(v_child.tbl) || ' x where ' || m23.key_match(p_key.conrelid, 'x', 'c')
      || ' and (x.m23_op = ''D'' or (' || m23.alike_children(p_key, 'x', 'c') || ') is not true))',
    format('not exists (select from %s p where %s)', m23.planned_rows(p_target.tbl, p_key.confrelid, '<>'),
           m23.alike_parents(p_key, 'p', 'g'))));
end $$;
revoke all on function m23.leaves_need(m23.target[], m23.target, pg_constraint) from public, anon, authenticated,
  service_role;

-- The foreign keys that the plan of a table may break, each with its condition: it `needs` rows of the other
-- table, or the other table needs its rows.
create or replace function m23.references_at_risk(p_tenant text, p_targets m23.target[], p_target m23.target)
returns table (key pg_constraint, needs boolean, other oid, condition text)
language plpgsql stable rows 5 set search_path = '' as $$
declare v_plan record;
begin
  select p.inserts + p.updates as writes, p.deletes into v_plan from m23.plan p where p.table_id = (p_target.tbl).id;
  return query
    select k, true, k.confrelid, m23.lacks_parent(p_tenant, p_targets, p_target, k)
      from m23.references_from((p_target.tbl).relid) k
     where v_plan.writes > 0 and m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
    union all
    select k, false, k.conrelid, m23.leaves_need(p_targets, p_target, k) from m23.references_to((p_target.tbl).relid) k
     where v_plan.deletes > 0 and m23.columns_planned(k.confrelid, k.confkey, p_target.columns);
end $$;
revoke all on function m23.references_at_risk(text, m23.target[], m23.target) from public, anon, authenticated,
  service_role;

-- Foreign keys: a restore that silences triggers has to keep them by itself. A key over partitioned tables has
-- constraints for their partitions as well, which are parts of its own (conparentid): the root's says it all. A key
-- that is a partition's alone is one in its own right.

-- The foreign keys of a table, or of partitions of it, that are kept.
create or replace function m23.references_from(p_relid oid) returns setof pg_constraint
language plpgsql stable rows 2 set search_path = '' as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query select k.* from pg_constraint k
    where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any (v_relids) and m23.is_enforced(k);
end $$;
revoke all on function m23.references_from(oid) from public, anon, authenticated, service_role;

-- The foreign keys that refer to a table, or to partitions of it, and are kept.
create or replace function m23.references_to(p_relid oid) returns setof pg_constraint
language plpgsql stable rows 2 set search_path = '' as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query select k.* from pg_constraint k
    where k.contype = 'f' and k.conparentid = 0 and k.confrelid = any (v_relids) and m23.is_enforced(k);
end $$;
revoke all on function m23.references_to(oid) from public, anon, authenticated, service_role;

-- The table that a partition is part of; another table is its own.
create or replace function m23.root_of(p_relid oid) returns oid
language plpgsql stable strict set search_path = '' as
$$ begin return coalesce(pg_partition_root(p_relid), p_relid); end $$;
revoke all on function m23.root_of(oid) from public, anon, authenticated, service_role;

-- The condition that a row, the only one in sight, is one of a partition: always, of another table.
create or replace function m23.partition_condition(p_relid oid) returns text
language plpgsql stable strict set search_path = '' as
$$ begin return coalesce(pg_get_partition_constraintdef(p_relid), 'true'); end $$;
revoke all on function m23.partition_condition(oid) from public, anon, authenticated, service_role;

-- Columns by their numbers, each with an alias before it, as a list.
create or replace function m23.columns_text(p_relid oid, p_attnums int2[], p_alias text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('%s.%I', p_alias, a.attname), ', ' order by n.ord)
            from unnest(p_attnums) with ordinality n (attnum, ord)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = n.attnum);
end $$;
revoke all on function m23.columns_text(oid, int2[], text) from public, anon, authenticated, service_role;

-- The condition that the columns of two rows agree by these operators, one for each pair of columns. A foreign
-- key has its own: by name alone, `=` would compare citext as text, and for ltree there would be none.
create or replace function m23.columns_agree(
  p_operators oid[], p_left text, p_left_relid oid, p_left_attnums int2[],
  p_right text, p_right_relid oid, p_right_attnums int2[]
) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('%s.%I operator(%I.%s) %s.%I',
             p_left, l.attname, n.nspname, o.oprname, p_right, r.attname), ' and ' order by u.n)
      from unnest(p_operators, p_left_attnums, p_right_attnums) with ordinality u (operator, left_num, right_num, n)
      join pg_operator o on o.oid = u.operator join pg_namespace n on n.oid = o.oprnamespace
      join pg_attribute l on l.attrelid = p_left_relid and l.attnum = u.left_num
      join pg_attribute r on r.attrelid = p_right_relid and r.attnum = u.right_num);
end $$;
revoke all on function m23.columns_agree(oid[], text, oid, int2[], text, oid, int2[]) from public, anon, authenticated,
  service_role;

-- The condition that a child refers to a parent, each given by its alias.
create or replace function m23.refers(k pg_constraint, p_parent text, p_child text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return m23.columns_agree(k.conpfeqop, p_parent, k.confrelid, k.confkey, p_child, k.conrelid, k.conkey);
end $$;
revoke all on function m23.refers(k pg_constraint, text, text) from public, anon, authenticated, service_role;

-- The condition that two parents are one to a child.
create or replace function m23.alike_parents(k pg_constraint, p_left text, p_right text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return m23.columns_agree(k.conppeqop, p_left, k.confrelid, k.confkey, p_right, k.confrelid, k.confkey);
end $$;
revoke all on function m23.alike_parents(k pg_constraint, text, text) from public, anon, authenticated, service_role;

-- The condition that two children refer to one parent.
create or replace function m23.alike_children(k pg_constraint, p_left text, p_right text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return m23.columns_agree(k.conffeqop, p_left, k.conrelid, k.conkey, p_right, k.conrelid, k.conkey);
end $$;
revoke all on function m23.alike_children(k pg_constraint, text, text) from public, anon, authenticated, service_role;

-- Whether a plan has all of these columns.
create or replace function m23.columns_planned(p_relid oid, p_attnums int2[], p_columns text[]) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select bool_and(a.attname = any (p_columns)) from pg_attribute a
           where a.attrelid = p_relid and a.attnum = any (p_attnums));
end $$;
revoke all on function m23.columns_planned(oid, int2[], text[]) from public, anon, authenticated, service_role;

-- Why an execution of what is planned would be refused, as `{"code", "error", "details"}`, null where it would not; and
-- what it would say of triggers.
create or replace function m23.foresee(
  p_tenant text, p_targets m23.target[], p_unfit text[], out refusal jsonb, out warnings text[]
)
language plpgsql set search_path = '' as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_silenced boolean := true;
  v_rules    text[] := p_unfit || m23.broken_rules(p_tenant, p_targets);
begin
  warnings := '{}';
  if m23.sets_off(p_targets) then
    v_silenced := m23.silence_triggers();
    warnings := m23.trigger_sentences(p_targets, v_silenced);
    perform set_config('session_replication_role', v_role, true)
      where v_role <> current_setting('session_replication_role');
  end if;
  refusal := case
    when exists (select from m23.restore_work w where w.tenant_id = p_tenant and w.kind <> 'test' and not w.dry_run)
      then m23.refusal_told('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running')
    when not v_silenced and warnings <> '{}'
      then m23.refusal_told('VALIDATION_FAILED', 'the restore cannot be made as asked', warnings)
    when v_rules <> '{}'
      then m23.refusal_told('CONFLICT', m23.rules_sentence(), v_rules) end;
  if not v_silenced then warnings := '{}'; end if;
end $$;
revoke all on function m23.foresee(text, m23.target[], text[]) from public, anon, authenticated, service_role;

-- How far the numbers of a sequence go in a column that has them within a text, as by 'INV-' || nextval(…): of the
-- numbers that a value could hold, the last one that gives the same value again.
create or replace function m23.furthest_within(p_rows text, p_path text, p_feed m23.feed, p_sequence pg_sequence)
  returns numeric
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_path, m23.fill($sql$
    select c.n from (
        select n.n, v.v from (select {column}::{type}::text as v from {rows}) v, lateral (
               select distinct right(m.digits[1], k)::numeric as n
                 from regexp_matches(v.v, '[0-9]+', 'g') m (digits), generate_series(1, length(m.digits[1])) k) n
         where n.n between {least} and {greatest} order by n.n {order} offset 0) c
     where ({before}(c.n::bigint){after})::{type}::text = c.v limit 1$sql$,
    'column', quote_ident(p_feed.column_name), 'type', p_feed.type_name, 'rows', p_rows,
    'least', p_sequence.seqmin::text, 'greatest', p_sequence.seqmax::text,
    'order', case when p_sequence.seqincrement > 0 then 'desc' else 'asc' end,
    'before', p_feed.around[1], 'after', p_feed.around[2]));
exception when data_exception then return null;  -- a number that the default was not made for
end $$;
revoke all on function m23.furthest_within(text, text, m23.feed, pg_sequence) from public, anon, authenticated,
  service_role;

-- Why a function cannot be called as a hook; null when it can. Called plainly from M23's
-- functions, one that is not SECURITY DEFINER runs with the rights of M23's owner, so nobody
-- with fewer may be able to replace it.
create or replace function m23.hook_fault(p_schema text, p_function text) returns text
language sql stable set search_path = '' as $$
  select case
      when p.oid is null and to_regprocedure(format('%I.%I(uuid, jsonb)', p_schema, p_function)) is not null
        then 'takes the tenant as a uuid; tenants are named by text now: make it take (tenant text, changes jsonb)'
      when p.oid is null then 'does not exist with the arguments (tenant text, changes jsonb)'
      when p.prokind <> 'f' then 'is not a plain function'
      when not p.prosecdef and not pg_has_role(p.proowner, n.nspowner, 'member')
        then format('belongs to %s and would run with the rights of %s; make it SECURITY DEFINER', p.proowner::regrole,
                    n.nspowner::regrole)
      when not has_function_privilege(n.nspowner, p.oid, 'execute')
        then format('may not be executed by %s', n.nspowner::regrole) end
    from pg_namespace n
    left join pg_proc p on p.oid = to_regprocedure(format('%I.%I(text, jsonb)', p_schema, p_function))
   where n.nspname = 'm23'
$$;
revoke all on function m23.hook_fault(text, text) from public, anon, authenticated, service_role;

create or replace function m23.drop_after_restore(
  p_table regclass, p_function regprocedure, p_tenant text default null
) returns void
language plpgsql set search_path = '' as $$
begin
  delete from m23.after_restore_hooks h using pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where p.oid = p_function and h.schema_name = n.nspname and h.function_name = p.proname
     and h.relid is not distinct from p_table and h.tenant_id is not distinct from p_tenant;
  if not found then
    raise exception '% is no such after_restore hook', p_function
      using errcode = 'undefined_object', hint = 'See m23.after_restore_hooks.';
  end if;
end $$;
comment on function m23.drop_after_restore(regclass, regprocedure, text) is
  'Takes back what m23.set_after_restore has set with the same arguments.';
revoke all on function m23.drop_after_restore(regclass, regprocedure, text) from public, anon, authenticated,
  service_role;

-- Fails in words that name the hook. What it said itself is for the log: it may tell more
-- than the caller may know.
create or replace function m23.refuse_hook(p_hook text, p_state text, p_message text) returns void
language plpgsql set search_path = '' as $$
begin
  raise log 'm23: the after_restore hook % failed: % (%)', p_hook, p_message, p_state;
  perform m23.refuse('UNAVAILABLE',
    format('the after_restore hook %s failed, so the restore was taken back; nothing was changed', p_hook),
    array[format('hook: %s; its message is in the database''s log', p_hook)]);
end $$;
revoke all on function m23.refuse_hook(text, text, text) from public, anon, authenticated, service_role;

-- Inserts the missing rows of the plan; gives how many are known to be stored as planned.
create or replace function m23.insert_diff(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_rows bigint;
  v_live text := m23.qualified_name((p_target.tbl).relid);
  v_diff text := m23.diff_name(p_target.tbl);
  v_list text := (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c);
begin
  v_rows := m23.run(p_target.path, format('insert into %s (%s) overriding system value
      select %s from %s d where m23_op in (''I'', ''R'') and %s',
    v_live, v_list, v_list, v_diff, m23.belongs_to(p_target.tbl, 'd', quote_literal(p_tenant))));
  if m23.writes_as_planned(p_target.tbl, p_quiet) then return v_rows; end if;
  return m23.number_of(p_target.path, format('
      select count(*) from %s d join %s l on %s where d.m23_op in (''I'', ''R'') and %s and %s',
    v_diff, v_live, m23.key_match((p_target.tbl).relid, 'l', 'd'),
    m23.is_tenants(p_target.tbl, 'l', quote_literal(p_tenant)), m23.is_stored_as_planned(p_target)));
end $$;
revoke all on function m23.insert_diff(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Keeps the plan within the foreign keys. A planned row that would break one is left alone where the
-- other table is planned as well: then that row is another tenant's, or was left itself. Else a choice
-- of more tables would help: gives such faults, each naming what to add.
create or replace function m23.keep_references(p_tenant text, p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_broken record;
  v_path   text;
  v_count  bigint;
  v_left   bigint;
  v_faults text[];
begin
  loop  -- until nothing more hangs on what was left
    v_left := 0;
    v_faults := '{}';
    foreach v_target in array p_targets loop
      for v_broken in select * from m23.references_at_risk(p_tenant, p_targets, v_target) loop
        v_path := m23.path_with(p_targets, v_target, v_broken.other);
        v_count := m23.number_of(v_path, format('select count(*) from %s d where %s',
                                                m23.diff_name(v_target.tbl), v_broken.condition));
        if v_count = 0 then continue; end if;
        if m23.is_among(p_targets, m23.root_of(v_broken.other)) then
          v_left := v_left + m23.note_left(v_target, m23.leave_alone(v_target, v_broken.condition, v_path));
        else
          v_faults := v_faults
            || case when v_broken.needs then m23.needs_parent(v_broken.key, v_count)
                    else m23.leaves_child(v_broken.key, v_count) end;
        end if;
      end loop;
    end loop;
    exit when v_left = 0;
  end loop;
  return v_faults;
end $$;
revoke all on function m23.keep_references(text, m23.target[]) from public, anon, authenticated, service_role;

-- The condition that a planned row `d` comes to refer to a row that there will not be. One of the tenant's
-- that was left, because another tenant has its key now, is none either: nothing is hung on that tenant's row.
-- It is a set of places, found by joins: a condition with OR would be asked of one row after the other. What is null
-- (of a table that is not planned) falls away.
create or replace function m23.lacks_parent(
  p_tenant text, p_targets m23.target[], p_target m23.target, p_key pg_constraint
) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_parent m23.target := m23.planned_target(p_targets, p_key.confrelid);
  v_comes  text := m23.planned_rows((v_parent).tbl, p_key.confrelid, '<>');
  v_goes   text := m23.diff_name((v_parent).tbl);
  v_left   text := to_regclass('pg_temp.m23_left_' || (v_parent.tbl).id);
  v_match  text := m23.refers(p_key, 'p', 'n');
  v_live   text := format('select from %s p where %s', m23.qualified_name(p_key.confrelid), v_match);
  v_needs  text := concat_ws(' and ',
    format('select n.ctid from %s n where row(%s) is not null', m23.planned_rows(p_target.tbl, p_key.conrelid, '<>'),
           m23.columns_text(p_key.conrelid, p_key.conkey, 'n')),
    format('not exists (select from %s l where %s and %s)', m23.qualified_name(p_key.conrelid),
           m23.key_match(p_key.conrelid, 'l', 'n'), m23.alike_children(p_key, 'l', 'n')),
    'not exists (select from ' || v_comes || ' p where ' || v_match || ')');
begin
  return format('d.ctid in (%s)', concat_ws(' union all ',
    format('%s and not exists (%s)', v_needs, concat_ws(' and ', v_live,
      'not exists (select from ' || v_goes || ' x where x.m23_op = ''D'' and '
        || m23.key_match(p_key.confrelid, 'x', 'p') || ')')),
    v_needs || ' and exists (select from (select * from ' || v_left || ' where m23_op <> ''D'' and '
      || m23.partition_condition(p_key.confrelid) || ') p where ' || v_match || ') and not exists (' || v_live
        || ' and '
      || m23.is_tenants(v_parent.tbl, 'p', quote_literal(p_tenant)) || ')'));
end $$;
revoke all on function m23.lacks_parent(text, m23.target[], m23.target, pg_constraint) from public, anon, authenticated,
  service_role;

-- Leaves the rows that an index does not take together with one that stays as it is. p_inserting: some are missing;
-- an update keeps its key.
create or replace function m23.leave_claimed(p_target m23.target, p_tenant text, p_inserting boolean default true)
  returns bigint
language plpgsql set search_path = '' as $$
declare
  v_index     pg_index;
  v_generated text := coalesce((m23.generated_columns(p_target)).list, '');
  v_stays     text[];
  v_left      bigint := 0;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where p_inserting or not m23.is_of_key(i) loop
    v_stays := m23.conditions_to_stay(p_target, p_tenant);  -- with what was left for the index before
    v_left := v_left + m23.leave_alone(p_target, m23.fill($sql$d.m23_op <> 'D' and d.ctid in (
        select m.m23_row from (
          select r.m23_row, {parts} from (select r.ctid as m23_row, r.*{generated} from {diff} r) r
           where r.m23_op {ops} and {within} and {predicate}) m
          join ({standing}) o on {collide})$sql$,
      'parts', m23.index_parts(v_index), 'diff', m23.diff_name(p_target.tbl),
      'generated', v_generated, 'within', m23.partition_condition(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'standing', (select string_agg(m23.fill('select {parts} from {live} r where {stays} and {predicate}',
          'parts', m23.index_parts(v_index), 'live', m23.qualified_name(v_index.indrelid), 'stays', c,
          'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true')), ' union all ')
                      from unnest(v_stays) c),
      'collide', m23.collide(v_index, 'm', 'o'),
      'ops', case when m23.is_of_key(v_index) then '= ''I''' else '<> ''D''' end));
  end loop;
  return v_left;
end $$;
revoke all on function m23.leave_claimed(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Leaves what is out of reach of a moment because of partitions: rows that belong in one that was dropped since with
-- its rows, for their past is unknown, and rows that no partition takes any more. An archive knows the former.
create or replace function m23.leave_unreachable(p_target m23.target, p_tenant text, out left_alone bigint,
  out warnings text[])
language plpgsql set search_path = '' as $$
declare
  v_table    m23.protected_tables := p_target.tbl;
  v_logged   boolean := p_target.wanted is null or (p_target.moment).taken is not null;
  v_removed  m23.removed_partitions[];
  v_homeless bigint;
begin
  left_alone := 0;
  warnings := '{}';
  if not exists (select from pg_class where oid = v_table.relid and relkind = 'p') then return; end if;
  if v_logged then
    v_removed := array(select r from m23.removed_since(v_table, p_tenant, p_target.moment) r);
    if cardinality(v_removed) = 0 then return; end if;
    select coalesce(sum(m23.leave_alone(p_target, m23.lies_within(v_table, array[(r).bounds], 'd'))), 0) into left_alone
      from unnest(v_removed) r where r.lost;
    warnings := array(
      select lost || case when left_alone = 0 then ''
                          else format('; %s row(s) that belong there were left alone', left_alone) end
        from m23.lost_since(v_table, p_tenant, p_target.moment) lost where lost is not null);
  end if;
  v_homeless := m23.leave_alone(p_target, 'd.m23_op <> ''D'' and not ' || m23.lies_within(v_table,
    array(select m23.bounds_of(c.relid, v_table) from m23.captured_relations(v_table.relid) c where c.leaf), 'd'));
  left_alone := left_alone + v_homeless;
  warnings := warnings || array(select format('%s: %s row(s) were left alone: no partition takes them any more',
                                              m23.public_name(v_table.relid), v_homeless) where v_homeless > 0);
end $$;
revoke all on function m23.leave_unreachable(m23.target, text) from public, anon, authenticated, service_role;

-- The condition that a row lies within some bounds.
create or replace function m23.lies_within(p_table m23.protected_tables, p_bounds m23.bounds[], p_row text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('(%s)', coalesce(string_agg(one.condition, ' or '), 'false'))
            from unnest(p_bounds) b cross join lateral (
    select format('(select %s from (select %s) m23_row)', coalesce(b.condition, 'true'),
                  string_agg(format('%s.%I as %I', p_row, a.attname, was.name), ', ')) as condition
      from rows from (unnest(b.attnums), unnest(b.names)) was (attnum, name)
      join pg_attribute a on a.attrelid = p_table.relid and a.attnum = was.attnum and not a.attisdropped) one);
end $$;
revoke all on function m23.lies_within(m23.protected_tables, m23.bounds[], text) from public, anon, authenticated,
  service_role;

-- Rows that others stand in the way of are left alone: the plan lets go of them, and counts them.

-- Takes rows out of the plan into pg_temp.m23_left_<id>; gives how many.
create or replace function m23.leave_alone(p_target m23.target, p_condition text, p_path text default null)
  returns bigint
language plpgsql set search_path = '' as $$
declare
  v_id   int := (p_target.tbl).id;
  v_diff text := m23.diff_name(p_target.tbl);
begin
  execute format('create temp table if not exists m23_left_%s on commit drop as select * from %s where false',
                 v_id, v_diff);
  return m23.run(coalesce(p_path, p_target.path), format('with gone as (delete from %s d where %s returning d.*)
                                 insert into pg_temp.m23_left_%s select * from gone', v_diff, p_condition, v_id));
end $$;
revoke all on function m23.leave_alone(m23.target, text, text) from public, anon, authenticated, service_role;

-- Adds to the rows of a table that were left alone; gives how many these are.
create or replace function m23.note_left(p_target m23.target, p_left bigint) returns bigint
language plpgsql set search_path = '' as $$
begin
  update m23.plan set left_alone = left_alone + p_left where table_id = (p_target.tbl).id and p_left > 0;
  return p_left;
end $$;
revoke all on function m23.note_left(m23.target, bigint) from public, anon, authenticated, service_role;

-- The conditions by any of which a live row `r` stays as it is: another tenant's, nobody's that is not taken back, and
-- what was left. Each is a list to be hashed, not a look for each row.
create or replace function m23.conditions_to_stay(p_target m23.target, p_tenant text) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_tenant text := m23.row_tenant(v_table, 'r');
  v_left   text := to_regclass('pg_temp.m23_left_' || v_table.id);
begin
  return array_remove(array[
    format('%s is distinct from %s and %1$s is not null', v_tenant, m23.tenant_value(v_table, quote_literal(p_tenant))),
    case when m23.may_be_nobodys(v_table) then format('%s is null and not %s', v_tenant,
      m23.key_in(v_table.relid, 'r',
                 format('(select * from %s where m23_op in (''T'', ''R''))', m23.diff_name(v_table)))) end,
    case when v_left is not null then m23.key_in(v_table.relid, 'r', v_left) end], null);
end $$;
revoke all on function m23.conditions_to_stay(m23.target, text) from public, anon, authenticated, service_role;

-- Leaves the rows whose values are kept by rows that were left; gives how many.
create or replace function m23.leave_dependent(p_tenant text, p_targets m23.target[]) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_left   bigint := 0;
begin
  for v_target in
    select t.* from unnest(p_targets) t join m23.plan p on p.table_id = (t.tbl).id and p.left_alone > 0
  loop
    v_left := v_left + m23.note_left(v_target, m23.leave_claimed(v_target, p_tenant));
  end loop;
  return v_left;
end $$;
revoke all on function m23.leave_dependent(text, m23.target[]) from public, anon, authenticated, service_role;

-- Takes what the plan has not taken, or not against those who refer to it.
create or replace function m23.lock_planned(p_target m23.target, p_tenant text, p_quiet boolean) returns void
language plpgsql set search_path = '' as $$
declare
  v_diff  text := m23.diff_name(p_target.tbl);
  v_match text := m23.live_match(p_target.tbl, p_quiet);
  v_lock  text := m23.lock_to_change(p_target.tbl);
  v_taken bigint := (select p.taken_back from m23.plan p where p.table_id = (p_target.tbl).id);
begin
  if p_target.wanted is not null then perform m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{U}', v_lock); end if;
  if v_taken > 0 and m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{T}', v_lock) < v_taken then
    raise exception 'nobody''s rows were changed meanwhile' using errcode = 'lock_not_available';
  end if;
  if p_target.wanted is not null or v_lock <> 'update' then
    perform m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{D,R}', 'update');
  end if;
end $$;
revoke all on function m23.lock_planned(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Columns that must have a value, where planned rows have none.
create or replace function m23.missing_values(p_target m23.target) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_column name;
  v_rows   bigint;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = (p_target.tbl).relid and a.attnotnull and a.attname = any (p_target.columns) order by a.attnum
  loop
    v_rows := m23.rows_where(p_target, format('%I is null', v_column));
    if v_rows > 0 then
      return next format('%s.%I: %s row(s) have no value, and the column must have one now; the project''s '
                         'administrator can give it a default, or name a function that fills it',
                         m23.public_name((p_target.tbl).relid), v_column, v_rows);
    end if;
  end loop;
end $$;
revoke all on function m23.missing_values(m23.target) from public, anon, authenticated, service_role;

-- Rows whose tenant is null are nobody's. A restore takes back those that had become so.

-- Whether rows of a table can be nobody's: those whose tenant is null.
create or replace function m23.may_be_nobodys(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return not m23.refuses_nulls(p_table.relid, p_table.tenant_attnum);
end $$;
revoke all on function m23.may_be_nobodys(m23.protected_tables) from public, anon, authenticated, service_role;

-- The condition that a row is nobody's, said so that no index serves it, as m23.is_tenants().
create or replace function m23.is_nobodys(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable set search_path = '' as
$$ begin return format('greatest(%s) is null', m23.row_tenant(p_table, p_row)); end $$;
revoke all on function m23.is_nobodys(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The condition that a live row `l` is the one that a planned row `d` writes over or deletes: the tenant's, or nobody's
-- that is taken back. Where values are exchanged, that is an R by then.
create or replace function m23.is_planned(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable set search_path = '' as $$
declare v_tenants text := m23.is_tenants(p_table, 'l', quote_literal(p_tenant));
begin
  return case when not m23.may_be_nobodys(p_table) then v_tenants
              else format('(%s or d.m23_op in (''T'', ''R'') and %s)', v_tenants, m23.is_nobodys(p_table, 'l')) end;
end $$;
revoke all on function m23.is_planned(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Takes nobody's rows that have the keys of missing ones for those: they are written over, their tenant too.
create or replace function m23.take_back(p_target m23.target) returns bigint
language plpgsql set search_path = '' as $$
begin
  if not m23.may_be_nobodys(p_target.tbl) then return 0; end if;
  return m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'T', m23_place = l.ctid from {live} l
       where d.m23_op = 'I' and {same_key} and {is_nobodys}$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'is_nobodys', m23.is_nobodys(p_target.tbl, 'l')));
end $$;
revoke all on function m23.take_back(m23.target) from public, anon, authenticated, service_role;

-- The tables that a plan of some of the chosen ones can open: those, and what foreign keys tie to them.
create or replace function m23.opened_by(p_targets m23.target[], p_chosen m23.target[]) returns oid[]
language plpgsql stable set search_path = '' as $$
declare v_relids oid[] := array(select (t).tbl.relid from unnest(p_targets) t);
begin
  if v_relids = '{}' then return '{}'; end if;
  return v_relids || array(
    select r.relid
      from (select coalesce(pg_partition_root(k.conrelid), k.conrelid) as child,
                   coalesce(pg_partition_root(k.confrelid), k.confrelid) as parent
              from pg_constraint k where k.contype = 'f' and k.conparentid = 0) tied,
           unnest(array[tied.child, tied.parent]) r (relid)
     where tied.child = any (v_relids) or tied.parent = any (v_relids)
    intersect
    select (t).tbl.relid from unnest(p_chosen) t);
end $$;
revoke all on function m23.opened_by(m23.target[], m23.target[]) from public, anon, authenticated, service_role;

-- A plan: the difference between what a tenant's tables are and what they should be, in
-- pg_temp.m23_diff_<id>: m23_op I (missing), T (missing, and nobody's row has its key), U (differs),
-- D (should not be), R (differs, and is written as delete and insert), m23_place where the live row
-- lies, and the wanted row, or the live row of a D.

-- The temporary table with a table's plan, qualified.
create or replace function m23.diff_name(p_table m23.protected_tables) returns text
language plpgsql immutable set search_path = '' as $$ begin return 'pg_temp.m23_diff_' || p_table.id; end $$;
revoke all on function m23.diff_name(m23.protected_tables) from public, anon, authenticated, service_role;

-- Executes a statement with the parameters of m23.touched_since, under the path of its table; gives how many rows it
-- took.
create or replace function m23.run_at(p_target m23.target, p_tenant text, p_statement text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[];
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
revoke all on function m23.run_at(m23.target, text, text) from public, anon, authenticated, service_role;

-- How many rows a table's plan inserts, updates and deletes; taken_back are among the inserts.
create or replace function m23.count_diff(
  p_table m23.protected_tables, out inserts bigint, out updates bigint, out deletes bigint, out taken_back bigint
)
language plpgsql set search_path = '' as $$
begin
  execute format($sql$
      select count(*) filter (where m23_op in ('I', 'T')), count(*) filter (where m23_op in ('U', 'R')),
             count(*) filter (where m23_op = 'D'), count(*) filter (where m23_op = 'T') from %s$sql$,
    m23.diff_name(p_table)) into inserts, updates, deletes, taken_back;
end $$;
revoke all on function m23.count_diff(m23.protected_tables) from public, anon, authenticated, service_role;

-- Takes the plan of a table away, where the transaction has made one.
create or replace function m23.drop_plan(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_name text;
begin
  foreach v_name in array array[m23.diff_name(p_table), 'pg_temp.m23_left_' || p_table.id] loop
    if to_regclass(v_name) is not null then execute format('drop table %s', v_name); end if;
  end loop;
end $$;
revoke all on function m23.drop_plan(m23.protected_tables) from public, anon, authenticated, service_role;

-- Forgets the plan of this backend.
create or replace function m23.end_plan() returns void
language plpgsql volatile set search_path = '' as $$ begin delete from m23.plan; end $$;
revoke all on function m23.end_plan() from public, anon, authenticated, service_role;

-- Notes chosen tables that there is nothing to do for.
create or replace function m23.plan_nothing(p_chosen m23.target[], p_planned int[]) returns void
language plpgsql set search_path = '' as $$
declare v_types boolean := exists (select from m23.type_versions where since > '0/0');
begin
  insert into m23.plan (table_id, name, left_alone, inserts, updates, deletes, warnings)
    select ((t).tbl).id, case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end,
           0, 0, 0, 0,
           case when v_types or exists (
                  select from m23.log_columns l
                   where l.table_id = ((t).tbl).id and (l.since > '0/0' or l.until_xid is not null))
                then m23.shape_warnings(t) else '{}' end
      from unnest(p_chosen) t join pg_class c on c.oid = ((t).tbl).relid join pg_namespace n on n.oid = c.relnamespace
     where ((t).tbl).id <> all (p_planned);
end $$;
revoke all on function m23.plan_nothing(m23.target[], int[]) from public, anon, authenticated, service_role;

-- What a plan is: the rows that it would write, and those that they would replace. Any
-- change of either makes it another plan.
create or replace function m23.plan_hash(p_tenant text, p_targets m23.target[]) returns text
language plpgsql set search_path = '' as $$
declare
  v_ids  int[] := array(select (t).tbl.id from unnest(p_targets) t);
  v_sums text[] := array(select m23.digest_of(p_targets[n], p_tenant) from generate_subscripts(p_targets, 1) n
                          order by n);
begin
  return encode(sha256(convert_to(coalesce((
    select string_agg(concat_ws(chr(10), p.name, coalesce(s.sum, '0')), chr(10) order by p.name collate "C")
      from m23.plan p left join unnest(v_ids, v_sums) s (id, sum) on s.id = p.table_id), ''), 'UTF8')), 'hex');
end $$;
revoke all on function m23.plan_hash(text, m23.target[]) from public, anon, authenticated, service_role;

-- Plans the targets whose values fit their types of now; the others are told of. Gives the foreign keys that this
-- choice of tables would break; not where some table is not among them.
create or replace function m23.plan_fitting(p_tenant text, inout targets m23.target[], out faults text[],
  out unfit text[])
language plpgsql set search_path = '' as $$
declare
  v_plan  record;
  v_unfit int[];
  v_said  text[];
begin
  unfit := '{}';
  loop
    begin
      v_plan := m23.plan_targets(p_tenant, targets);
      targets := v_plan.targets;
      faults := case when unfit = '{}' then v_plan.faults else '{}' end;
      return;
    exception when data_exception or integrity_constraint_violation then
      select array_agg(((t).tbl).id) filter (where said <> '{}'), array_agg(s) into v_unfit, v_said
        from unnest(m23.complete_targets(m23.with_entries(p_tenant, targets))) t,
             lateral (select array(select m23.unfit_columns(t, p_tenant)) offset 0) u (said)
        left join lateral unnest(u.said) s on true;
      if v_unfit is null then raise; end if;
    end;
    targets := array(select targets[n] from generate_subscripts(targets, 1) n
                      where ((targets[n]).tbl).id <> all (v_unfit) order by n);
    unfit := unfit || array_remove(v_said, null);
  end loop;
end $$;
revoke all on function m23.plan_fitting(text, targets m23.target[]) from public, anon, authenticated, service_role;

-- What a plan comes to, for a caller; with that it is over.
create or replace function m23.plan_report(p_warnings text[]) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_report jsonb := (select jsonb_build_object(
      'stats', jsonb_build_object(
        'totalOperations', coalesce(sum(inserts + updates + deletes), 0), 'insertCount', coalesce(sum(inserts), 0),
        'updateCount', coalesce(sum(updates), 0), 'deleteCount', coalesce(sum(deletes), 0),
        'affectedTables', coalesce(jsonb_agg(name order by name) filter (where inserts + updates + deletes > 0), '[]')),
      'warnings', to_jsonb(p_warnings || array(select w from m23.plan, unnest(warnings) w))
        || coalesce(jsonb_agg(
             format('%s: %s row(s) that had become nobody''s (their tenant is null) were taken back as they were then',
                    name, taken_back)
             order by name) filter (where taken_back > 0), '[]')
        || coalesce(jsonb_agg(
             format('%s: %s row(s) were left alone: their key, or a value that only one row may have, is another '
                    'tenant''s or nobody''s, they came from there, or they depend on such a row',
                    name, left_alone - unreachable)
             order by name) filter (where left_alone > unreachable), '[]'))
    from m23.plan);
begin
  perform m23.end_plan();
  return v_report;
end $$;
revoke all on function m23.plan_report(text[]) from public, anon, authenticated, service_role;

-- The statement that plans a table: wanted rows `w` against live rows `l`, in one statement and so of one moment.
-- For the log's wanted rows only keys that have changed since are looked at, so that it takes the time of the
-- changes, not of the table; with p_lock their live rows are taken as they are read, without waiting (m23.lock_rows
-- says why). It takes the parameters of m23.touched_since.
create or replace function m23.plan_statement(p_target m23.target, p_tenant text, p_lock boolean) returns text
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_logged boolean := p_target.wanted is null;
  v_takes  boolean := v_logged and p_lock;
  -- null where there is no live row; a composite key can look like it
  v_key    text := quote_ident(m23.tenant_column(v_table));
  v_values text[] := m23.wanted_values(p_target);
  v_there  text := case when v_logged then format('((l.%s is not null)::int - w.m23_balance = 1)', v_key)
                        else format('(w.%s is not null)', v_key) end;
begin
  return format('insert into %1$s %2$s
      select case when not %3$s then ''D'' when l.%4$s is null then ''I'' when %5$s then ''R'' else ''U'' end,
             l.m23_place, %6$s
        from %7$s w
        %8$s join %14$s (select ctid as m23_place, r.* from %9$s r where %10$s %13$s) l on %11$s
       where %3$s <> (l.%4$s is not null) or %3$s and %12$s',
    m23.diff_name(v_table),
    case when v_logged
         then 'with ' || m23.touched_since(v_table, m23.log_of(v_table.id, p_tenant, (p_target.moment).floor)) end,
    v_there, v_key, coalesce(m23.fixed_differ(p_target, 'w'), 'false'),
    (select string_agg(format('case when %s then %s else l.%I end', v_there, v_values[n], c), ', ' order by n)
       from unnest(p_target.columns) with ordinality u (c, n)),
    case when v_logged then 'touched' else format('(%s)', p_target.wanted) end,
    case when v_logged then 'left' else 'full' end,
    m23.qualified_name(v_table.relid),
    case when v_logged then m23.is_tenants(v_table, 'r', '$1')
         else m23.belongs_to(v_table, 'r', '$1') end,
    case when v_takes then 'true' else m23.key_match(v_table.relid, 'w', 'l') end,
    m23.differs(v_table, p_target.columns, v_values),
    case when v_takes
         then format('and %s for %s nowait', m23.key_match(v_table.relid, 'w', 'r'), m23.lock_to_change(v_table)) end,
    case when v_takes then 'lateral' end);
end $$;
revoke all on function m23.plan_statement(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Plans a table, as m23.plan_statement says.
create or replace function m23.plan_table(p_target m23.target, p_tenant text, p_lock boolean default false) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.drop_plan(p_target.tbl);
  perform m23.run(p_target.path, format('create temp table m23_diff_%s on commit drop as
      select null::"char" as m23_op, null::tid as m23_place, %s from %s where false', (p_target.tbl).id,
    (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c),
    m23.qualified_name((p_target.tbl).relid)));
  perform m23.run_at(p_target, p_tenant, m23.plan_statement(p_target, p_tenant, p_lock));
end $$;
revoke all on function m23.plan_table(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- Plans the targets. Gives those that there can be something to do for, complete, and the foreign keys that this choice
-- of tables would break. No other table is opened.
create or replace function m23.plan_targets(
  p_tenant text, inout targets m23.target[], out faults text[], p_lock boolean default false
)
language plpgsql set search_path = '' as $$
declare
  v_chosen  m23.target[] := targets;
  v_target  m23.target;
  v_count   record;
  v_left    bigint;
  v_arrived bigint;
  v_taken   bigint;
  v_gone    record;
begin
  targets := m23.with_entries(p_tenant, v_chosen);
  perform m23.lock_tables(m23.opened_by(targets, v_chosen)) where not p_lock;
  perform m23.refuse_unreached(p_tenant, v_chosen);
  perform m23.follow_layout((t).tbl.id, (t).tbl.relid) from unnest(targets) t
    where not m23.ddl_is_followed() and m23.capture_is_stale((t).tbl);
  targets := m23.complete_targets(targets);
  perform m23.end_plan();  -- one that was given up
  perform m23.plan_nothing(v_chosen, array(select (t).tbl.id from unnest(targets) t));
  foreach v_target in array targets loop
    perform m23.plan_table(v_target, p_tenant, p_lock);
    select * into v_count from m23.count_diff(v_target.tbl);
    v_taken := case when v_count.inserts > 0 then m23.take_back(v_target) else 0 end;
    v_arrived := case when v_count.deletes > 0 then m23.leave_arrived(v_target, p_tenant) else 0 end;
    v_left := case when v_count.inserts + v_count.updates > 0
                     then m23.leave_claimed(v_target, p_tenant, v_count.inserts > 0) else 0 end + v_arrived;
    select * into v_gone from m23.leave_unreachable(v_target, p_tenant);
    insert into m23.plan (table_id, name, inserts, updates, deletes, left_alone, unreachable, taken_back, warnings)
      values ((v_target.tbl).id, m23.public_name((v_target.tbl).relid),
              v_count.inserts, v_count.updates, v_count.deletes, v_left + v_gone.left_alone, v_gone.left_alone,
              case when v_taken > 0 then (m23.count_diff(v_target.tbl)).taken_back else 0 end,
              m23.shape_warnings(v_target) || m23.arrival_warnings(v_target, v_count.deletes - v_arrived)
                || v_gone.warnings);
  end loop;
  loop
    faults := m23.keep_references(p_tenant, targets);
    if not exists (select from m23.plan where left_alone > 0) then return; end if;
    exit when m23.leave_dependent(p_tenant, targets) = 0;
  end loop;
  foreach v_target in array targets loop
    update m23.plan p set inserts = c.inserts, updates = c.updates, deletes = c.deletes, taken_back = c.taken_back
      from m23.count_diff(v_target.tbl) c where p.table_id = (v_target.tbl).id;
  end loop;
end $$;
revoke all on function m23.plan_targets(text, targets m23.target[], boolean) from public, anon, authenticated,
  service_role;

-- Refuses a moment that the log does not reach. That of a backup has no time: its rows do not
-- come from the log.
create or replace function m23.refuse_unreached(p_tenant text, p_targets m23.target[]) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment;
  v_fault  text;
begin
  for v_moment in
    select distinct on ((t).moment::text) (t).moment.* from unnest(p_targets) t where ((t).moment).position is not null
  loop
    v_fault := least(v_fault, coalesce(m23.tenant_fault(p_tenant, v_moment), (
      select min(f.fault) from m23.moment_faults(array(
        select (t).tbl.id from unnest(p_targets) t
         where (t).moment::text = v_moment::text and ((t).wanted is null or v_moment.taken is not null)),
         v_moment) f)));
  end loop;
  if v_fault is not null then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to',
                       array['targetTimestamp: ' || v_fault]);
  end if;
end $$;
revoke all on function m23.refuse_unreached(text, m23.target[]) from public, anon, authenticated, service_role;

-- Unique indexes and exclusion constraints that planned rows would break among themselves, or with rows of the tenant
-- that stay as they are. Of the others' rows the plan has seen to already.
create or replace function m23.repeated_values(p_target m23.target, p_tenant text) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_index pg_index;
  v_rows  bigint;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where not m23.is_of_key(i) order by i.indexrelid loop
    v_rows := m23.number_of(p_target.path, m23.fill($sql$
        with planned as (select m23_row, {parts} from {rows} r where {within} and {predicate})
        select count(distinct m23_row) from (
          select p.m23_row from planned p join planned o on o.m23_row <> p.m23_row and {collide}
          union all
          select p.m23_row from planned p
            join (select {parts} from {live} r
                   where {is_its} and not {is_planned} and {predicate}) o on {collide}) c$sql$,
      'parts', m23.index_parts(v_index), 'rows', m23.rows_to_write(p_target),
      'within', m23.partition_condition(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'live', m23.qualified_name(v_index.indrelid),
      'is_its', m23.belongs_to(p_target.tbl, 'r', quote_literal(p_tenant)),
      'is_planned', m23.key_in((p_target.tbl).relid, 'r', m23.diff_name(p_target.tbl)),
      'collide', m23.collide(v_index, 'p', 'o')));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break "%s", which allows no two rows alike; '
                         'they can come back once it does',
                         m23.public_name((p_target.tbl).relid), v_rows,
                         (select c.relname from pg_class c where c.oid = v_index.indexrelid));
    end if;
  end loop;
end $$;
revoke all on function m23.repeated_values(m23.target, text) from public, anon, authenticated, service_role;

-- Whether two rows differ, as conditions of a statement.

-- Two rows are compared by what is stored, not by what their types call equal: that would miss
-- 1.0 and 1.00, and some types have no equality.
create or replace function m23.images_differ(p_these text[], p_those text[]) returns text
language plpgsql immutable strict set search_path = '' as $$
begin
  return format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', array_to_string(p_these, ', '),
                array_to_string(p_those, ', '));
end $$;
revoke all on function m23.images_differ(text[], text[]) from public, anon, authenticated, service_role;

-- The condition that a live row `l` is not the wanted one, given by one expression a column.
create or replace function m23.differs(p_table m23.protected_tables, p_columns text[], p_wanted text[]) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select '(' || concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'image'),
                               array_agg(u.wanted) filter (where u.by = 'image')),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'text'),
                               array_agg(u.wanted) filter (where u.by = 'text'))
               || format(' and row(%s)::text <> row(%s)::text',
                         string_agg(u.live, ', ') filter (where u.by = 'text'),
                         string_agg(u.wanted, ', ') filter (where u.by = 'text'))) || ')'
            from m23.compared(p_table, p_columns, p_wanted) u);
end $$;
revoke all on function m23.differs(m23.protected_tables, text[], text[]) from public, anon, authenticated, service_role;

-- The condition that a live row `l` differs from another in a column that takes no UPDATE; null where there is none.
create or replace function m23.fixed_differ(p_target m23.target, p_other text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('l.%1$I is distinct from %2$s.%1$I', c.name, p_other), ' or ')
            from m23.columns_of((p_target.tbl).relid) c
           where c.identity = 'a' and c.name = any (p_target.columns) and c.name <> all (p_target.kept)
             and c.key_ord is null);
end $$;
revoke all on function m23.fixed_differ(m23.target, text) from public, anon, authenticated, service_role;

-- The condition that a live row `l` is stored as planned in `d`.
create or replace function m23.is_stored_as_planned(p_target m23.target) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('not (%s)', concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by <> 'value'),
                               array_agg(u.wanted) filter (where u.by <> 'value'))))
            from m23.compared(p_target.tbl, p_target.columns,
                              array(select format('d.%I', c) from unnest(p_target.columns) c)) u);
end $$;
revoke all on function m23.is_stored_as_planned(m23.target) from public, anon, authenticated, service_role;

-- The rows that a restore will change are taken without waiting: whoever holds one may wait for the fence.

-- How a row that may change is taken. Where others refer to it, whoever inserts one of them holds it
-- against deletion, and may wait for the fence: only what is to be deleted is taken from them, too.
create or replace function m23.lock_to_change(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return case when exists (select from pg_constraint where contype = 'f' and confrelid = p_table.relid)
                then 'no key update' else 'update' end;
end $$;
revoke all on function m23.lock_to_change(m23.protected_tables) from public, anon, authenticated, service_role;

-- The rows to be changed are taken without waiting: a writer that holds one may itself
-- be waiting for the fence. p_rows is a relation that finds those of p_ops as p_match says. The plan of a
-- moment has taken its rows already, as rows that may change. Gives how many were there.
create or replace function m23.lock_rows(
  p_target m23.target, p_tenant text, p_rows text, p_match text, p_ops "char"[], p_lock text
) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_target.path, format('
      select count(*) from (
        select 1 from %s d join %s l on %s where d.m23_op = any (%L) and %s for %s of l nowait) locked',
    p_rows, m23.qualified_name((p_target.tbl).relid), p_match, p_ops,
    m23.is_planned(p_target.tbl, p_tenant), p_lock));
end $$;
revoke all on function m23.lock_rows(m23.target, text, text, text, "char"[], text) from public, anon, authenticated,
  service_role;

-- Notes which rows a plan would change, as pg_temp.m23_early_<id>.
-- Made without the fence, it may be wrong: it only says which rows are worth taking first. Gives the targets that have
-- some.
create or replace function m23.plan_early(p_tenant text, p_targets m23.target[]) returns m23.target[]
language plpgsql set search_path = '' as $$
declare
  v_plan   record := m23.plan_targets(p_tenant, p_targets);
  v_target m23.target;
begin
  foreach v_target in array v_plan.targets loop
    execute format('drop table if exists pg_temp.m23_early_%s', (v_target.tbl).id);
    execute format('create temp table m23_early_%s on commit drop as select m23_op, %s from %s d where m23_op <> ''I''',
                   (v_target.tbl).id, m23.key_list((v_target.tbl).relid, 'd'), m23.diff_name(v_target.tbl));
  end loop;
  return v_plan.targets;
end $$;
revoke all on function m23.plan_early(text, m23.target[]) from public, anon, authenticated, service_role;

-- Takes the rows that m23.plan_early has found, without waiting for any.
create or replace function m23.lock_early(p_tenant text, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_early  text;
  v_match  text;
begin
  foreach v_target in array p_targets loop
    v_early := 'pg_temp.m23_early_' || (v_target.tbl).id;
    v_match := m23.key_match((v_target.tbl).relid, 'l', 'd');
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{U,T}', m23.lock_to_change(v_target.tbl));
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{D,R}', 'update');
  end loop;
end $$;
revoke all on function m23.lock_early(text, m23.target[]) from public, anon, authenticated, service_role;

-- The rules of a table, tried against planned rows before anything is written. A rule may be younger than the rows:
-- they fitted the rules of their time. A dry run says what the execution would run into, and an execution that has
-- run into something says what it was in the same words.

-- A relation with the planned rows as they would be written, generated columns with them.
create or replace function m23.rows_to_write(p_target m23.target) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format('(select planned.*%s from (select ctid as m23_row, * from %s where m23_op <> ''D'') planned)',
                (m23.generated_columns(p_target)).list, m23.diff_name(p_target.tbl));
end $$;
revoke all on function m23.rows_to_write(m23.target) from public, anon, authenticated, service_role;

-- How many planned rows a condition finds.
create or replace function m23.rows_where(p_target m23.target, p_condition text) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_target.path, format('select count(*) from %s m23_new where %s',
                                             m23.rows_to_write(p_target), p_condition));
end $$;
revoke all on function m23.rows_where(m23.target, text) from public, anon, authenticated, service_role;

-- The rules that the planned rows of all targets would break, one sentence each.
create or replace function m23.broken_rules(p_tenant text, p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_said   text[] := '{}';
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    v_said := v_said || array(select m23.missing_values(v_target)) || array(select m23.failed_checks(v_target))
                     || array(select m23.repeated_values(v_target, p_tenant));
  end loop;
  return v_said;
end $$;
revoke all on function m23.broken_rules(text, m23.target[]) from public, anon, authenticated, service_role;

-- Columns whose values of then do not fit their type of now: tried one by one, as an assignment would.
create or replace function m23.unfit_columns(p_target m23.target, p_tenant text) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_column m23.column_shape;
  v_why    text;
begin
  for v_column in select * from m23.columns_of((p_target.tbl).relid) c where not c.generated order by c.attnum loop
    v_why := m23.unfit_value(p_target, p_tenant, v_column);
    if v_why is not null then return next v_why; end if;
  end loop;
end $$;
revoke all on function m23.unfit_columns(m23.target, text) from public, anon, authenticated, service_role;

-- What a refusal of rows is called, wherever it is said.
create or replace function m23.rules_sentence() returns text
language sql immutable set search_path = '' as
$$ select 'the present rules of a table do not take the rows of then; nothing was changed' $$;
revoke all on function m23.rules_sentence() from public, anon, authenticated, service_role;

-- Refuses rows that the rules do not take, where it is known why.
create or replace function m23.refuse_rows(p_said text[]) returns void
language plpgsql set search_path = '' as $$
begin
  if cardinality(p_said) > 0 then
    perform m23.refuse('CONFLICT', m23.rules_sentence(), p_said);
  end if;
end $$;
revoke all on function m23.refuse_rows(text[]) from public, anon, authenticated, service_role;

-- m23.plan_targets, which says in words where values do not fit.
create or replace function m23.plan_all(
  p_tenant text, inout targets m23.target[], out faults text[], p_lock boolean default false
)
language plpgsql set search_path = '' as $$
declare v_plan record;
begin
  v_plan := m23.plan_targets(p_tenant, targets, p_lock);
  targets := v_plan.targets;
  faults := v_plan.faults;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(
    select m23.unfit_columns(t, p_tenant) from unnest(m23.complete_targets(m23.with_entries(p_tenant, targets))) t));
  raise;
end $$;
revoke all on function m23.plan_all(text, targets m23.target[], boolean) from public, anon, authenticated, service_role;

-- A refusal as a caller would be told of it.
create or replace function m23.refusal_told(p_code text, p_message text, p_details text[] default '{}') returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('code', p_code, 'error', upper(left(p_message, 1)) || substr(p_message, 2) || '.',
                            'details', to_jsonb(p_details))
$$;
revoke all on function m23.refusal_told(text, text, text[]) from public, anon, authenticated, service_role;

-- Calls the hooks of a restore that has changed rows, from what its plan came to.
create or replace function m23.run_after_restore(p_tenant text) returns void
language plpgsql set search_path = '' set plan_cache_mode = auto as $$
declare
  v_hook    m23.after_restore_hooks;
  v_changes jsonb;
  v_called  text[] := '{}';
begin
  for v_hook in
    select * from m23.after_restore_hooks h where coalesce(h.tenant_id, p_tenant) = p_tenant order by h.id
  loop
    select jsonb_object_agg(p.name, jsonb_build_object(
             'inserts', p.inserts, 'updates', p.updates, 'deletes', p.deletes))
      into v_changes
      from m23.plan p join m23.protected_tables t on t.id = p.table_id
     where p.inserts + p.updates + p.deletes > 0 and (v_hook.relid is null or t.relid = v_hook.relid);
    if v_changes is not null then
      v_called := v_called || m23.call_hook(v_hook, p_tenant, v_changes);
    end if;
  end loop;
  if cardinality(v_called) > 0 then
    perform m23.check_hooks(v_called);
  end if;
end $$;
revoke all on function m23.run_after_restore(text) from public, anon, authenticated, service_role;

-- Sequences are never left behind the rows that came back: the application's next INSERT takes a value that no row has.

-- The type that a domain is made of, however many domains lie between; another type is its own.
create or replace function m23.base_of(p_type oid) returns oid
language plpgsql stable strict set search_path = '' as $$
declare v_base oid;
begin
  loop
    select t.typbasetype into v_base from pg_type t where t.oid = p_type and t.typtype = 'd';
    if v_base is null then return p_type; end if;
    p_type := v_base;
  end loop;
end $$;
revoke all on function m23.base_of(oid) from public, anon, authenticated, service_role;

-- What stands before and after a sequence's nextval in a default, that of a column (`pg_attrdef`) or of its domain
-- (`pg_type`): null where there are more of them, or code that is not PostgreSQL's own.
create or replace function m23.around_nextval(p_class regclass, p_id oid, p_sequence oid) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_default text := case p_class when 'pg_attrdef'::regclass
    then (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.oid = p_id)
    else (select pg_get_expr(t.typdefaultbin, 0) from pg_type t where t.oid = p_id) end;
  v_parts   text[] := string_to_array(v_default, format('nextval(%L::regclass)', p_sequence::regclass));
begin
  if cardinality(v_parts) <> 2 or v_parts[2] ~ 'nextval' or exists (
       select from pg_depend d where d.classid = p_class and d.objid = p_id
          and d.refclassid = any (array['pg_proc', 'pg_operator']::regclass[])) then return null; end if;
  return v_parts;
end $$;
revoke all on function m23.around_nextval(regclass, oid, oid) from public, anon, authenticated, service_role;

-- Names the function that gives a column of a protected table its value; null takes it away.
create or replace function m23.set_fill(p_table regclass, p_column name, p_function regprocedure) returns void
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables;
  v_column pg_attribute;
  v_fill   record;
begin
  select * into v_table from m23.protected_tables where relid = p_table;
  if v_table.id is null then
    raise exception '% is not protected', p_table using hint = 'Protect it first: select m23.protect_table(…).';
  end if;
  select a.* into v_column from pg_attribute a join m23.columns_of(p_table) c on c.attnum = a.attnum
   where a.attrelid = p_table and a.attname = p_column and not c.generated and c.key_ord is null
     and c.attnum <> v_table.tenant_attnum;
  if v_column.attnum is null then
    raise exception '% has no column % that could be filled', p_table, quote_ident(p_column)
      using hint = 'Keys, tenants and generated columns always have a value of their own.';
  end if;
  delete from m23.fills where table_id = v_table.id and attnum = v_column.attnum;
  if p_function is null then return; end if;
  select n.nspname, f.proname, f.pronargs = 1 as takes_row, f.prorettype into v_fill
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace
   where f.oid = p_function and f.prokind = 'f' and not f.proretset
     and (f.pronargs = 0 or f.pronargs = 1
          and f.proargtypes[0] = (select c.reltype from pg_class c where c.oid = p_table));
  if v_fill.proname is null then
    raise exception '% must take nothing, or one row of %, and give one value', p_function, p_table;
  end if;
  if v_fill.prorettype <> v_column.atttypid and not exists (
       select from pg_cast k where k.castsource = v_fill.prorettype and k.casttarget = v_column.atttypid
          and k.castcontext in ('a', 'i')) then
    raise exception '% gives %, and % is %', p_function, format_type(v_fill.prorettype, null), quote_ident(p_column),
      format_type(v_column.atttypid, null);
  end if;
  insert into m23.fills values (v_table.id, v_column.attnum, v_fill.nspname, v_fill.proname, v_fill.takes_row);
end $$;
comment on function m23.set_fill(regclass, name, regprocedure) is
  'Which function gives a column its value in rows that a restore brings back without one: '
  'it takes nothing, or the row.';
revoke all on function m23.set_fill(regclass, name, regprocedure) from public, anon, authenticated, service_role;

-- What of a table could not be as it was, because its shape has changed since the moment.
create or replace function m23.shape_warnings(p_target m23.target) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_said text[];
begin
  -- The moment of a backup has no time; the staging of its tables has told of their shape.
  if (p_target.moment).position is null or p_target.wanted is not null and (p_target.moment).taken is null then
    return '{}';
  end if;
  if not exists (select from m23.log_columns l
                  where l.table_id = (p_target.tbl).id and (l.since > '0/0' or l.until_xid is not null)) then
    return m23.type_warnings(p_target.tbl, p_target.moment);
  end if;
  execute m23.fill($sql$
      select array_agg($3 || '.' || l.column_name || ' ' || case
               when l.until_xid is not null then 'was dropped since; its values cannot come back'
               when exists (select from m23.log_columns e
                             where e.table_id = $1 and e.attnum = l.attnum and e.until_xid = l.since_xid)
                 then 'has had another type then; its values were converted'
               when l.generated then 'was generated then; rows that are there keep its value of now'
               else 'was added since; rows that are there keep theirs, and those that come back get its default' end
               order by l.attnum, l.since)
        from m23.log_columns l
       where l.table_id = $1
         and case when l.until_xid is null then l.since > '0/0' and {added}
                  else {dropped} and not exists (select from m23.log_columns p
                         where p.table_id = $1 and p.attnum = l.attnum and p.until_xid is null) end$sql$,
    'added', m23.lies_after('l.since_xid'), 'dropped', m23.lies_after('l.until_xid'))
    into v_said using (p_target.tbl).id, p_target.moment, m23.public_name((p_target.tbl).relid);
  return coalesce(v_said, '{}') || m23.type_warnings(p_target.tbl, p_target.moment);
end $$;
revoke all on function m23.shape_warnings(m23.target) from public, anon, authenticated, service_role;

-- A target, by its fields: what makes one names those that it has.
create or replace function m23.new_target(
  p_table m23.protected_tables, p_moment m23.moment default null, p_wanted text default null,
  p_columns text[] default null, p_arrived text default null, p_path text default null, p_kept text[] default null
) returns m23.target
language plpgsql immutable set search_path = '' as $$
declare v_target m23.target;
begin
  v_target.tbl := p_table;
  v_target.moment := p_moment;
  v_target.wanted := p_wanted;
  v_target.columns := p_columns;
  v_target.arrived := p_arrived;
  v_target.path := p_path;
  v_target.kept := p_kept;
  return v_target;
end $$;
revoke all on function m23.new_target(m23.protected_tables, m23.moment, text, text[], text, text, text[]) from public,
  anon, authenticated, service_role;

-- The columns of a table that hold values of their own.
create or replace function m23.stored_columns(p_relid oid) returns text[]
language plpgsql stable set search_path = '' as
$$ begin return array(select c.name from m23.columns_of(p_relid) c where not c.generated order by c.attnum); end $$;
revoke all on function m23.stored_columns(oid) from public, anon, authenticated, service_role;

-- The columns that were added after a moment.
create or replace function m23.newer_columns(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql stable set search_path = '' as $$
declare v_newer text[];
begin
  if not exists (select from m23.log_columns l where l.table_id = p_table.id and l.since > '0/0') then
    return '{}';
  end if;
  execute m23.fill($sql$
      select array(select a.attname from pg_attribute a join m23.log_columns l on l.attnum = a.attnum
                    where a.attrelid = $2 and not a.attisdropped and l.table_id = $3 and l.since > '0/0'
                      and {lies_after}
                      and l.since = (select min(f.since) from m23.log_columns f
                                      where f.table_id = $3 and f.attnum = l.attnum)
                    order by a.attnum)$sql$, 'lies_after', m23.lies_after('l.since_xid', '$1'))
    into v_newer using p_moment, p_table.relid, p_table.id;
  return v_newer;
end $$;
revoke all on function m23.newer_columns(m23.protected_tables, m23.moment) from public, anon, authenticated,
  service_role;

-- A table that is to be as the log has it at a moment.
create or replace function m23.logged_target(p_table m23.protected_tables, p_moment m23.moment) returns m23.target
language plpgsql stable set search_path = '' as $$
begin
  return m23.new_target(p_table, p_moment,
    p_columns => m23.stored_columns(p_table.relid),
    p_path => m23.path_of(p_table.relid),
    p_kept => m23.newer_columns(p_table, p_moment));
end $$;
revoke all on function m23.logged_target(m23.protected_tables, m23.moment) from public, anon, authenticated,
  service_role;

-- Chosen tables that come from the log are only named at first: most have nothing to do, and are never looked at. So it
-- is with these: what is missing is added.
create or replace function m23.complete_targets(p_targets m23.target[]) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select case when (p_targets[n]).columns is null
                           then m23.logged_target((p_targets[n]).tbl, (p_targets[n]).moment) else p_targets[n] end
                 from generate_subscripts(p_targets, 1) n order by n);
end $$;
revoke all on function m23.complete_targets(m23.target[]) from public, anon, authenticated, service_role;

-- The targets that there can be something to do for: of those that come from the log, the ones that it has something
-- of.
create or replace function m23.with_entries(p_tenant text, p_targets m23.target[]) returns m23.target[]
language plpgsql volatile set search_path = '' as $$
declare
  v_from   xid8 := (select min(coalesce(((t).moment).floor, '0')) from unnest(p_targets) t where (t).wanted is null);
  v_logged int[] := array(select r.table_id from m23.removed_partitions r where r.xid >= v_from);
begin
  v_logged := v_logged || m23.logged_tables(
    array(select (t).tbl.id from unnest(p_targets) t where (t).wanted is null), p_tenant, v_from);
  return array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                where (p_targets[n]).wanted is not null or ((p_targets[n]).tbl).id = any (v_logged) order by n);
end $$;
revoke all on function m23.with_entries(text, m23.target[]) from public, anon, authenticated, service_role;

-- The target that a table is, or is a partition of.
create or replace function m23.planned_target(p_targets m23.target[], p_relid oid) returns m23.target
language sql stable set search_path = '' as
$$ select t from unnest(p_targets) t where (t).tbl.relid = m23.root_of(p_relid) $$;
revoke all on function m23.planned_target(m23.target[], oid) from public, anon, authenticated, service_role;

-- The search path of a statement that touches another table besides a target's.
create or replace function m23.path_with(p_targets m23.target[], p_target m23.target, p_other oid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return case when p_target.path <> '' then p_target.path
              else coalesce((m23.planned_target(p_targets, p_other)).path, m23.path_of(p_other)) end;
end $$;
revoke all on function m23.path_with(m23.target[], m23.target, oid) from public, anon, authenticated, service_role;

-- Whether a table was chosen: it is planned, or there is nothing to do for it.
create or replace function m23.is_among(p_targets m23.target[], p_relid oid) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return exists (select from unnest(p_targets) t where (t).tbl.relid = p_relid)
      or exists (select from m23.plan p join m23.protected_tables k on k.id = p.table_id
                  where k.relid = p_relid and k.id not in (select (t).tbl.id from unnest(p_targets) t));
end $$;
revoke all on function m23.is_among(m23.target[], oid) from public, anon, authenticated, service_role;

-- What is said of the triggers of tables that will be written: those that fire although triggers are silenced, or those
-- that cannot be.
create or replace function m23.trigger_sentences(p_targets m23.target[], p_silenced boolean) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_loud   text;
  v_said   text[] := '{}';
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    v_loud := nullif(array_to_string(m23.loud_triggers(v_target.tbl, p_silenced), ', '), '');
    continue when v_loud is null;
    v_said := v_said || format(case
        when p_silenced then '%s: the triggers %s are set to fire always: a restore sets them off, too'
        else 'tables: "%s" has triggers (%s) that this server does not let M23 silence' end,
      m23.public_name((v_target.tbl).relid), v_loud);
  end loop;
  return v_said;
end $$;
revoke all on function m23.trigger_sentences(m23.target[], boolean) from public, anon, authenticated, service_role;

-- The application's triggers, which are silent while a restore writes.

-- The application's triggers and foreign-key actions are silent while a restore writes:
-- the rows that they made are among the rows that come back.
create or replace function m23.silence_triggers() returns boolean
language plpgsql set search_path = '' as $$
begin
  perform set_config('session_replication_role', 'replica', true);
  return true;
exception when insufficient_privilege then
  return false;
end $$;
revoke all on function m23.silence_triggers() from public, anon, authenticated, service_role;

-- Whether a write to these tables sets anything off but M23's capture: triggers, those of foreign
-- keys among them, or rules. Where it does not, nothing is silenced: that would throw away every plan
-- that the session has kept.
create or replace function m23.sets_off(p_targets m23.target[]) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return exists (select from unnest(p_targets) t, m23.captured_relations((t).tbl.relid) c
     where exists (select from pg_trigger g where g.tgrelid = c.relid and g.tgname !~ '^(aaa|zzz)_m23_')
        or exists (select from pg_rewrite r where r.ev_class = c.relid));
end $$;
revoke all on function m23.sets_off(m23.target[]) from public, anon, authenticated, service_role;

-- Triggers that fire all the same, or that cannot be silenced on this server.
create or replace function m23.loud_triggers(p_table m23.protected_tables, p_silenced boolean) returns text[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(t.tgname::text order by t.tgname), '{}') from pg_trigger t
   where t.tgrelid = p_table.relid and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_'
     and case when p_silenced then t.tgenabled in ('A', 'R') else t.tgenabled in ('O', 'A') end
$$;
revoke all on function m23.loud_triggers(m23.protected_tables, boolean) from public, anon, authenticated, service_role;

-- Silences triggers. Those that cannot be silenced are refused, and those that fire always are told of.
create or replace function m23.check_triggers(p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_silenced boolean := m23.silence_triggers();
  v_said     text[] := m23.trigger_sentences(p_targets, v_silenced);
begin
  if not v_silenced and cardinality(v_said) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_said);
  end if;
  return v_said;
end $$;
revoke all on function m23.check_triggers(m23.target[]) from public, anon, authenticated, service_role;

-- What to say of values that a column's type does not take. p_then: the type that it had; p_message: what the server
-- says.
create or replace function m23.unfit_sentence(
  p_table m23.protected_tables, p_column m23.column_shape, p_then text, p_message text, p_constraint text default null)
returns text
language plpgsql stable set search_path = '' as $$
declare
  v_type text := (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_more text[] := array_remove(array[
    nullif(p_constraint, ''),
    case when p_then <> p_column.type_name then format('it was %s then', p_then) end,
    'it has no value ' || substring(p_message from '^invalid input value for enum [^:]*: (".*")$')], null);
begin
  return format('%s.%I: values of then do not fit the type %s, as it is now%s; they can come back once it takes them',
                m23.public_name(p_table.relid), p_column.name, v_type,
                case when v_more <> '{}' then format(' (%s)', array_to_string(v_more, ', ')) end);
end $$;
revoke all on function m23.unfit_sentence(m23.protected_tables, m23.column_shape, text, text, text) from public, anon,
  authenticated, service_role;

-- The log is asked, or an archive's rows.
create or replace function m23.unfit_value(p_target m23.target, p_tenant text, p_column m23.column_shape) returns text
language plpgsql set search_path = '' as $$
declare
  v_table      m23.protected_tables := p_target.tbl;
  v_values     text;
  v_constraint text;
begin
  v_values := case
    when p_target.wanted is not null and p_column.name <> all (p_target.columns) then null
    when p_target.wanted is not null
      then m23.fill('select w.{column} as v from ({rows}) w', 'column', quote_ident(p_column.name),
                    'rows', p_target.wanted)
    else m23.fill('select {value} as v from {log} l where l.tenant_id = {tenant} and {lies_after}',
      'value', m23.log_value(v_table, p_column), 'tenant', m23.tenant_value(v_table, '$1'),
      'log', m23.log_of(v_table.id, p_tenant, (p_target.moment).floor), 'lies_after', m23.lies_after('l.xid')) end;
  if v_values is null then return null; end if;
  execute format('create temp table m23_probe (value %s) on commit drop',
                 (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = v_table.relid and a.attnum = p_column.attnum));
  perform m23.run_at(p_target, p_tenant,
    m23.fill('insert into pg_temp.m23_probe select v.v from ({values}) v where v.v is not null', 'values', v_values));
  drop table pg_temp.m23_probe;
  return null;
exception when data_exception or check_violation or not_null_violation then
  get stacked diagnostics v_constraint = constraint_name;
  return m23.unfit_sentence(v_table, p_column,
    (select f.column_type from m23.log_columns f
      where f.table_id = v_table.id and f.attnum = p_column.attnum
      order by f.since limit 1),
    sqlerrm, v_constraint);
end $$;
revoke all on function m23.unfit_value(m23.target, text, m23.column_shape) from public, anon, authenticated,
  service_role;

-- Updates the live rows of the plan with one operation; gives how many are known to be stored as planned.
create or replace function m23.update_diff(p_target m23.target, p_tenant text, p_op "char", p_quiet boolean)
  returns bigint
language plpgsql set search_path = '' as $$
declare
  v_update text;
  v_set    text := (select string_agg(format('%1$I = d.%1$I', c.name), ', ') from m23.columns_of((p_target.tbl).relid) c
                     where c.name = any (p_target.columns) and c.identity <> 'a'
                       and (p_op = 'T' or c.attnum <> (p_target.tbl).tenant_attnum)
                       -- equal keys of most types can be stored otherwise
                       and (c.key_ord is null or c.type_name not in ('smallint', 'integer', 'bigint', 'uuid')));
begin
  if v_set is null then return 0; end if;
  v_update := format('update %s l set %s from %s d where %s and %s and d.m23_op = %L',
                     m23.qualified_name((p_target.tbl).relid), v_set,
                     m23.diff_name(p_target.tbl), m23.live_match(p_target.tbl, p_quiet),
                     m23.is_planned(p_target.tbl, p_tenant), p_op);
  if m23.writes_as_planned(p_target.tbl, p_quiet) then
    return m23.run(p_target.path, v_update);
  elsif exists (select from pg_rewrite where ev_class = (p_target.tbl).relid) then  -- a rule may not allow RETURNING
    perform m23.run(p_target.path, v_update);
    return 0;
  end if;
  return m23.number_of(p_target.path, format('
      with written as (%s returning %s as is_as_planned) select count(*) from written where is_as_planned',
    v_update, m23.is_stored_as_planned(p_target)));
end $$;
revoke all on function m23.update_diff(m23.target, text, "char", boolean) from public, anon, authenticated,
  service_role;

-- What a target wants of each column, from its row `w`. Of a column that was added since, the moment says nothing: a
-- live row `l` keeps its value, and without one it gets what m23.filled says. So does a column that may not be null
-- any more, where the project has said how.
-- Without p_live there is no live row.
create or replace function m23.wanted_values(p_target m23.target, p_live boolean default true) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_archive boolean := p_target.wanted is not null and (p_target.moment).taken is null;
  v_is_live text := case when p_live then format('l.%I is not null', m23.tenant_column(p_target.tbl)) end;
begin
  return (select array_agg(case
        -- renamed or dropped meanwhile: whoever runs the query is told
        when a.attname is null then format('w.%I', u.name)
        when a.attname = any (p_target.kept)
          then m23.if_live(v_is_live, a.attname,
                           m23.or_else(format('w.%I', a.attname),
                                       m23.filled(p_target.tbl, a.attnum, p_target.columns, v_archive)))
        else m23.or_else(case when a.atttypmod = -1 then format('w.%I', a.attname)
                              else m23.fitted(format('w.%I', a.attname), a.atttypid, a.atttypmod) end,
                         case when a.attnotnull then case when p_live then format('l.%I, ', a.attname) else '' end
                                || m23.fill_call(p_target.tbl, a.attnum, p_target.columns) end) end
        order by u.n)
      from unnest(p_target.columns) with ordinality u (name, n)
      left join pg_attribute a on a.attrelid = (p_target.tbl).relid and a.attnum > 0 and a.attname = u.name);
end $$;
revoke all on function m23.wanted_values(m23.target, boolean) from public, anon, authenticated, service_role;

-- A value in the length and precision of a column, as an assignment would make it; one that
-- does not fit stays as it is, for the assignment to refuse.
create or replace function m23.fitted(p_value text, p_type oid, p_modifier int) returns text
language sql stable set search_path = '' as $$
  select case
    when p_type = any (array['bit', 'varbit', 'bit[]', 'varbit[]', 'varchar[]', 'bpchar[]']::regtype[]::oid[])
      then p_value
    when p_type in ('varchar'::regtype, 'bpchar'::regtype)
      then format('case when length(%1$s) <= %2$s then (%1$s)::%3$s else %1$s end', p_value, p_modifier - 4,
                  format_type(p_type, p_modifier))
    else format('(%s)::%s', p_value, format_type(p_type, p_modifier)) end
$$;
revoke all on function m23.fitted(text, oid, int) from public, anon, authenticated, service_role;

-- The expression of a live row's column where there is such a row, else another. p_is_live: the condition; null, if
-- there is never one.
create or replace function m23.if_live(p_is_live text, p_column text, p_else text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_is_live is null then p_else
              else format('case when %s then l.%I else %s end', p_is_live, p_column, p_else) end;
end $$;
revoke all on function m23.if_live(text, text, text) from public, anon, authenticated, service_role;

-- Writing a plan: deletes, updates and inserts of the rows that differ, each with the tenant in it.

-- How a planned row `d` finds its live row `l`: by its place, which nobody can change under the
-- fence. Triggers that could not be silenced may have moved it; a partition's places are its own.
create or replace function m23.live_match(p_table m23.protected_tables, p_quiet boolean) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when p_quiet and c.relkind = 'r' then 'l.ctid = d.m23_place'
                      else m23.key_match(c.oid, 'l', 'd') end
            from pg_class c where c.oid = p_table.relid);
end $$;
revoke all on function m23.live_match(m23.protected_tables, boolean) from public, anon, authenticated, service_role;

-- Whether nothing of the application's runs when rows are written: what a statement says that it
-- has written is then what was planned. Else each row is compared with the plan.
create or replace function m23.writes_as_planned(p_table m23.protected_tables, p_quiet boolean) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_quiet and not exists (
    select from m23.captured_relations(p_table.relid) c join pg_rewrite r on r.ev_class = c.relid);
end $$;
revoke all on function m23.writes_as_planned(m23.protected_tables, boolean) from public, anon, authenticated,
  service_role;

-- Deletes the live rows of the plan with one operation; gives how many.
create or replace function m23.delete_diff(p_target m23.target, p_tenant text, p_op "char", p_quiet boolean)
  returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.run(p_target.path, format('delete from %s l using %s d where %s and %s and d.m23_op = %L',
    m23.qualified_name((p_target.tbl).relid), m23.diff_name(p_target.tbl), m23.live_match(p_target.tbl, p_quiet),
    m23.is_planned(p_target.tbl, p_tenant), p_op));
end $$;
revoke all on function m23.delete_diff(m23.target, text, "char", boolean) from public, anon, authenticated,
  service_role;

-- Writes all of a table's plan but its deletes; gives how many rows are known to be as planned.
create or replace function m23.write_diff(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_has     record;
  v_written bigint := 0;
begin
  execute format($sql$
      select bool_or(m23_op = 'U') as updates, bool_or(m23_op = 'T') as takes,
             bool_or(m23_op = 'R') as exchanges, bool_or(m23_op in ('I', 'R')) as inserts from %s$sql$,
    m23.diff_name(p_target.tbl)) into v_has;
  if v_has.exchanges then v_written := m23.delete_diff(p_target, p_tenant, 'R', p_quiet); end if;
  if v_has.updates then v_written := v_written + m23.update_diff(p_target, p_tenant, 'U', p_quiet); end if;
  if v_has.takes then v_written := v_written + m23.update_diff(p_target, p_tenant, 'T', p_quiet); end if;
  if v_has.inserts then v_written := v_written + m23.insert_diff(p_target, p_tenant, p_quiet); end if;
  return v_written;
end $$;
revoke all on function m23.write_diff(m23.target, text, boolean) from public, anon, authenticated, service_role;

-- A row that is taken back is deleted and inserted where it differs in a column that takes no UPDATE.
create or replace function m23.exchange_fixed(p_target m23.target) returns void
language plpgsql set search_path = '' as $$
declare v_differ text := m23.fixed_differ(p_target, 'd');
begin
  if v_differ is null or not m23.may_be_nobodys(p_target.tbl) then return; end if;
  perform m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'R' from {live} l where d.m23_op = 'T' and {same_key} and ({differ})$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'differ', v_differ));
end $$;
revoke all on function m23.exchange_fixed(m23.target) from public, anon, authenticated, service_role;

-- Referenced tables before those that refer to them, as far as there is no cycle. Only a
-- server that does not let triggers be silenced needs the order.
create or replace function m23.parents_first(p_targets m23.target[]) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return (with recursive target as (select t, (t).tbl.relid as relid from unnest(p_targets) t),
      depth (relid, d) as (
        select relid, 0 from target
        union all
        select k.conrelid, d.d + 1 from depth d
          join pg_constraint k on k.contype = 'f' and k.confrelid = d.relid and k.conrelid <> k.confrelid
          join target on target.relid = k.conrelid
         where d.d < cardinality(p_targets))
    select coalesce(array_agg(target.t order by deepest.d, target.relid), '{}')
      from target join (select relid, max(d) as d from depth group by relid) deepest using (relid));
end $$;
revoke all on function m23.parents_first(m23.target[]) from public, anon, authenticated, service_role;

-- Keys of encrypted archives. The database knows which key is whose, by its id, and never a key:
-- those are objects in the store, wrapped by a master key that the Workers have.

create table m23.archive_keys (
  key_id     uuid primary key,
  tenant_id  text not null,
  created_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz,  -- new backups are sealed with another one since
  erased_at  timestamptz,  -- somebody wanted it erased: what was sealed with it cannot be read any more
  constraint erased_is_retired check (erased_at is null or retired_at is not null)
);

create index archive_keys_tenant on m23.archive_keys (tenant_id);

create unique index archive_keys_current on m23.archive_keys (tenant_id) where retired_at is null;

select m23.close_table('m23.archive_keys');

comment on table m23.archive_keys is 'The ids of the tenants'' data keys; one of a tenant''s is in use.';

-- It outlives the tenant's records: a wish to erase is not forgotten with the tenant.
create table m23.key_erasures (
  tenant_id text primary key,
  work_id   uuid not null unique default gen_random_uuid(),
  asked_at  timestamptz not null default clock_timestamp()
);

select m23.close_table('m23.key_erasures');

comment on table m23.key_erasures is
  'Tenants whose key objects are to be deleted from the store; a cron Worker does it.';

insert into m23.settings (name, value, about) values
  ('plain_after_sealed', 'no',
   'yes: a tenant whose backups were encrypted gets plain ones where the functions have no ARCHIVE_KEY');

-- For how long backups are kept: cancelled, deleted with a grace period, retired by the plan. A
-- chain leaves as a whole, and the last good backup never. Objects go last, by a worker.

insert into m23.settings (name, value, about) values
  ('backup_grace_days', '7', 'how long a deleted backup can be taken back');

-- Backups: durable jobs. A job is begun by its user, then driven by a worker that holds
-- its lease, chunk by chunk; whoever finds a lapsed lease goes on where the last chunk
-- ended. Every chunk is read as of the job's one position, while writers go on.

create table m23.backup_work (
  job_id         uuid primary key references public.backup_jobs (id) on delete cascade,
  tenant_id      text not null,
  position       pg_snapshot not null,
  incarnation    uuid not null references m23.incarnations (id),
  position_at    timestamptz not null,
  commit_times   text not null check (commit_times in ('native', 'ticks')),
  ticks          jsonb not null default '[]',  -- since the parent: the moments between the two
  definitions    jsonb not null default '[]',  -- of the types that the tables use
  prefix         text not null,
  manifest       text,  -- its object in the store
  manifest_sha256 text,
  key_id         uuid,  -- what its chunks are sealed with; null for a plain one
  constraint manifest_with_its_hash check ((manifest is null) = (manifest_sha256 is null)),
  constraint manifest_hash_is_sha256 check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  constraint lists_are_arrays check (jsonb_typeof(ticks) = 'array' and jsonb_typeof(definitions) = 'array')
);

create index backup_work_incarnation on m23.backup_work (incarnation);

create table m23.backup_tables (
  job_id         uuid not null references m23.backup_work (job_id) on delete cascade,
  ordinal        int not null,
  table_id       int not null,
  schema_name    text not null,
  table_name     text not null,
  tenant_column  text not null,
  columns        jsonb not null,
  attnums        int2[],  -- of these columns, in this life of the database: what they are called now
  key            text[] not null,
  definition     jsonb,
  whole          boolean not null,  -- all rows; else those that changed since the parent, and their history
  estimated_rows bigint not null,
  done           boolean not null default false,
  history_done   boolean not null,
  primary key (job_id, ordinal),
  constraint whole_has_no_history check (history_done or not whole),
  constraint has_key_and_columns check (cardinality(key) > 0 and jsonb_typeof(columns) = 'array'),
  constraint numbers_of_all_columns check (cardinality(attnums) = jsonb_array_length(columns)),
  constraint counts_from_one check (ordinal >= 1 and estimated_rows >= 0)
);

create table m23.backup_chunks (
  job_id       uuid not null,
  ordinal      int not null,
  history      boolean not null default false,  -- not rows, but what the log says of them since the parent
  seq          int not null,
  object       text not null,
  rows         int not null,
  bytes        bigint not null,
  stored_bytes bigint not null,
  sha256       text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  fingerprint  numeric,  -- of its lines as the database read them; see m23.fingerprint_of
  sealed_fingerprint text,  -- the same for the manifest of an encrypted backup
  last_key     text[] not null,
  primary key (job_id, ordinal, history, seq),
  foreign key (job_id, ordinal) references m23.backup_tables (job_id, ordinal) on delete cascade,
  constraint counts_from_one check (seq >= 1 and rows >= 0 and bytes >= 0 and stored_bytes >= 0)
);

select m23.close_table('m23.backup_work');

select m23.close_table('m23.backup_tables');

select m23.close_table('m23.backup_chunks');

-- PostgREST gives a function's result as raw bytes when its type is called so.
create domain m23."application/octet-stream" as bytea;

-- Adoption: a database learns of a backup from its manifest. It notes what is needed to read the rows, and executes
-- nothing that the manifest says: types and tables that are missing are made by `m23 catalogue rebuild`, with the
-- rights of whoever connects, before a restore fills them.
create or replace function m23.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_id     uuid := (p_manifest ->> 'backup_id')::uuid;
  v_parent uuid := (p_manifest -> 'parent' ->> 'backup_id')::uuid;
  v_known  m23.backup_work;
begin
  if p_manifest ->> 'format' is distinct from 'm23-archive' or (p_manifest ->> 'version')::int not in (1, 2, 3) then
    raise exception 'this is not a manifest that this version knows' using errcode = 'invalid_parameter_value';
  elsif p_object is distinct from m23.backup_prefix(p_manifest ->> 'tenant_id', v_id) || '/manifest.json' then
    raise exception 'the manifest of the backup % does not lie at %', v_id, p_object
      using errcode = 'invalid_parameter_value';
  end if;
  select * into v_known from m23.backup_work where job_id = v_id;
  if v_known.manifest_sha256 = p_sha256 then
    return v_id;
  elsif v_known.job_id is not null or exists (select from public.backup_jobs where id = v_id) then
    raise exception 'the backup % is here already, with another manifest', v_id using errcode = 'unique_violation';
  elsif v_parent is not null
     and not exists (select from m23.backup_work w
                      where w.job_id = v_parent and w.manifest_sha256 = p_manifest -> 'parent' ->> 'sha256') then
    raise exception 'the backup % builds on %, which is not here, or is another: adopt that first', v_id, v_parent
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  perform m23.note_adopted(p_manifest, p_object, p_sha256);
  return v_id;
end $$;
comment on function m23.adopt_backup(jsonb, text, text) is
  'Records a backup from its manifest, the manifest''s object and its SHA-256, and executes nothing. Full backups '
  'before their incrementals. Again: nothing.';
revoke all on function m23.adopt_backup(jsonb, text, text) from public, anon, authenticated, service_role;

-- One at a time chooses or erases a tenant's key.
create or replace function m23.lock_keys(p_tenant text) returns void
language sql volatile set search_path = '' as
$$ select pg_advisory_xact_lock(hashtextextended('m23.keys.' || p_tenant, 0)) $$;
revoke all on function m23.lock_keys(text) from public, anon, authenticated, service_role;

-- Whether a tenant's backups must not be plain: they were encrypted, and nobody has said that they
-- need not be any more.
create or replace function m23.must_be_sealed(p_tenant text) returns boolean
language sql stable set search_path = '' as $$
  select m23.setting('plain_after_sealed') <> 'yes'
     and exists (select from m23.archive_keys k where k.tenant_id = p_tenant and k.erased_at is null)
$$;
revoke all on function m23.must_be_sealed(text) from public, anon, authenticated, service_role;

-- What a worker has to know before it seals a backup.
create or replace function m23.key_plan(p_work m23.backup_work) returns json
language sql stable set search_path = '' as $$
  select json_build_object('tenant_id', p_work.tenant_id, 'key_id', p_work.key_id,
    'tenant_key_id', (select k.key_id from m23.archive_keys k
                       where k.tenant_id = p_work.tenant_id and k.retired_at is null),
    'sealed', m23.must_be_sealed(p_work.tenant_id),
    'plain', p_work.key_id is null and exists (select from m23.backup_chunks c where c.job_id = p_work.job_id))
$$;
revoke all on function m23.key_plan(m23.backup_work) from public, anon, authenticated, service_role;

-- Whether the key that a backup is encrypted with was erased.
create or replace function m23.key_is_erased(p_job uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (select from m23.backup_work w join m23.archive_keys k on k.key_id = w.key_id
                  where w.job_id = p_job and k.erased_at is not null)
$$;
revoke all on function m23.key_is_erased(uuid) from public, anon, authenticated, service_role;

-- Refuses a backup whose key was erased while it was made.
create or replace function m23.refuse_erased_key(p_job uuid) returns void
language plpgsql stable set search_path = '' as $$
begin
  if m23.key_is_erased(p_job) then
    perform m23.refuse('BACKUP_UNUSABLE', 'the key that this backup is encrypted with was erased while it was made');
  end if;
end $$;
revoke all on function m23.refuse_erased_key(uuid) from public, anon, authenticated, service_role;

-- Where the key objects of a tenant lie in the bucket.
create or replace function m23.keys_prefix(p_tenant text) returns text
language sql immutable set search_path = '' as
$$ select format('keys/%s/', m23.tenant_name(p_tenant)) $$;
revoke all on function m23.keys_prefix(text) from public, anon, authenticated, service_role;

-- For how long a deleted backup can be taken back.
create or replace function m23.backup_grace_period() returns interval
language sql stable set search_path = '' as $$ select make_interval(days => m23.setting('backup_grace_days')::int) $$;
revoke all on function m23.backup_grace_period() from public, anon, authenticated, service_role;

-- A backup of the caller's tenant, locked against others who would change or build on it.
create or replace function m23.backup_for(p_id uuid, p_roles text[]) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
declare v_job public.backup_jobs;
begin
  perform m23.refuse_anonymous();
  select * into v_job from public.backup_jobs where id = p_id for update;
  if v_job.id is null or not m23.is_member(v_job.tenant_id) then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  perform m23.require_role(v_job.tenant_id, p_roles);
  return v_job;
end $$;
revoke all on function m23.backup_for(uuid, text[]) from public, anon, authenticated, service_role;

-- Whether a backup holds rows outside the database and can be read to its end.
create or replace function m23.is_good(p_job public.backup_jobs) returns boolean
language sql stable set search_path = '' as
$$ select p_job.job_type <> 'snapshot' and m23.chain_fault(p_job) is null $$;
revoke all on function m23.is_good(public.backup_jobs) from public, anon, authenticated, service_role;

-- The newest are looked at first: what a backup builds on has to be followed for each.
create or replace function m23.newest_good(p_tenant text) returns uuid
language plpgsql stable set search_path = '' as $$
declare v_job public.backup_jobs;
begin
  for v_job in select * from public.backup_jobs
                where tenant_id = p_tenant and status = 'completed' and deleted_at is null
                order by completed_at desc, id loop
    if m23.is_good(v_job) then return v_job.id; end if;
  end loop;
  return null;
end $$;
revoke all on function m23.newest_good(text) from public, anon, authenticated, service_role;

-- Why a backup must stay; null when it may go.
create or replace function m23.needed_because(p_job public.backup_jobs) returns text
language sql stable set search_path = '' as $$
  select case
    when p_job.status in ('pending', 'in_progress') then 'it is still being made; cancel it first'
    when exists (select from public.backup_jobs c
                  where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed')
      then (select format('"%s" builds on it; delete that first', c.backup_name) from public.backup_jobs c
             where c.parent_backup_id = p_job.id and c.deleted_at is null and c.status <> 'failed'
             order by c.created_at desc limit 1)
    when m23.is_good(p_job)
       and not exists (select from public.backup_jobs o
                        where o.tenant_id = p_job.tenant_id and o.id <> p_job.id and m23.is_good(o))
      then 'it is the last good backup; make another one first' end
$$;
revoke all on function m23.needed_because(public.backup_jobs) from public, anon, authenticated, service_role;

-- What the tenant's plans let go, with the reason: chains whose newest member is older than the
-- longest retention, and failed jobs. Without an active plan nothing goes.
create or replace function m23.past_retention(p_tenant text) returns table (backup_id uuid, reason text)
language sql stable set search_path = '' as $$
  with kept as (select max(p.retention_days) as days from public.dr_plans p
                 where p.tenant_id = p_tenant and p.is_active),
    good as (select m23.newest_good(p_tenant) as id),
    member as (
      select j.*, coalesce(j.base_backup_id, j.id) as chain from public.backup_jobs j
       where j.tenant_id = p_tenant and j.deleted_at is null),
    chain as (
      select m.chain, max(coalesce(m.completed_at, m.created_at)) as newest,
             bool_or(m.status in ('pending', 'in_progress')) as is_running,
             bool_or(m.id = good.id) as has_last
        from member m cross join good group by m.chain)
  select m.id,
         format('the newest backup of its chain is from %s, longer ago than the %s days that the plans keep',
                m23.iso(c.newest), k.days)
    from kept k
    join chain c on c.newest < clock_timestamp() - make_interval(days => k.days) and not c.is_running and not c.has_last
    join member m on m.chain = c.chain
$$;
revoke all on function m23.past_retention(text) from public, anon, authenticated, service_role;

-- Upkeep: deletes what is past its retention, with the same grace as any deletion.
create or replace function m23.retire_backups(p_tenant text) returns int
language plpgsql volatile set search_path = '' as $$
declare v_count int;
begin
  if not exists (select from public.dr_plans where tenant_id = p_tenant and is_active) then return 0; end if;
  update public.backup_jobs j set deleted_at = clock_timestamp(), metadata = j.metadata
      || jsonb_build_object('deleted_because', r.reason)
    from m23.past_retention(p_tenant) r where j.id = r.backup_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.retire_backups(text) from public, anon, authenticated, service_role;

-- Rows a second, as measured over the last backups; 50,000 before there is one.
create or replace function m23.backup_throughput() returns numeric
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(sum(rows) / nullif(sum(seconds), 0), 50000) from (
    select (j.metadata -> 'progress' ->> 'rows')::numeric as rows, j.duration_seconds as seconds
      from public.backup_jobs j
     where j.status = 'completed' and j.duration_seconds > 0 and (j.metadata -> 'progress' ->> 'rows')::bigint > 1000
     order by j.completed_at desc limit 20) recent);
end $$;
revoke all on function m23.backup_throughput() from public, anon, authenticated, service_role;

-- Makes the row of a backup as a request's body asks for it; gives it.
create or replace function m23.new_backup_job(p_tenant text, p_backup jsonb) returns public.backup_jobs
language sql set search_path = '' as $$
  insert into public.backup_jobs (tenant_id, backup_name, description, job_type, tables, base_backup_id, created_by)
  values (p_tenant,
          coalesce(p_backup ->> 'backupName',
                   format('%s %s', p_backup ->> 'jobType',
                          to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))),
          p_backup ->> 'description', p_backup ->> 'jobType',
          (select array_agg(t) from jsonb_array_elements_text(p_backup -> 'tables') t),
          (p_backup ->> 'baseBackupId')::uuid, auth.uid())
  returning *
$$;
revoke all on function m23.new_backup_job(text, jsonb) from public, anon, authenticated, service_role;

-- Refuses a job that no backup can be made of, with all its faults.
create or replace function m23.refuse_backup_faults(p_job public.backup_jobs) returns void
language plpgsql set search_path = '' as $$
declare v_faults text[] := m23.table_faults(p_job.tables) || m23.obstacle_faults(p_job.tables);
begin
  if not exists (select from m23.protected_tables) then
    v_faults := v_faults || 'tables: no table is protected yet; see m23.protect_table'::text;
  end if;
  if p_job.job_type = 'incremental' and p_job.base_backup_id is null then
    v_faults := v_faults || 'baseBackupId: is required for incremental'::text;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the backup cannot be made as asked', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_backup_faults(public.backup_jobs) from public, anon, authenticated, service_role;

-- Where the objects of a backup lie in the bucket.
create or replace function m23.backup_prefix(p_tenant text, p_job uuid) returns text
language sql immutable set search_path = '' as
$$ select format('tenants/%s/backups/%s', m23.tenant_name(p_tenant), p_job) $$;
revoke all on function m23.backup_prefix(text, uuid) from public, anon, authenticated, service_role;

-- Notes the position that a backup is of, and what is true of the database there. p_parent: what it builds on.
create or replace function m23.note_backup_work(p_job public.backup_jobs, p_parent m23.backup_work) returns void
language plpgsql set search_path = '' as $$
declare v_taken record;
begin
  select * into v_taken from m23.take_position();
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, prefix, commit_times, ticks,
                               definitions)
    values (p_job.id, p_job.tenant_id, v_taken.here, m23.incarnation(), v_taken.at,
            m23.backup_prefix(p_job.tenant_id, p_job.id),
            m23.commit_times_since(p_parent.position_at), m23.ticks_between(p_parent, v_taken.here, v_taken.at),
            m23.type_definitions(p_job.tables));
end $$;
revoke all on function m23.note_backup_work(public.backup_jobs, m23.backup_work) from public, anon, authenticated,
  service_role;

-- Ends a backup that waits or runs, as failed.
create or replace function m23.fail_backup(p_job uuid, p_error text) returns void
language sql set search_path = '' as $$
  update public.backup_jobs set status = 'failed', error_message = left(p_error, 2000),
         completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_job and status in ('pending', 'in_progress');
  delete from m23.leases where work_id = p_job;
$$;
revoke all on function m23.fail_backup(uuid, text) from public, anon, authenticated, service_role;

-- What a worker needs to drive a backup: its parts, each with how far it has come. p_token: its lease.
create or replace function m23.backup_plan(p_job uuid, p_token uuid) returns json
language plpgsql stable set search_path = '' as $$
begin
  return (select json_build_object(
    'job_id', w.job_id, 'lease', p_token, 'tenant_id', w.tenant_id, 'prefix', w.prefix, 'key', m23.key_plan(w),
    'parent', (select json_build_object('manifest', p.manifest, 'sha256', p.manifest_sha256)
                 from public.backup_jobs j join m23.backup_work p on p.job_id = j.parent_backup_id
                where j.id = w.job_id),
    'parts', (select json_agg(json_build_object(
                 'ordinal', t.ordinal, 'schema', t.schema_name, 'name', t.table_name, 'history', history,
                 'done', case when history then t.history_done else t.done end,
                 'next_seq', (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c
                               where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history),
                 'after', (select c.last_key from m23.backup_chunks c
                            where c.job_id = t.job_id and c.ordinal = t.ordinal and c.history = h.history
                            order by c.seq desc limit 1)) order by t.ordinal, history)
                 from m23.backup_tables t cross join (values (false), (true)) h (history)
                where t.job_id = w.job_id and not (t.whole and h.history)))
    from m23.backup_work w where w.job_id = p_job);
end $$;
revoke all on function m23.backup_plan(uuid, uuid) from public, anon, authenticated, service_role;

-- Why a table cannot be read as of a backup's position.
create or replace function m23.reading_fault(p_table m23.protected_tables, p_work m23.backup_work) returns text
language plpgsql stable set search_path = '' as $$
declare v_moment m23.moment := m23.moment_of(p_work.position, p_work.position_at);
begin
  return coalesce(m23.moment_fault(p_table, v_moment), m23.lost_since(p_table, p_work.tenant_id, v_moment),
    case when m23.has_altered_type(p_table.relid, p_work.position)
         then format('a type that %s uses was altered while it was backed up', m23.public_name(p_table.relid)) end);
end $$;
revoke all on function m23.reading_fault(m23.protected_tables, m23.backup_work) from public, anon, authenticated,
  service_role;

-- How far a backup has come, as its row shows it.
create or replace function m23.backup_progress(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  with c as (select coalesce(sum(rows), 0) as rows, coalesce(sum(bytes), 0) as bytes,
                    coalesce(sum(stored_bytes), 0) as stored_bytes, count(*) as chunks
               from m23.backup_chunks where job_id = p_job),
       t as (select count(*) as tables, count(*) filter (where done and history_done) as tables_done,
                    sum(estimated_rows) as estimated_rows,
                    min(schema_name || '.' || table_name) filter (where not (done and history_done)) as current_table
               from m23.backup_tables where job_id = p_job)
  select jsonb_build_object('rows', c.rows, 'estimated_rows', greatest(t.estimated_rows, c.rows), 'bytes', c.bytes,
           'stored_bytes', c.stored_bytes, 'chunks', c.chunks, 'tables', t.tables, 'tables_done', t.tables_done,
           'current_table', t.current_table,
           'percent', case when t.tables = t.tables_done then 100
                           else least(99, floor(100.0 * c.rows / greatest(t.estimated_rows, c.rows, 1))) end)
    from c, t
$$;
revoke all on function m23.backup_progress(uuid) from public, anon, authenticated, service_role;

-- Chains: a full backup and the incrementals that build on it. An incremental holds, of each
-- table, the rows as of its own position of the keys that have changed since its parent's, and
-- what the log says of them: a moment between the two is reached backwards, from its end.

-- A chain up to one of its members, the full backup first.
create or replace function m23.chain_of(p_job uuid) returns setof public.backup_jobs
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query
  with recursive chain as (
    select j.id, j.parent_backup_id, 0 as back from public.backup_jobs j where j.id = p_job
    union all
    select j.id, j.parent_backup_id, c.back + 1 from chain c join public.backup_jobs j on j.id = c.parent_backup_id)
  select j.* from chain c join public.backup_jobs j on j.id = c.id order by c.back desc;
end $$;
revoke all on function m23.chain_of(uuid) from public, anon, authenticated, service_role;

-- What keeps a backup, with all that it builds on, from being read; null when nothing does. A
-- recovery test looks at one whose key was erased all the same.
create or replace function m23.chain_fault(p_job public.backup_jobs, p_needs_key boolean default true) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when j.id = p_job.id then 'this backup is '
                      else format('the chain is broken: "%s" is ', j.backup_name) end
           || case when j.deleted_at is not null then 'deleted'
                   when j.status <> 'completed' then replace(j.status, '_', ' ') || ', not completed'
                   else 'encrypted with a key that was erased' end
      from m23.chain_of(p_job.id) j
     where j.deleted_at is not null or j.status <> 'completed' or p_needs_key and m23.key_is_erased(j.id)
      order by j.id <> p_job.id, j.created_at limit 1);
end $$;
revoke all on function m23.chain_fault(public.backup_jobs, boolean) from public, anon, authenticated, service_role;

-- The tables that a backup is of, by their present names; null for all.
create or replace function m23.tables_of_job(p_job public.backup_jobs) returns text[]
language plpgsql volatile set search_path = '' as
$$ begin return case when p_job.tables is not null then m23.names_now(p_job.id, null) end; end $$;
revoke all on function m23.tables_of_job(public.backup_jobs) from public, anon, authenticated, service_role;

-- Whether a member has a table whole: it is new since the parent, or has another shape, key or
-- history than it had there, or a partition was dropped with its rows.
create or replace function m23.is_whole(p_table m23.protected_tables, p_parent m23.backup_work) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select p_parent.job_id is null or not pg_visible_in_snapshot(p_table.xid, p_parent.position)
      or m23.lost_since(p_table, p_parent.tenant_id, m23.moment_of(p_parent.position)) is not null or not exists (
    select from m23.backup_tables b
     where b.job_id = p_parent.job_id and b.table_id = p_table.id
       and b.columns = m23.shape_of(p_table.relid) and b.key = m23.key_of(p_table.relid)
       and b.tenant_column = m23.tenant_column(p_table)
       and format('%I.%I', b.schema_name, b.table_name) = m23.qualified_name(p_table.relid)));
end $$;
revoke all on function m23.is_whole(m23.protected_tables, m23.backup_work) from public, anon, authenticated,
  service_role;

-- The position of the backup that one builds on; null for a full one.
create or replace function m23.parent_position(p_job uuid) returns pg_snapshot
language sql stable set search_path = '' as
$$ select w.position from public.backup_jobs j join m23.backup_work w on w.job_id = j.parent_backup_id
    where j.id = p_job $$;
revoke all on function m23.parent_position(uuid) from public, anon, authenticated, service_role;

-- What a manifest says of its parent.
create or replace function m23.parent_facts(p_parent uuid) returns json
language sql stable set search_path = '' as $$
  select json_build_object('backup_id', w.job_id, 'manifest', w.manifest, 'sha256', w.manifest_sha256,
                           'position', w.position::text, 'position_at', w.position_at)
    from m23.backup_work w where w.job_id = p_parent
$$;
revoke all on function m23.parent_facts(uuid) from public, anon, authenticated, service_role;

-- The transactions that have changed a tenant's rows since a position, in their order; null for none.
create or replace function m23.changed_by(p_tables text[], p_tenant text, p_since pg_snapshot) returns xid8[]
language plpgsql volatile set search_path = '' as $$
declare
  v_table int;
  v_xids  xid8[] := '{}';
  v_more  xid8[];
begin
  foreach v_table in array
    m23.logged_tables(array(select t.id from m23.chosen(p_tables) t), p_tenant, pg_snapshot_xmin(p_since))
  loop
    begin  -- which lets go of what it opens
      execute format('select array_agg(distinct l.xid) from %s l where %s
                         and l.xid >= pg_snapshot_xmin($2) and not pg_visible_in_snapshot(l.xid, $2)',
                     m23.log_of(v_table, p_tenant, pg_snapshot_xmin(p_since)), m23.is_logged_of(v_table, '$1'))
        into v_more using p_tenant, p_since;
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then null;
    end;
    v_xids := v_xids || v_more;
  end loop;
  return (select array_agg(distinct x order by x) from unnest(v_xids) x);
end $$;
revoke all on function m23.changed_by(text[], text, pg_snapshot) from public, anon, authenticated, service_role;

-- Reading an incremental: what has changed between the position of its parent and its own.

-- The transactions that have changed a tenant's rows between the two positions.
create or replace function m23.between_positions(p_table m23.protected_tables, p_log text) returns text
language sql stable set search_path = '' as $q$
  select format($$between_positions as materialized (
    select x.xid from (select distinct l.xid from %s l where l.tenant_id = %s and l.xid >= ($4).floor) x
     where not pg_visible_in_snapshot(x.xid, ($4).position) and pg_visible_in_snapshot(x.xid, ($2).position))$$, p_log,
    m23.tenant_value(p_table, '$1'))
$q$;
revoke all on function m23.between_positions(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The rows as of the member's position of the next keys that have changed since the parent's.
create or replace function m23.changed_query(p_table m23.protected_tables, p_log text, p_limit int) returns text
language sql stable set search_path = '' as $q$
  select format($$with %1$s, %2$s,
      changed as materialized (
        select distinct %3$s
          from (select %4$s from %5$s l where l.tenant_id = %15$s and l.xid >= ($4).floor
                   and l.xid in (select xid from between_positions)) r where %6$s)
    (select %7$s from changed k join %8$s r on %9$s where %10$s and not %11$s order by %3$s limit %14$s)
    union all
    (select %7$s from touched r
      where %12$s and (exists (select from %8$s t where %16$s and %13$s))::int - r.m23_balance = 1
      order by %3$s limit %14$s)$$,
    m23.touched_since(p_table, p_log), m23.between_positions(p_table, p_log), m23.key_list(p_table.relid, 'r'),
    m23.log_images(p_table), p_log, m23.key_after(p_table.relid), m23.select_list(p_table.relid, 'r'),
    m23.qualified_name(p_table.relid), m23.key_match(p_table.relid, 'k', 'r'), m23.belongs_to(p_table, 'r', '$1'),
    m23.key_in(p_table.relid, 'r', 'touched'), m23.key_in(p_table.relid, 'r', 'changed'),
    m23.key_match(p_table.relid, 't', 'r'), p_limit,
    m23.tenant_value(p_table, '$1'), m23.belongs_to(p_table, 't', '$1'))
$q$;
revoke all on function m23.changed_query(m23.protected_tables, text, int) from public, anon, authenticated,
  service_role;

-- What the log says next of the changes between the two positions, with the time of each one's
-- commit where the server knows it.
create or replace function m23.part_history_query(p_table m23.protected_tables, p_log text, p_limit int) returns text
language sql stable set search_path = '' as $q$
  select format($$with %s
    select l.op as m23_op, (l.change_id - '0/0')::bigint as m23_change_id, l.xid as m23_xid, %s as m23_at,
           coalesce(l.unchanged, 0) as m23_unchanged, %s
      from %s l where l.tenant_id = %s and l.xid >= ($4).floor and l.xid in (select xid from between_positions)
       and ($3 is null or (l.change_id, l.xid) > ('0/0'::pg_lsn + ($3[1])::numeric, ($3[2])::xid8))
     order by l.change_id, l.xid limit %s$$,
    m23.between_positions(p_table, p_log),
    case when m23.commit_times_are_native()
         then 'coalesce((select c.at from m23.commit_times c where c.xid = l.xid), '
              'pg_xact_commit_timestamp(l.xid::xid))'
         else 'null::timestamptz' end,
    m23.log_images(p_table), p_log, m23.tenant_value(p_table, '$1'), p_limit)
$q$;
revoke all on function m23.part_history_query(m23.protected_tables, text, int) from public, anon, authenticated,
  service_role;

-- How many entries of a tenant's rows the log has since a position.
create or replace function m23.count_changes(p_table m23.protected_tables, p_tenant text, p_since pg_snapshot)
  returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_count bigint;
begin
  begin  -- which lets go of what it opens
    execute format('select count(*) from %s l where l.tenant_id = %s and l.xid >= pg_snapshot_xmin($2)
                       and not pg_visible_in_snapshot(l.xid, $2)',
                   m23.log_of(p_table.id, p_tenant, pg_snapshot_xmin(p_since)), m23.tenant_value(p_table, '$1'))
      into v_count using p_tenant, p_since;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_count;
end $$;
revoke all on function m23.count_changes(m23.protected_tables, text, pg_snapshot) from public, anon, authenticated,
  service_role;

-- What would make the rest of a backup another moment, or another shape, than its beginning.
create or replace function m23.check_part(
  p_part m23.backup_tables, p_table m23.protected_tables, p_work m23.backup_work
) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_name text := p_part.schema_name || '.' || p_part.table_name;
  v_gap  text;
begin
  if p_table.id is null or not exists (select from pg_class where oid = p_table.relid) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s was dropped or unprotected while it was backed up', v_name));
  end if;
  if m23.shape_of(p_table.relid) <> p_part.columns or m23.key_of(p_table.relid) <> p_part.key then
    perform m23.refuse('BACKUP_UNUSABLE', format('the columns of %s changed while it was backed up', v_name));
  end if;
  if p_work.incarnation <> m23.incarnation() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the database was restored or copied while the backup ran');
  end if;
  v_gap := m23.reading_fault(p_table, p_work);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
end $$;
revoke all on function m23.check_part(m23.backup_tables, m23.protected_tables, m23.backup_work) from public, anon,
  authenticated, service_role;

-- The lines of a chunk: rows in the text format of COPY.

-- One line of COPY's text format for a row `r`: tab-separated, \N for null, and
-- backslash, tab, newline and carriage return escaped. With a list: of these columns only.
create or replace function m23.copy_line(p_relid oid, p_columns text[] default null) returns text
language sql stable set search_path = '' as $$
  select string_agg(case
      when c.plain then format('coalesce(%s, ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'jsonb'  -- it escapes the others itself
        then format('coalesce(replace((%s) collate "C", ''\'', ''\\''), ''\N'')', m23.text_of(c, 'r'))
      when c.type_name = 'bytea' then format('coalesce(''\'' || r.%I::text, ''\N'')', c.name)
      -- A column's own collation may be one that replace() does not support.
      else format('coalesce(replace(replace(replace(replace((%s) collate "C", ''\'', ''\\''), '
                  'chr(9), ''\t''), chr(10), ''\n''), chr(13), ''\r''), ''\N'')',
                  m23.text_of(c, 'r')) end, ' || chr(9) || ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated and (p_columns is null or c.name = any (p_columns))
$$;
revoke all on function m23.copy_line(oid, text[]) from public, anon, authenticated, service_role;

-- A sum over lines, whatever their order and however they are cut into chunks: those of a
-- restored copy must come to the same.
create or replace function m23.fingerprint_of(p_lines text[]) returns numeric
language sql immutable set search_path = '' as
$$ select coalesce(sum(hashtextextended(l collate "C", 0)), 0) from unnest(p_lines) l $$;
revoke all on function m23.fingerprint_of(text[]) from public, anon, authenticated, service_role;

-- The key of the n-th live row after a key, null where there are fewer: where the next chunk will end if nothing
-- changes.
create or replace function m23.key_ahead(
  p_table m23.protected_tables, p_tenant text, p_key text, p_after text[], p_rows int
) returns text[]
language plpgsql volatile set search_path = '' as $$
declare
  v_query text := format('select array[%s] from (%s offset %s) r', p_key, m23.live_query(p_table, 1), p_rows - 1);
  v_path  text := m23.path_of(p_table.relid);
  v_at    m23.moment;
  v_ahead text[];
begin
  perform set_config('search_path', v_path, true);
  execute v_query into v_ahead using p_tenant, v_at, p_after;
  return v_ahead;
end $$;
revoke all on function m23.key_ahead(m23.protected_tables, text, text, text[], int) from public, anon, authenticated,
  service_role;

-- The key of such a line `r`, as texts.
create or replace function m23.part_key(p_table m23.protected_tables, p_history boolean) returns text
language sql stable set search_path = '' as $$
  select case when p_history then 'r.m23_change_id::text, r.m23_xid::text' else
    (select string_agg(m23.text_of(c, 'r'), ', ' order by c.key_ord)
       from m23.columns_of(p_table.relid, p_of_key => true) c) end
$$;
revoke all on function m23.part_key(m23.protected_tables, boolean) from public, anon, authenticated, service_role;

-- The planner's estimate of a tenant's rows: no scan, and good enough for a progress bar.
create or replace function m23.estimated_rows(p_table m23.protected_tables, p_tenant text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_query text := format('explain (format json) select from %s r where %s', m23.qualified_name(p_table.relid),
                         m23.belongs_to(p_table, 'r', quote_literal(p_tenant)));
  v_path  text := m23.path_of(p_table.relid);
  v_plan  json;
begin
  perform set_config('search_path', v_path, true);
  begin  -- which lets go of the indexes: there may be hundreds of tables
    execute v_query into v_plan;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  perform pg_catalog.set_config('search_path', '', true);
  return (v_plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
end $$;
revoke all on function m23.estimated_rows(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Why the log cannot say what has changed since the parent; empty when it can.
create or replace function m23.gaps_since(p_parent m23.backup_work, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  if p_parent.incarnation <> m23.incarnation() then
    return array['the database was restored or copied since that backup was made'];
  end if;
  return array(
    select format('the history of %s goes back to %s, and that backup is older', m23.public_name(t.relid),
                  m23.iso(t.pruned_at))
      from m23.chosen(p_tables) t
     where pg_snapshot_xmin(p_parent.position) < t.pruned_below and not m23.is_whole(t, p_parent)
    union all
    select format('changes of %s may have gone unseen: %s', m23.public_name(t.relid), f.fault)
      from m23.chosen(p_tables) t
      join m23.capture_faults(array(select c.id from m23.chosen(p_tables) c)) f on f.table_id = t.id
     where not m23.is_whole(t, p_parent)
    union all
    select f from m23.tenant_fault(p_parent.tenant_id, m23.moment_of(p_parent.position, p_parent.position_at)) f
     where f is not null);
end $$;
revoke all on function m23.gaps_since(m23.backup_work, text[]) from public, anon, authenticated, service_role;

-- Makes a job the next member of its parent's chain, with the parent's tables; gives the parent.
create or replace function m23.join_chain(p_job public.backup_jobs) returns m23.backup_work
language plpgsql volatile set search_path = '' as $$
declare
  v_parent public.backup_jobs := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_work   m23.backup_work;
  v_gaps   text[];
begin
  if array(select t.id from m23.tables_named(p_job.tables) t order by 1)
       <> array(select t.id from m23.tables_named(m23.tables_of_job(v_parent)) t order by 1)
     and p_job.tables is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the backup cannot be made as asked',
      array['tables: an incremental has the tables of the backup that it builds on; '
            'leave this out, or make a full backup']);
  end if;
  -- Nobody deletes it meanwhile, or has done so just now.
  perform from public.backup_jobs where id = v_parent.id for share;
  v_parent := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_parent.tables := m23.tables_of_job(v_parent);
  select * into v_work from m23.backup_work where job_id = v_parent.id;
  v_gaps := m23.gaps_since(v_work, v_parent.tables);
  if cardinality(v_gaps) > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup; make a full one',
                       array(select 'baseBackupId: ' || g from unnest(v_gaps) g));
  end if;
  update public.backup_jobs set parent_backup_id = v_parent.id,
         base_backup_id = coalesce(v_parent.base_backup_id, v_parent.id), tables = v_parent.tables
   where id = p_job.id;
  return v_work;
end $$;
revoke all on function m23.join_chain(public.backup_jobs) from public, anon, authenticated, service_role;

-- A backup that is a position: complete at once, inside the database, as long as the log is kept.
create or replace function m23.make_snapshot_backup(p_job public.backup_jobs) returns json
language plpgsql volatile set search_path = '' as $$
declare
  v_names    text[] := m23.public_names(m23.chosen_tables(p_job.tables, false));
  v_id       uuid := m23.new_snapshot(p_job.tenant_id, p_job.backup_name, 'manual', v_names, p_job.created_by, null);
  v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots where id = v_id;
  perform m23.note_backup_work(p_job, null);
  update m23.backup_work set position = (v_snapshot.snapshot_data ->> 'position')::pg_snapshot,
         position_at = (v_snapshot.snapshot_data ->> 'taken_at')::timestamptz
   where job_id = p_job.id;
  perform m23.note_backup_tables(p_job, null);
  update m23.backup_tables set done = true, history_done = true where job_id = p_job.id;
  update public.backup_jobs set status = 'completed', started_at = clock_timestamp(), completed_at = clock_timestamp(),
         backup_size_bytes = 0, duration_seconds = 0,
         metadata = metadata || jsonb_build_object('snapshot_id', v_snapshot.id, 'expires_at', v_snapshot.expires_at,
           'position', v_snapshot.snapshot_data ->> 'position', 'position_at', v_snapshot.snapshot_data ->> 'taken_at',
           'note', 'lives inside the database: it is gone when the database is, and when it expires')
   where id = p_job.id;
  return json_build_object('job_id', p_job.id, 'backup_name', p_job.backup_name, 'estimated_duration', 0,
                           'status', 'in_progress');
end $$;
revoke all on function m23.make_snapshot_backup(public.backup_jobs) from public, anon, authenticated, service_role;

-- What a manifest lists of a part of a backup.

-- The groups that the log of a part of a backup leaves out columns by, with the names that they had when it began; null
-- for a part that is whole, which has no log.
create or replace function m23.groups_of_part(p_part m23.backup_tables) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  if p_part.whole then return null; end if;
  return (select jsonb_agg((select coalesce(jsonb_agg(u.column_facts ->> 'name' order by u.n), '[]')
                              from rows from (jsonb_array_elements(p_part.columns), unnest(p_part.attnums))
                                with ordinality u (column_facts, attnum, n), m23.log_groups g
                             where g.table_id = p_part.table_id and g.bit = b.bit and u.attnum = any (g.attnums))
                           order by b.bit)
            from generate_series(0, (select max(g.bit) from m23.log_groups g
                                      where g.table_id = p_part.table_id)) b (bit));
end $$;
revoke all on function m23.groups_of_part(m23.backup_tables) from public, anon, authenticated, service_role;

-- The fingerprint of an encrypted chunk is sealed: anybody can read a manifest, and could try what a
-- short chunk holds.
create or replace function m23.chunks_of(p_part m23.backup_tables, p_history boolean) returns json
language sql stable set search_path = '' as $$
  select coalesce(json_agg(json_build_object(
           'object', c.object, 'rows', c.rows, 'bytes', c.bytes, 'stored_bytes', c.stored_bytes, 'sha256', c.sha256,
           'fingerprint', case when w.key_id is null then c.fingerprint::text else c.sealed_fingerprint end)
           order by c.seq), '[]')
    from m23.backup_chunks c join m23.backup_work w on w.job_id = c.job_id
   where c.job_id = p_part.job_id and c.ordinal = p_part.ordinal and c.history = p_history
$$;
revoke all on function m23.chunks_of(m23.backup_tables, boolean) from public, anon, authenticated, service_role;

-- Writes the records of a backup that lies in the bucket, as its manifest has them. p_object: the manifest's place.
create or replace function m23.note_adopted(p_manifest jsonb, p_object text, p_sha256 text) returns void
language plpgsql set search_path = '' as $$
declare
  v_id uuid := (p_manifest ->> 'backup_id')::uuid;
  v_at timestamptz := (p_manifest ->> 'position_at')::timestamptz;
begin
  -- Its positions are of a life that is over; it must never look like the newest.
  insert into m23.incarnations (id, fingerprint, since)
    values ((p_manifest ->> 'incarnation')::uuid, 'adopted', '-infinity') on conflict do nothing;
  insert into public.backup_jobs (id, tenant_id, backup_name, job_type, status, created_at, created_by, started_at,
                                  completed_at, backup_size_bytes, base_backup_id, parent_backup_id, metadata)
    values (v_id, p_manifest ->> 'tenant_id', p_manifest ->> 'backup_name', p_manifest ->> 'job_type',
            'completed', v_at, null, v_at, v_at,
            (p_manifest ->> 'stored_bytes')::bigint, (p_manifest ->> 'base_backup_id')::uuid,
            (p_manifest -> 'parent' ->> 'backup_id')::uuid,
            jsonb_build_object('position', p_manifest ->> 'position', 'position_at', v_at, 'manifest', p_object,
                               'manifest_sha256', p_sha256, 'adopted_at', clock_timestamp()));
  -- Its key still opens it, and seals nothing new.
  insert into m23.archive_keys (key_id, tenant_id, retired_at)
    select (p_manifest -> 'encryption' ->> 'key_id')::uuid, p_manifest ->> 'tenant_id', clock_timestamp()
     where p_manifest -> 'encryption' ->> 'key_id' is not null on conflict do nothing;
  insert into m23.backup_work (job_id, tenant_id, position, incarnation, position_at, commit_times, ticks, prefix,
                               manifest, manifest_sha256, key_id)
    values (v_id, p_manifest ->> 'tenant_id', (p_manifest ->> 'position')::pg_snapshot,
            (p_manifest ->> 'incarnation')::uuid, v_at,
            coalesce(p_manifest ->> 'commit_times', 'native'), coalesce(p_manifest -> 'ticks', '[]'),
            regexp_replace(p_object, '/manifest\.json$', ''), p_object, p_sha256,
            (p_manifest -> 'encryption' ->> 'key_id')::uuid);
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, key, whole,
                                 estimated_rows, done, history_done)
    select v_id, n, coalesce((m23.find_table((t ->> 'schema') || '.' || (t ->> 'name'))).id, 0), t ->> 'schema',
           t ->> 'name', t ->> 'tenant_column', t -> 'columns',
           m23.list_of(t -> 'key'), coalesce((t ->> 'whole')::boolean, true), 0, true, true
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n);
  insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256, fingerprint,
                                 sealed_fingerprint, last_key)
    select v_id, u.n, k.history, c.seq, c.chunk ->> 'object', (c.chunk ->> 'rows')::int, (c.chunk ->> 'bytes')::bigint,
           (c.chunk ->> 'stored_bytes')::bigint, c.chunk ->> 'sha256',
           case when p_manifest -> 'encryption' is null then (c.chunk ->> 'fingerprint')::numeric end,
           case when p_manifest -> 'encryption' is not null then c.chunk ->> 'fingerprint' end, '{}'
      from jsonb_array_elements(p_manifest -> 'tables') with ordinality u (t, n)
      cross join lateral (values (false, u.t -> 'chunks'), (true, coalesce(u.t -> 'history', '[]'))) k (history, chunks)
      cross join lateral jsonb_array_elements(k.chunks) with ordinality c (chunk, seq);
end $$;
revoke all on function m23.note_adopted(jsonb, text, text) from public, anon, authenticated, service_role;

-- Notes the tables of a backup with their shapes of now, and which are read whole. p_like: see m23.start_backup.
create or replace function m23.note_backup_tables(p_job public.backup_jobs, p_parent m23.backup_work,
  p_like uuid default null)
returns void
language plpgsql set search_path = '' as $$
declare v_logged int[] := m23.logged_tables(
  array(select t.id from m23.protected_tables t where p_parent.job_id is not null), p_job.tenant_id,
  pg_snapshot_xmin(p_parent.position));
begin
  insert into m23.backup_tables (job_id, ordinal, table_id, schema_name, table_name, tenant_column, columns, attnums,
                                 key, definition, whole, history_done, estimated_rows)
    select p_job.id, row_number() over (order by n.nspname, c.relname), t.id, n.nspname, c.relname,
           m23.tenant_column(t), m23.shape_of(t.relid),
           array(select f.attnum from m23.columns_of(t.relid) f where not f.generated order by f.attnum),
           m23.key_of(t.relid),
           coalesce((select b.definition from m23.backup_tables b where b.job_id = p_like and b.table_id = t.id),
                    m23.table_definition(t.relid)),
           chain.whole, chain.whole,
           case when chain.whole then m23.estimated_rows(t, p_job.tenant_id)
                when t.id = any (v_logged) then m23.count_changes(t, p_job.tenant_id, p_parent.position) else 0 end
      from m23.chosen((select j.tables from public.backup_jobs j where j.id = p_job.id)) t
      join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (select m23.is_whole(t, p_parent) as whole offset 0) chain;
end $$;
revoke all on function m23.note_backup_tables(public.backup_jobs, m23.backup_work, uuid) from public, anon,
  authenticated, service_role;

-- What a caller and a progress bar are told of a job's size.
create or replace function m23.note_estimate(p_job uuid, p_parent m23.backup_work) returns json
language plpgsql set search_path = '' as $$
declare
  v_rows    bigint := (select coalesce(sum(estimated_rows), 0) from m23.backup_tables where job_id = p_job);
  v_seconds numeric := round(1 + v_rows / m23.backup_throughput(), 1);
  v_work    m23.backup_work;
  v_job     public.backup_jobs;
begin
  select * into v_work from m23.backup_work where job_id = p_job;
  update public.backup_jobs
     set metadata = metadata || jsonb_build_object(
           'estimated_rows', v_rows, 'estimated_seconds', v_seconds,
           'position', v_work.position::text, 'position_at', v_work.position_at)
   where id = p_job returning * into v_job;
  return json_build_object(
    'job_id', v_job.id, 'backup_name', v_job.backup_name, 'estimated_duration', v_seconds, 'status', v_job.status,
    'sealed', m23.must_be_sealed(v_job.tenant_id),
    'parent', case when p_parent.job_id is not null
                     then json_build_object('manifest', p_parent.manifest, 'sha256', p_parent.manifest_sha256) end);
end $$;
revoke all on function m23.note_estimate(uuid, m23.backup_work) from public, anon, authenticated, service_role;

-- The backup that an incremental names as its parent; null for none.
create or replace function m23.parent_backup(p_tenant text, p_id uuid) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
declare
  v_parent public.backup_jobs;
  v_fault  text;
begin
  if p_id is null then return null; end if;
  select * into v_parent from public.backup_jobs where id = p_id and tenant_id = p_tenant;
  if v_parent.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant to build on');
  end if;
  v_fault := case when v_parent.job_type = 'snapshot'
                    then 'it is a snapshot, which lives inside the database; build on a full or an incremental backup'
                  else m23.chain_fault(v_parent) end;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup',
                       array['baseBackupId: ' || v_fault]);
  end if;
  return v_parent;
end $$;
revoke all on function m23.parent_backup(text, uuid) from public, anon, authenticated, service_role;

-- The next lines of a part of a backup (m23_line), with the columns of their keys, in order.
-- Parameters: those of m23.touched_since for the backup's position, and $4, the parent's as a moment. With p_live
-- from the live rows alone. p_log: the log's entries since the earlier of the two.
create or replace function m23.part_query(
  p_part m23.backup_tables, p_history boolean, p_table m23.protected_tables, p_limit int, p_live boolean, p_log text
) returns text
language plpgsql stable set search_path = '' as $$
declare v_key text := m23.key_list(p_table.relid, 'r');
begin
  if p_history then
    return format($sql$
        select concat_ws(chr(9), r.m23_op, r.m23_change_id, r.m23_xid, coalesce(r.m23_at::text, '\N'),
                         r.m23_unchanged, %s) as m23_line,
               r.m23_change_id, r.m23_xid
          from (%s) r order by r.m23_change_id, r.m23_xid$sql$,
      m23.copy_line(p_table.relid), m23.part_history_query(p_table, p_log, p_limit));
  end if;
  return format('select %s as m23_line, %2$s from (%3$s) r order by %2$s limit %4$s',
    m23.copy_line(p_table.relid), v_key,
    case when p_live then m23.live_query(p_table, p_limit)
         when p_part.whole then m23.as_of_query(p_table, p_log, p_limit)
         else m23.changed_query(p_table, p_log, p_limit) end, p_limit);
end $$;
revoke all on function m23.part_query(m23.backup_tables, boolean, m23.protected_tables, int, boolean, text) from public,
  anon, authenticated, service_role;

-- The job that a request runs: a new one, or one that createBackupJob has left pending.
create or replace function m23.requested_job(p_tenant text, p_backup jsonb) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare v_job public.backup_jobs;
begin
  if p_backup ->> 'jobId' is null then
    perform m23.parent_backup(p_tenant, (p_backup ->> 'baseBackupId')::uuid);
    return m23.new_backup_job(p_tenant, p_backup);
  end if;
  select * into v_job from public.backup_jobs j
   where j.id = (p_backup ->> 'jobId')::uuid and j.tenant_id = p_tenant for update;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup job in this tenant');
  end if;
  if v_job.status <> 'pending' or exists (select from m23.backup_work w where w.job_id = v_job.id) then
    perform m23.refuse('VALIDATION_FAILED', 'the job cannot be run',
                       array[format('jobId: this job was started before and is %s', v_job.status)]);
  end if;
  return v_job;
end $$;
revoke all on function m23.requested_job(text, jsonb) from public, anon, authenticated, service_role;

-- p_like: a job that the same transaction began before it, under the same locks; its tables' definitions are taken
-- over.
create or replace function m23.start_backup(p_job public.backup_jobs, p_like uuid default null) returns json
language plpgsql set search_path = '' as $$
declare v_parent m23.backup_work;
begin
  perform m23.renew_types();
  perform m23.refuse_backup_faults(p_job);
  if p_job.job_type = 'snapshot' then
    return m23.make_snapshot_backup(p_job);
  elsif p_job.job_type = 'incremental' then
    v_parent := m23.join_chain(p_job);
  end if;
  perform m23.lock_tables(array(
    select t.relid from public.backup_jobs j cross join lateral m23.chosen(j.tables) t where j.id = p_job.id));
  perform m23.note_backup_work(p_job, v_parent);
  perform m23.note_backup_tables(p_job, v_parent, p_like);
  return m23.note_estimate(p_job.id, v_parent);
end $$;
revoke all on function m23.start_backup(public.backup_jobs, uuid) from public, anon, authenticated, service_role;

-- The ticks between a parent and a position, as a manifest lists them: moments that lie between
-- the two, in their order. One that no change of the tenant's tells from its neighbours on either
-- side is left out, so that they are two for a change, and not one for each second: the state there
-- is that of the tick before. The last one before a change stays, for all until then is that state.
-- Only a transaction between the lower xmin and the higher xmax of a pair can be seen by one of it alone.
create or replace function m23.ticks_between(p_parent m23.backup_work, p_position pg_snapshot, p_at timestamptz)
  returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return (with changes as materialized (
         select m23.changed_by((select m23.tables_of_job(j) from public.backup_jobs j where j.id = p_parent.job_id),
                               p_parent.tenant_id, p_parent.position) as xids),
       paired as (
         select t.*, lag(t.position, 1, p_parent.position)
                       over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as before
           from (select k.at, k.position, false as is_end from m23.ticks k
                  where m23.commit_times_since(p_parent.position_at) = 'ticks'
                    and k.incarnation = (select m23.incarnation())
                    and k.at > p_parent.position_at and k.at < p_at
                    and m23.sees_all_of(k.position, p_parent.position) and m23.sees_all_of(p_position, k.position)
                 union all select p_at, p_position, true) t),
       told as (
         select p.*, exists (
             select from unnest((select xids from changes)[
                      width_bucket(least(pg_snapshot_xmin(p.before), pg_snapshot_xmin(p.position)),
                                   (select xids from changes))
                      :width_bucket(greatest(pg_snapshot_xmax(p.before), pg_snapshot_xmax(p.position)),
                                    (select xids from changes))]) x
              where pg_visible_in_snapshot(x, p.before) <> pg_visible_in_snapshot(x, p.position)) as is_apart
           from paired p)
  select coalesce(jsonb_agg(jsonb_build_object('at', n.at, 'position', n.position::text)
                            order by n.at, pg_snapshot_xmax(n.position)), '[]')
    from (select t.*, lead(t.is_apart) over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as is_left
            from told t) n
   where not n.is_end and (n.is_apart or n.is_left));
end $$;
revoke all on function m23.ticks_between(m23.backup_work, pg_snapshot, timestamptz) from public, anon, authenticated,
  service_role;

-- A restore beside the live data makes a copy, which expires. Dropping takes away what M23
-- made and nothing else: whatever somebody has added keeps the whole copy.

create table m23.copies (
  restore_log_id uuid primary key references public.restore_logs (id),
  tenant_id      text not null,
  schema_name    text not null,
  made           boolean not null,  -- the schema, too: it was not there before
  contents       text[] not null default '{}',
  created_by     uuid,
  created_at     timestamptz not null default clock_timestamp(),
  expires_at     timestamptz not null
);

select m23.close_table('m23.copies');

create index copies_tenant on m23.copies (tenant_id);

comment on table m23.copies is 'Restores beside the live data: which schema, whose, and until when.';

insert into m23.settings (name, value, about)
  values ('copy_days', '7', 'how long a restore into a schema of its own is kept');

create table m23.previews (
  id         uuid primary key default gen_random_uuid(),
  tenant_id  text not null,
  created_at timestamptz not null default clock_timestamp(),
  moment     m23.moment,  -- none: of rows that were staged, and are kept in m23.preview_rows
  tables     text[] not null,
  plan_hash  text not null,
  left_alone boolean not null,  -- some rows are: which, only all tables together tell
  constraint hash_is_sha256 check (plan_hash ~ '^[0-9a-f]{64}$')
);

create table m23.preview_rows (
  preview_id uuid not null references m23.previews (id) on delete cascade,
  table_name text not null,
  changes    jsonb not null,
  primary key (preview_id, table_name),
  constraint is_an_array check (jsonb_typeof(changes) = 'array')
);

select m23.close_table('m23.previews');

-- A page of a planned table, by key: `{"operation", "key", "now", "then"}`. Of an update only
-- the columns that differ are shown.
-- It ends where it would have more than p_bytes; with p_some it has one row at least.
create or replace function m23.preview_rows(
  p_target m23.target, p_tenant text, p_offset int, p_limit int, p_bytes bigint, p_some boolean default false
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
                      from (select row_number() over (order by {key_list}) as n,
                                   pg_catalog.jsonb_build_object({key}) as key,
                                   case when m23_d.m23_op in ('I', 'T') then 'insert'
                                        when m23_d.m23_op = 'D' then 'delete' else 'update' end as operation,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {planned}) m23_s) as wanted,
                                   (select pg_catalog.to_jsonb(m23_s) from (select {live_columns}) m23_s) as live
                              from {diff} m23_d
                              left join (select * from {live} r where {is_tenants}) m23_l on {same_key}
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
revoke all on function m23.preview_rows(m23.target, text, int, int, bigint, boolean) from public, anon, authenticated,
  service_role;

-- Readers of JSON make doubles of its numbers: one that a double would change is given as a string.
create or replace function m23.double_safe(p_json jsonb) returns jsonb
language sql immutable set search_path = '' set extra_float_digits = 1 as $$
  select case
    when p_json::text !~ '[0-9.]{16}' then p_json
    when jsonb_typeof(p_json) = 'object'
      then (select jsonb_object_agg(e.key, m23.double_safe(e.value)) from jsonb_each(p_json) e)
    when jsonb_typeof(p_json) = 'array'
      then (select jsonb_agg(m23.double_safe(e.value) order by e.n)
              from jsonb_array_elements(p_json) with ordinality e (value, n))
    when jsonb_typeof(p_json) = 'number'
       and not (case when abs(p_json::numeric) between 1e-300 and 1e300
                       then p_json::float8::text::numeric = p_json::numeric else p_json::numeric = 0 end)
      then to_jsonb(p_json #>> '{}')
    else p_json end
$$;
revoke all on function m23.double_safe(jsonb) from public, anon, authenticated, service_role;

-- The fields of one row that have another value in another row.
create or replace function m23.only_different(p_these jsonb, p_those jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select coalesce(jsonb_object_agg(t.key, t.value), '{}') from jsonb_each(p_these) t
   where t.value is distinct from p_those -> t.key
$$;
revoke all on function m23.only_different(jsonb, jsonb) from public, anon, authenticated, service_role;

-- The columns of a row for to_jsonb. Text of the type json can be what jsonb does not take, such as \u0000: it is shown
-- as text then.
create or replace function m23.shown_columns(p_relid oid, p_columns text[], p_row text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format(case when m23.base_of(a.atttypid) = 'json'::regtype
                                          then 'm23.shown_json(%1$s.%2$I) as %2$I'
                                        else '%s.%I' end, p_row, c.name), ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n)
            left join pg_attribute a on a.attrelid = p_relid and a.attname = c.name);
end $$;
revoke all on function m23.shown_columns(oid, text[], text) from public, anon, authenticated, service_role;

-- A value of the type json as jsonb; as text, where jsonb cannot hold it.
create or replace function m23.shown_json(p_value json) returns jsonb
language plpgsql immutable strict set search_path = '' as $$
begin
  return p_value::jsonb;
exception when data_exception then return to_jsonb(p_value::text);
end $$;
revoke all on function m23.shown_json(json) from public, anon, authenticated, service_role;

select m23.close_table('m23.preview_rows');

create index previews_created on m23.previews (created_at);

create index previews_tenant on m23.previews (tenant_id, created_at desc);

-- Restores: an archive is first read into staging, every hash checked by the worker;
-- live data is touched only by the one transaction at the end.

-- Restores and rollbacks that are under way: one for a tenant at a time. A test that restores
-- touches no live data, and stands in nobody's way.
create table m23.restore_work (
  work_id         uuid primary key,
  tenant_id       text not null,
  kind            text not null check (kind in ('backup', 'pitr', 'rollback', 'test')),
  job_id          uuid,         -- the backup to read from
  moment          m23.moment,   -- of the log; with a backup too: what changed since is taken from the log
  tables          text[],       -- schema.table; null: all of the backup
  plan_hash       text,
  moment_in_chain m23.moment,   -- one between the backup and its parent: the staged rows are taken back to it
  mode            text not null default 'exact' check (mode in ('exact', 'missing_only', 'overwrite_existing')),
  dry_run         boolean not null default false,
  detached        boolean not null default false,  -- nobody waits for its answer: any worker may go on with it
  constraint has_a_source check (kind in ('rollback', 'test') or job_id is not null or (moment).position is not null),
  constraint rollback_reads_no_backup check (kind <> 'rollback' or job_id is null),
  constraint test_reads_a_backup check (kind <> 'test' or job_id is not null and not detached),
  constraint in_chain_of_a_backup
    check ((moment_in_chain).taken is null or kind = 'pitr' and job_id is not null and (moment).position is null),
  constraint mode_is_for_backups check (mode = 'exact' or kind = 'backup'),
  constraint dry_run_is_of_a_restore check (not dry_run or kind in ('backup', 'pitr'))
);

create unique index restore_work_tenant on m23.restore_work (tenant_id) where kind <> 'test';

select m23.close_table('m23.restore_work');

create table m23.staged_tables (
  restore_id uuid not null references m23.restore_work (work_id) on delete cascade,
  ordinal    int not null,
  table_id   int not null,
  staging    text not null,
  fields     text[] not null,   -- the archive's columns, in the order of its lines
  types      text[] not null,   -- that they had then
  columns    text[] not null,   -- those that the live table has too
  rows       bigint not null,   -- lines that the manifests promise
  standing   bigint not null default 0,  -- rows that are there by now
  altered    bigint not null default 0,  -- of a test: chunks that do not hold the lines which were backed up
  history    text,              -- a relation with what the log says since the parent, to go back by
  groups     jsonb,             -- of that: the columns that each bit of `unchanged` stands for
  primary key (restore_id, ordinal),
  constraint columns_are_fields check (columns <@ fields),
  constraint no_negative_counts check (rows >= 0 and standing >= 0 and altered >= 0)
);

select m23.close_table('m23.staged_tables');

create table m23.staged_chunks (
  restore_id uuid not null,
  ordinal    int not null,
  seq        int not null,
  rows       int not null,
  primary key (restore_id, ordinal, seq),
  foreign key (restore_id, ordinal) references m23.staged_tables (restore_id, ordinal) on delete cascade,
  constraint counts_from_one check (seq >= 1 and rows >= 0)
);

select m23.close_table('m23.staged_chunks');

-- What the staging of an archive has found, for whoever is told how the work ends; a dry run too.
create table m23.staging_warnings (
  work_id uuid not null references m23.restore_work (work_id) on delete cascade,
  said    text not null,
  n       bigint generated always as identity,
  primary key (work_id, said)
);

-- What has been noted for the caller of this work, in order.
create or replace function m23.staging_warnings(p_work uuid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select w.said from m23.staging_warnings w where w.work_id = p_work order by w.n);
end $$;
revoke all on function m23.staging_warnings(uuid) from public, anon, authenticated, service_role;

select m23.close_table('m23.staging_warnings');

-- Accepts a restore of a backup as a request's body asks for it; gives the order for its worker.
create or replace function m23.begin_restore(p_tenant text, p_restore jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_job   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'backupJobId')::uuid);
  v_work  m23.restore_work;
  v_begun json;
begin
  v_work := m23.new_work(p_tenant, 'backup',
    p_job => v_job.id,
    p_tables => m23.restored_parts(v_job.id, m23.list_of(p_restore -> 'tables')),
    p_plan_hash => p_restore ->> 'planHash',
    p_mode => coalesce(p_restore ->> 'mode', 'exact'),
    p_dry_run => coalesce((p_restore ->> 'dryRun')::boolean, false));
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  if v_job.job_type = 'snapshot' then
    v_work := m23.from_snapshot(v_work);
  end if;
  v_begun := case when v_work.dry_run then m23.begin_work(v_work)
                  else m23.log_restore(p_tenant, v_work, null, p_restore ->> 'targetSchema') end;
  perform m23.add_staging_warning(v_work.work_id, w)
     from unnest(m23.access_warnings(v_job.id, m23.list_of(p_restore -> 'tables'))) w;
  if v_work.dry_run then return v_begun; end if;
  update public.restore_logs set backup_job_id = v_job.id,
         metadata = metadata || jsonb_build_object('mode', v_work.mode)
   where id = v_work.work_id;
  return v_begun;
end $$;
revoke all on function m23.begin_restore(text, jsonb) from public, anon, authenticated, service_role;

-- Accepts a rollback to a snapshot; gives the order for its worker. p_plan_hash: the plan that was looked at.
create or replace function m23.begin_rollback(
  p_tenant text, p_snapshot uuid, p_by uuid, p_reason text, p_plan_hash text
) returns json
language plpgsql volatile set search_path = '' as $$
declare
  v_snapshot public.pitr_snapshots := m23.usable_snapshot(p_tenant, p_snapshot);
  v_id       uuid := gen_random_uuid();
  v_chosen   record;
  v_begun    json;
begin
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  v_begun := m23.begin_work(m23.new_work(p_tenant, 'rollback',
    p_work => v_id,
    p_moment => m23.snapshot_moment(v_snapshot),
    p_tables => v_chosen.tables,
    p_plan_hash => p_plan_hash));
  insert into public.pitr_rollbacks (id, tenant_id, created_by, snapshot_id, reason, status, affected_tables, warnings)
    values (v_id, p_tenant, p_by, v_snapshot.id, p_reason, 'in_progress', v_chosen.tables,
            v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
  return v_begun;
end $$;
revoke all on function m23.begin_rollback(text, uuid, uuid, text, text) from public, anon, authenticated, service_role;

-- The work of a restore to a time from a chain: which member is read, and the moment inside it
-- (none when the time is the member's own). Null when the time lies after all members, or so far
-- before them that only the log knows it.
create or replace function m23.chain_work(p_tenant text, p_restore jsonb) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare
  v_at     timestamptz := (p_restore ->> 'targetTimestamp')::timestamptz;
  v_base   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'baseBackupId')::uuid);
  v_member m23.backup_work;
  v_first  timestamptz;
  v_tables text[];
  v_in_chain m23.moment;
begin
  if v_base.job_type = 'snapshot' then
    perform m23.refuse('BACKUP_UNUSABLE', 'a snapshot has no rows of its own; leave baseBackupId out');
  end if;
  select min(position_at) into v_first from m23.members_around(v_base.id);
  if v_at < v_first and cardinality(m23.target_faults(p_tenant, v_at, m23.list_of(p_restore -> 'tables'))) = 0 then
    return null;
  elsif v_at < v_first then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to',
      array[format('targetTimestamp: is before the full backup of that chain; it can be from %s to %s',
                   m23.iso(v_first), m23.iso(clock_timestamp()))]);
  end if;
  select * into v_member from m23.members_around(v_base.id) w
   where w.position_at >= v_at order by w.position_at limit 1;
  if v_member.job_id is null then return null; end if;
  v_tables := m23.tables_of_member(v_member.job_id, p_restore);
  perform m23.refuse_obstacles(m23.names_now(v_member.job_id, v_tables));
  v_in_chain := m23.moment_in_chain(v_member, v_at);
  perform m23.refuse_moment_in_whole(v_member, v_tables, v_in_chain);
  return m23.new_work(p_tenant, 'pitr',
    p_job => v_member.job_id,
    p_tables => v_tables,
    p_plan_hash => p_restore ->> 'planHash',
    p_in_chain => v_in_chain,
    p_dry_run => coalesce((p_restore ->> 'dryRun')::boolean, false));
end $$;
revoke all on function m23.chain_work(text, jsonb) from public, anon, authenticated, service_role;

-- Rows that others have changed since the restore which a snapshot preceded: undoing the
-- restore undoes them, too.
create or replace function m23.changed_since_restore(p_snapshot public.pitr_snapshots, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare
  v_restore text := (select r.metadata ->> 'transaction' from public.restore_logs r
                      where r.id = p_snapshot.restore_log_id);
  v_moment  m23.moment := m23.snapshot_moment(p_snapshot);
  v_table   m23.protected_tables;
  v_count   bigint;
  v_said    text[] := '{}';
begin
  if v_restore is null then return v_said; end if;
  for v_table in
    select t.* from m23.tables_with_entries(p_tables, p_snapshot.tenant_id, v_restore::xid8) t order by t.id
  loop
    execute m23.fill($sql$
        select count(*) from (
          select distinct {key} from {log} l where l.tenant_id = {tenant} and {lies_after} and l.xid > $3) changed$sql$,
      'key', (select string_agg('l.' || m23.log_field(v_table, c.attnum), ', ' order by c.key_ord)
                from m23.columns_of(v_table.relid, p_of_key => true) c),
      'log', m23.log_of(v_table.id, p_snapshot.tenant_id, v_restore::xid8), 'tenant', m23.tenant_value(v_table, '$1'),
      'lies_after', m23.lies_after('l.xid')) into v_count
      using p_snapshot.tenant_id, v_moment, v_restore::xid8;
    if v_count > 0 then
      v_said := v_said
        || format('%s: %s row(s) were changed after the restore; the rollback takes those changes back, too',
                  m23.public_name(v_table.relid), v_count);
    end if;
  end loop;
  return v_said;
end $$;
revoke all on function m23.changed_since_restore(public.pitr_snapshots, text[]) from public, anon, authenticated,
  service_role;

-- The windows of some tables, as one.
create or replace function m23.common_window(p_tenant text, p_tables text[], out earliest timestamptz, out closed text)
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
                  (select f.at from m23.forgotten f
                    where f.tenant_id = p_tenant and f.incarnation = v_life and v_ids <> '{}')),
         min(case when t.id <> all (v_sound) or t.incarnation <> v_life
                  then m23.public_name(t.relid) || ': ' || m23.present_gap(t) end)
    into earliest, closed
    from m23.protected_tables t where t.id = any (v_ids);
end $$;
revoke all on function m23.common_window(text, text[]) from public, anon, authenticated, service_role;

-- Makes a table like another, with its primary key and no other rule.
create or replace function m23.make_bare(p_table text, p_relid oid, p_path text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_column name;
begin
  perform m23.run(p_path, format('create table %s (like %s including generated including identity including comments, '
                                 'primary key (%s))', p_table, m23.qualified_name(p_relid),
                                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_relid)) k)));
  for v_column in
    select c.name from m23.columns_of(p_relid) c where c.not_null and c.key_ord is null and c.identity = ''
  loop
    execute format('alter table %s alter column %I drop not null', p_table, v_column);
  end loop;
end $$;
revoke all on function m23.make_bare(text, oid, text) from public, anon, authenticated, service_role;

-- Writes the wanted rows into a copy; gives how many.
create or replace function m23.fill_copy(p_target m23.target, p_tenant text, p_copy text) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.run_at(p_target, p_tenant, format('
      insert into %s (%s) overriding system value select %s from (%s) w',
    p_copy, (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c),
    array_to_string(m23.wanted_values(p_target, false), ', '),
    coalesce(p_target.wanted,
             m23.as_of_query(p_target.tbl, m23.log_of((p_target.tbl).id, p_tenant, (p_target.moment).floor)))));
end $$;
revoke all on function m23.fill_copy(m23.target, text, text) from public, anon, authenticated, service_role;

-- A schema with everything that hangs on it, wherever it is, and the columns of its tables.
create or replace function m23.schema_contents(p_schema text) returns table (object text, description text)
language sql stable set search_path = '' as $$
  with recursive found (classid, objid) as (
    select 'pg_namespace'::regclass::oid, n.oid from pg_namespace n where n.nspname = p_schema
    union
    select d.classid, d.objid from found f join pg_depend d on d.refclassid = f.classid and d.refobjid = f.objid
     where not exists (select from pg_class c
                        where d.classid = 'pg_class'::regclass and c.oid = d.objid
                          and c.relnamespace = 'pg_toast'::regnamespace))
  select concat_ws('.', o.classid, o.objid, o.part), pg_describe_object(o.classid, o.objid, o.part)
    from (select classid, objid, 0 as part from found
          union all
          select f.classid, f.objid, a.attnum from found f
            join pg_class c on f.classid = 'pg_class'::regclass and c.oid = f.objid and c.relkind = 'r'
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) o
$$;
revoke all on function m23.schema_contents(text) from public, anon, authenticated, service_role;

-- Makes the schema of a copy where it is not there, and notes the copy.
create or replace function m23.begin_copy(p_restore public.restore_logs) returns void
language plpgsql set search_path = '' as $$
declare v_made boolean := not exists (select from pg_namespace where nspname = p_restore.target_schema);
begin
  if v_made then
    execute format('create schema %I', p_restore.target_schema);
  end if;
  insert into m23.copies (restore_log_id, tenant_id, schema_name, made, created_by, expires_at)
    values (p_restore.id, p_restore.tenant_id, p_restore.target_schema, v_made, p_restore.created_by,
            clock_timestamp() + make_interval(days => m23.setting('copy_days')::int));
end $$;
revoke all on function m23.begin_copy(public.restore_logs) from public, anon, authenticated, service_role;

-- Notes what a copy has once it is filled: what is found besides later, somebody has added.
create or replace function m23.end_copy(p_restore public.restore_logs) returns void
language sql set search_path = '' as $$
  update m23.copies set contents = array(select object from m23.schema_contents(schema_name))
   where restore_log_id = p_restore.id;
  update public.restore_logs r
     set metadata = r.metadata || jsonb_build_object('copy', jsonb_build_object('expires_at', c.expires_at))
    from m23.copies c where r.id = p_restore.id and c.restore_log_id = r.id;
$$;
revoke all on function m23.end_copy(public.restore_logs) from public, anon, authenticated, service_role;

-- What somebody has added to a copy, described.
create or replace function m23.added_to_copy(p_copy m23.copies) returns text[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(c.description order by c.description), '{}') from m23.schema_contents(p_copy.schema_name) c
   where c.object <> all (p_copy.contents)
$$;
revoke all on function m23.added_to_copy(m23.copies) from public, anon, authenticated, service_role;

-- The tables that M23 has made in a copy, as a list for a statement; null for none.
create or replace function m23.tables_of_copy(p_copy m23.copies) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%I.%I', n.nspname, c.relname), ', ')
    from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
   where n.nspname = p_copy.schema_name
     and concat_ws('.', 'pg_class'::regclass::oid, c.oid, 0) = any (p_copy.contents)
$$;
revoke all on function m23.tables_of_copy(m23.copies) from public, anon, authenticated, service_role;

-- Makes one table of a copy with the wanted rows; gives how many. Where they do not fit the rules of now, it has none.
create or replace function m23.copy_beside(p_target m23.target, p_restore public.restore_logs) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_copy  text := (select format('%I.%I', p_restore.target_schema, c.relname) from pg_class c
                    where c.oid = (p_target.tbl).relid);
  v_count bigint;
begin
  begin
    if not m23.make_like(v_copy, (p_target.tbl).relid,
         'including generated including identity including constraints including comments', p_target.path) then
      perform m23.add_staging_warning(p_restore.id, m23.public_name((p_target.tbl).relid)
                || ': the copy has its primary key alone; the server does not find what an index of it calls');
    end if;
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  exception when integrity_constraint_violation then
    perform m23.make_bare(v_copy, (p_target.tbl).relid, p_target.path);
    perform m23.add_staging_warning(p_restore.id, m23.public_name((p_target.tbl).relid)
              || ': the copy has its primary key and no other rule; its rows do not fit those of now');
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  end;
  execute format('alter table %s enable row level security', v_copy);
  execute format('grant select on %s to service_role', v_copy);
  perform m23.advance_sequences(v_copy::regclass, p_target.columns, v_copy, p_target.path);
  return v_count;
end $$;
revoke all on function m23.copy_beside(m23.target, public.restore_logs) from public, anon, authenticated, service_role;

-- Drops a copy, or says what keeps it: looked at once more when nobody can add to it.
create or replace function m23.drop_copy(p_copy m23.copies) returns text[]
language plpgsql volatile set search_path = '' set lock_timeout = '1s' as $$
declare
  v_tables text := m23.tables_of_copy(p_copy);
  v_added  text[] := m23.added_to_copy(p_copy);
begin
  if cardinality(v_added) > 0 then return v_added; end if;
  begin
    if v_tables is not null then
      execute format('lock table %s in access exclusive mode', v_tables);
    end if;
    v_added := m23.added_to_copy(p_copy);
    if cardinality(v_added) > 0 then return v_added; end if;
    if v_tables is not null then
      execute format('drop table %s', v_tables);
    end if;
    if p_copy.made then
      execute format('drop schema if exists %I', p_copy.schema_name);
    end if;
  exception
    when lock_not_available or deadlock_detected then return array['somebody is using it'];
    when insufficient_privilege then return array['it belongs to another role now'];
    when dependent_objects_still_exist or undefined_table then return array['it is being changed'];
  end;
  delete from m23.copies where restore_log_id = p_copy.restore_log_id;
  update public.restore_logs set metadata = jsonb_set(metadata, '{copy,dropped_at}', to_jsonb(clock_timestamp()))
   where id = p_copy.restore_log_id;
  return '{}';
end $$;
revoke all on function m23.drop_copy(m23.copies) from public, anon, authenticated, service_role;

-- Executing: the one transaction in which live data is touched, from what was staged or from the log.

-- Executes a restore or rollback, or plans it for a dry run. Gives its figures.
create or replace function m23.execute_work(p_work m23.restore_work) returns json
language plpgsql set search_path = '' as $$
declare
  v_log      public.restore_logs;
  v_rollback public.pitr_rollbacks;
begin
  if p_work.kind = 'rollback' then
    select * into v_rollback from public.pitr_rollbacks where id = p_work.work_id;
    return m23.finish_rollback(v_rollback, m23.restore_live(p_work, v_rollback.created_by));
  end if;
  select * into v_log from public.restore_logs where id = p_work.work_id;
  perform m23.check_staged(p_work.work_id);
  perform m23.rewind_staged(p_work);
  if m23.is_empty(p_work) and not p_work.dry_run then
    perform m23.refuse('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id));
  end if;
  if p_work.dry_run then
    return m23.note_preview(p_work, m23.preview_work(p_work)::jsonb);
  end if;
  return m23.finish_restore(p_work,
    case when v_log.target_schema is null then m23.restore_live(p_work, v_log.created_by)
         else m23.restore_beside(p_work, v_log) end);
end $$;
revoke all on function m23.execute_work(m23.restore_work) from public, anon, authenticated, service_role;

-- What a failure means to the caller: a refusal keeps its words, a constraint names itself,
-- anything else is ours, and its cause goes to the server's log.
create or replace function m23.failure_answer(p_state text, p_message text, p_table text, p_constraint text)
  returns json
language plpgsql set search_path = '' as $$
begin
  if p_state = 'PGRST' then
    return (select json_build_object('code', m ->> 'code', 'message', m ->> 'message',
                                     'details', (m ->> 'details')::json)
              from (select p_message::json) x (m));
  elsif p_state = '57014' then
    return json_build_object('code', 'UNAVAILABLE',
                             'message', 'the restore was cancelled before it was done; nothing was changed');
  elsif p_state ~ '^2[23]' then  -- its message would show the value
    return json_build_object('code', 'CONFLICT', 'message', m23.rules_sentence(),
      'details', array_remove(array[nullif(concat_ws(': ',
        nullif(p_table, ''), 'they would break "' || nullif(p_constraint, '') || '"'), '')], null));
  end if;
  raise log 'm23: restore failed: % (%)', p_message, p_state using hint = m23.shortage_hint(p_state);
  if p_state ~ '^53' then
    return json_build_object('code', 'UNAVAILABLE',
      'message', 'the database has no room for this just now; nothing was changed');
  end if;
  return json_build_object('code', 'INTERNAL',
    'message', 'the restore failed for a reason of our own; nothing was changed',
    'cause', p_message || ' (' || p_state || ')');
end $$;
revoke all on function m23.failure_answer(text, text, text, text) from public, anon, authenticated, service_role;

-- What an operator does about a server that lacks something.
create or replace function m23.shortage_hint(p_state text) returns text
language sql immutable set search_path = '' as $$
  select case p_state
    when '53100' then 'The disk of the database is full: give it room. docs/on-call.md says what may go.'
    when '53200' then 'The database is out of memory, or max_locks_per_transaction is too low for so many tables.'
    when '53300' then 'All connections are in use: max_connections, or the pool of PostgREST, is too small.'
    else '' end
$$;
revoke all on function m23.shortage_hint(text) from public, anon, authenticated, service_role;

-- The value of a field of a line, in the type that its column has now. A text of another type, or of before a type was
-- altered, is read as what it was then: p_type is the column's type then, by name, and p_then the backup's position,
-- where that is of this life.
create or replace function m23.field_value(
  p_table m23.protected_tables, p_column m23.column_shape, p_field text, p_type text, p_then pg_snapshot)
returns text
language plpgsql stable set search_path = '' as $$
declare
  v_type oid := (select a.atttypid from pg_attribute a where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_now  text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_text text := format('(case when pg_catalog.strpos(%1$s, ''\'') = 0 then %1$s else m23.copy_unescape(%1$s) end)',
                        p_field);
begin
  return case
    when p_column.plain and p_type = v_now then format('%s::%s', p_field, v_now)
    -- a cast from text would not know "-", nor the number of what has been dropped
    when p_column.type_name = 'regclass' then format('regclassin(textout(%s))', p_field)
    when v_now in ('json', 'jsonb') and to_regtype(p_type) is not null
    then m23.converted(format('(%s)::%s', v_text, to_regtype(p_type)), p_type, v_now)
    else format('(%s)::%s', m23.present_words(v_text, v_type, case when p_then is null then '{}'
                                                                   else m23.former_words(v_type, null, p_then) end),
                v_now) end;
end $$;
revoke all on function m23.field_value(m23.protected_tables, m23.column_shape, text, text, pg_snapshot) from public,
  anon, authenticated, service_role;

-- The log row of work that is done; its figures, for the caller.
create or replace function m23.finish_restore(p_work m23.restore_work, p_outcome jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_warnings text[] := m23.list_of(p_outcome -> 'warnings');
  v_done     public.restore_logs;
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint, stats = p_outcome -> 'stats',
         tables = coalesce(m23.list_of(p_outcome -> 'tables'), '{}'), snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         metadata = r.metadata || jsonb_build_object('transaction', pg_current_xact_id()::text),
         warnings = r.warnings || m23.staging_warnings(p_work.work_id) || coalesce(v_warnings, '{}')
   where r.id = p_work.work_id returning * into v_done;
  return json_build_object('restored_tables', v_done.tables, 'rows_restored', v_done.rows_restored,
                           'duration', v_done.duration_seconds, 'snapshot_id', v_done.snapshot_id,
                           'warnings', v_done.warnings, 'stats', v_done.stats);
end $$;
revoke all on function m23.finish_restore(m23.restore_work, jsonb) from public, anon, authenticated, service_role;

-- Drops all copies of a tenant; gives how many. One that somebody has added to is refused.
create or replace function m23.forget_copies(p_tenant text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_copy    m23.copies;
  v_kept    text[];
  v_dropped bigint := 0;
begin
  for v_copy in select * from m23.copies where tenant_id = p_tenant for update loop
    v_kept := m23.drop_copy(v_copy);
    if v_kept <> '{}' then
      raise exception 'the copy "%" of this tenant cannot be dropped: %',
          v_copy.schema_name, array_to_string(v_kept, ', ')
        using errcode = 'dependent_objects_still_exist',
              hint = 'Move or drop what was added to it, then forget the tenant.';
    end if;
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end $$;
revoke all on function m23.forget_copies(text) from public, anon, authenticated, service_role;

-- Removes a tenant's entries from all logs; gives how many.
create or replace function m23.forget_log(p_tenant text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_table   int;
  v_part    int;
  v_count   bigint;
  v_removed bigint := 0;
begin
  foreach v_table in array m23.logged_tables(array(select t.id from m23.protected_tables t), p_tenant, '0') loop
    foreach v_part in array m23.parts_of(v_table, p_tenant, '0') loop
      execute format('delete from %s l where %s', m23.part_name(v_table, v_part), m23.is_logged_of(v_table, '$1'))
        using p_tenant;
      get diagnostics v_count = row_count;
      v_removed := v_removed + v_count;
    end loop;
  end loop;
  delete from m23.log_tenants where tenant_id = p_tenant;
  return v_removed;
end $$;
revoke all on function m23.forget_log(text) from public, anon, authenticated, service_role;

-- Children before parents. Another tenant's job may name one of these as its base: it could
-- never be run, and lets go.
create or replace function m23.forget_records(p_tenant text) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_table   text;
  v_count   bigint;
  v_removed jsonb := '{}';
begin
  update public.restore_logs set snapshot_id = null where tenant_id = p_tenant;
  update public.backup_jobs set base_backup_id = null, parent_backup_id = null
   where tenant_id <> p_tenant
     and (base_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant)
          or parent_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant));
  delete from m23.leases
   where work_id in (select id from public.backup_jobs where tenant_id = p_tenant
                     union all select id from public.recovery_tests where tenant_id = p_tenant);
  perform set_config('m23.forgetting', p_tenant, true);
  foreach v_table in array array[
      'public.audit_log', 'm23.audit_heads', 'm23.audit_checkpoints', 'm23.refusals', 'm23.requests',
      'm23.raised_limits', 'm23.previews', 'public.pitr_rollbacks', 'public.pitr_snapshots', 'public.recovery_tests',
      'public.restore_logs', 'public.dr_plans', 'public.health_snapshots', 'm23.backup_work', 'public.backup_jobs',
      'm23.archive_keys', 'm23.after_restore_hooks', 'm23.seen_tenants', 'm23.round_tenants', 'm23.alerts'] loop
    execute format('delete from %s where tenant_id = $1', v_table) using p_tenant;
    get diagnostics v_count = row_count;
    v_removed := v_removed || jsonb_build_object(split_part(v_table, '.', 2), v_count);
  end loop;
  return v_removed;
end $$;
revoke all on function m23.forget_records(text) from public, anon, authenticated, service_role;

create or replace function m23.forget_tenant(p_tenant text) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_removed jsonb;
begin
  p_tenant := m23.tenant_key(p_tenant);
  if current_setting('transaction_isolation') not like 'read %' then
    raise exception 'a tenant can only be forgotten under READ COMMITTED: what others commit meanwhile must be seen'
      using errcode = 'invalid_transaction_state';
  end if;
  perform set_config('lock_timeout', m23.setting('restore_wait_seconds') || 's', true);
  perform m23.seize_tenant(p_tenant);
  v_removed := jsonb_build_object('copies', m23.forget_copies(p_tenant), 'log', m23.forget_log(p_tenant))
    || m23.forget_records(p_tenant);
  -- History begins anew: without its log, an earlier moment would look like the present.
  insert into m23.forgotten (tenant_id, incarnation) values (p_tenant, m23.incarnation())
    on conflict (tenant_id) do update set at = excluded.at, xid = excluded.xid, incarnation = excluded.incarnation;
  delete from m23.restore_work where tenant_id = p_tenant;
  return jsonb_build_object('removed', v_removed,
    'archives', jsonb_build_object('prefix', format('tenants/%s/', m23.tenant_name(p_tenant)),
      'note', 'archives in the bucket are not removed by the database: delete every object under the prefix'),
    'keys', jsonb_build_object('prefix', m23.keys_prefix(p_tenant),
      'note', 'nor are the keys of encrypted archives: erase_archive_key has them deleted, and what is left of the '
              'archives is unreadable at once'));
end $$;
comment on function m23.forget_tenant(text) is
  'Removes everything that M23 keeps of a tenant: log, snapshots, previews, restores, rollbacks, backups, requests, '
  'plans, copies. Gives the counts, and the prefixes of its archives and keys, which are to be deleted from the '
  'bucket. Live rows and memberships stay. Refused while a restore or backup of it runs.';
revoke all on function m23.forget_tenant(text) from public, anon, authenticated, service_role;
grant execute on function m23.forget_tenant(text) to service_role;

-- Work on a backup that is a position: its rows come from the log.
create or replace function m23.from_snapshot(p_work m23.restore_work) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare
  v_backup m23.backup_work;
  v_fault  text;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  p_work.tables := m23.names_now(p_work.job_id, p_work.tables);  -- from here on they are those of live tables
  p_work.moment := m23.moment_of(v_backup.position, v_backup.position_at);
  select coalesce(min(m23.moment_fault(t, p_work.moment)), m23.tenant_fault(p_work.tenant_id, p_work.moment))
    into v_fault
    from m23.tables_named(p_work.tables) t;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'this snapshot can no longer be restored: ' || v_fault);
  end if;
  p_work.job_id := null;
  return p_work;
end $$;
revoke all on function m23.from_snapshot(m23.restore_work) from public, anon, authenticated, service_role;

-- The moments of a table that cannot be gone back to, and why.
create or replace function m23.gaps_of(p_table m23.protected_tables, p_tenant text)
returns table ("from" timestamptz, until timestamptz, reason text)
language sql volatile rows 2 set search_path = '' as $$
  with began as (select coalesce((select min(g.since) from m23.gaps g where g.table_id = p_table.id),
                                 m23.history_since(p_table)) as at)
  select null::timestamptz, began.at, 'the table was not protected yet' from began
  union all
  select g.since, g.until, g.reason from m23.gaps g where g.table_id = p_table.id
  union all
  select m23.history_since(p_table), p_table.pruned_at, format('the log is kept for %s days', m23.setting('log_days'))
   where p_table.pruned_at is not null
  union all
  select null, f.at, 'the tenant was forgotten' from m23.forgotten f
   where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation
  union all
  select m23.history_since(p_table), clock_timestamp(), m23.present_gap(p_table)
   where m23.present_gap(p_table) is not null
  union all
  select d.protected_at, began.at, 'the table was dropped and made again' from began, m23.protected_tables d
   where d.name = p_table.name and d.protected_at < p_table.protected_at
     and not exists (select from pg_class c where c.oid = d.relid)
  union all
  select s.since, s.until, 'the clock was set back: these times came twice' from m23.clock_steps s
   where s.incarnation = p_table.incarnation
$$;
revoke all on function m23.gaps_of(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Gives what a restore would do; null where that is for the archive alone to say, and p_work then.
create or replace function m23.look_at_pitr(p_work m23.restore_work, p_restore jsonb) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment := m23.known_moment(p_work);
  v_tables text[] := case when p_work.job_id is null then p_work.tables
                          else m23.names_now(p_work.job_id, p_work.tables) end;
begin
  -- Without a backup the log has been asked already.
  if p_work.job_id is not null and not m23.log_reaches(p_work.tenant_id, v_tables, v_moment) then
    return null;
  end if;
  return m23.preview(p_work.tenant_id, v_moment, v_tables,
    m23.moment_warnings((p_restore ->> 'targetTimestamp')::timestamptz, v_moment, m23.named_tables(p_restore))
      || m23.access_warnings(p_work.tenant_id, m23.list_of(p_restore -> 'tables'), v_moment));
end $$;
revoke all on function m23.look_at_pitr(m23.restore_work, jsonb) from public, anon, authenticated, service_role;

-- The moment of a time inside a member. With ticks it is the last one before, or the parent's.
create or replace function m23.moment_in_chain(p_member m23.backup_work, p_at timestamptz) returns m23.moment
language plpgsql stable set search_path = '' as $$
declare
  v_moment m23.moment;
  v_tick   record;
begin
  if p_at = p_member.position_at then
    return null;
  elsif p_member.commit_times = 'native' then
    v_moment.at := p_at;
    v_moment.taken := p_at;
    return v_moment;
  end if;
  select t.position, t.at into v_tick from (
      select (x ->> 'position')::pg_snapshot as position, (x ->> 'at')::timestamptz as at
        from jsonb_array_elements(p_member.ticks) x
      union all
      select p.position, p.position_at from public.backup_jobs j
        join m23.backup_work p on p.job_id = j.parent_backup_id
       where j.id = p_member.job_id) t
    where t.at <= p_at order by t.at desc limit 1;
  return m23.moment_of(v_tick.position, v_tick.at);
end $$;
revoke all on function m23.moment_in_chain(m23.backup_work, timestamptz) from public, anon, authenticated, service_role;

-- Why a table cannot be gone back with at all; null when it can.
create or replace function m23.present_gap(p_table m23.protected_tables) returns text
language plpgsql volatile set search_path = '' as $$
begin
  return case when not exists (select from pg_class c where c.oid = p_table.relid)
                then 'the table was dropped while it was protected; its rows cannot come back'
              when p_table.incarnation <> m23.incarnation()
                then 'the database was restored or copied since the table was protected'
              else m23.capture_fault(p_table) end;
end $$;
revoke all on function m23.present_gap(m23.protected_tables) from public, anon, authenticated, service_role;

-- Moments of which some rows alone are out of reach.
create or replace function m23.partial_gaps(p_table m23.protected_tables, p_tenant text) returns jsonb
language sql volatile set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('from', m23.history_since(p_table), 'until', r.at, 'partial', true,
           'reason', format('the partition %s was dropped with its rows: they alone cannot come back', r.name))
           order by r.id), '[]')
    from m23.removed_partitions r
   where r.table_id = p_table.id and r.lost and m23.can_concern(r.bounds, p_table, p_tenant)
$$;
revoke all on function m23.partial_gaps(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The earliest moment that a tenant's rows of a table can be gone back to.
create or replace function m23.earliest_moment(p_table m23.protected_tables, p_tenant text) returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return greatest(m23.history_since(p_table), p_table.pruned_at,
    (select f.at from m23.forgotten f where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation));
end $$;
revoke all on function m23.earliest_moment(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- Each protected table; one that was dropped, unless another has its name by now.
create or replace function m23.recovery_window(p_tenant text)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language sql volatile set search_path = '' as $$
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
revoke all on function m23.recovery_window(text) from public, anon, authenticated, service_role;

-- What lies between a time and the tables' common history.
create or replace function m23.reason_before(p_tenant text, p_tables text[], p_at timestamptz) returns text
language sql volatile set search_path = '' as $$
  select format(' (%s: %s)', m23.public_name(t.relid), g.reason) from m23.chosen(p_tables) t, m23.gaps_of(t, p_tenant) g
   where g.until > p_at order by g.until desc, g."from" nulls last limit 1
$$;
revoke all on function m23.reason_before(text, text[], timestamptz) from public, anon, authenticated, service_role;

-- The tables of a restore: as chosen, or all; with includeRelated also those that they are
-- tied to by foreign keys, in either direction, as far as they are protected.
create or replace function m23.chosen_tables(p_tables text[], p_related boolean) returns text[]
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
revoke all on function m23.chosen_tables(text[], boolean) from public, anon, authenticated, service_role;

-- Why tables cannot answer for a moment, and their tenant.
create or replace function m23.moment_refusals(p_tenant text, p_moment m23.moment, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return array(select 'targetTimestamp: ' || f.fault from m23.moment_faults(p_tables, p_moment) f)
      || array(select 'targetTimestamp: ' || f from m23.tenant_fault(p_tenant, p_moment) f where f is not null);
end $$;
revoke all on function m23.moment_refusals(text, m23.moment, text[]) from public, anon, authenticated, service_role;

-- What a caller must know of a moment: with ticks it is the last one before the target; a
-- table that was dropped cannot come back.
create or replace function m23.moment_warnings(p_at timestamptz, p_moment m23.moment, p_chosen text[]) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return case when (p_moment).taken <> p_at
      then array[format('this server records no commit times: the moment taken is %s', m23.iso((p_moment).taken))]
    else '{}' end
    || case when p_chosen is null then array(
      select format('%s was dropped while it was protected; its rows cannot come back', t.name)
        from m23.protected_tables t where not exists (select from pg_class c where c.oid = t.relid) order by t.name)
        || m23.name_warnings(p_at) else '{}' end;
end $$;
revoke all on function m23.moment_warnings(timestamptz, m23.moment, text[]) from public, anon, authenticated,
  service_role;

-- The tables that a request names, or that a backup names for it; null: all that are protected.
create or replace function m23.named_tables(p_restore jsonb) returns text[]
language plpgsql immutable set search_path = '' as $$
begin
  return coalesce(m23.list_of(p_restore -> 'tables'),
                  case when p_restore ->> 'baseBackupId' is not null then array[]::text[] end);
end $$;
revoke all on function m23.named_tables(jsonb) from public, anon, authenticated, service_role;

-- Moments inside a chain: between the full backup and its last incremental. A moment is reached
-- backwards, from the first member at or after it: that member's rows, taken back by the entries
-- of its own history that lie after the moment. The log in the database is not needed.

-- What a backup builds on, itself, and what has been built on it and can be read.
create or replace function m23.members_around(p_job uuid) returns setof m23.backup_work
language sql stable rows 2 set search_path = '' as $$
  with recursive later as (
    select p_job as id
    union
    select j.id from later l join public.backup_jobs j on j.parent_backup_id = l.id
     where j.status = 'completed' and j.deleted_at is null)
  select w.* from m23.backup_work w
   where w.job_id in (select id from later union select c.id from m23.chain_of(p_job) c)
$$;
revoke all on function m23.members_around(uuid) from public, anon, authenticated, service_role;

-- The chosen tables as the member has them; all that it has and that are protected still, when
-- none is chosen.
create or replace function m23.tables_of_member(p_job uuid, p_restore jsonb) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_chosen text[] := m23.list_of(p_restore -> 'tables');
begin
  if v_chosen is null then
    return array(select b.schema_name || '.' || b.table_name from m23.backup_tables b
                  where b.job_id = p_job and (m23.table_now(b)).id is not null
                    and not m23.is_access_table((m23.table_now(b)).relid) order by b.ordinal);
  end if;
  return m23.tables_in_backup(p_job,
    m23.restored_tables(v_chosen, coalesce((p_restore ->> 'includeRelated')::boolean, false)));
end $$;
revoke all on function m23.tables_of_member(uuid, jsonb) from public, anon, authenticated, service_role;

-- The moment of work as the log knows it; null where only an archive does.
create or replace function m23.known_moment(p_work m23.restore_work) returns m23.moment
language plpgsql volatile set search_path = '' as $$
begin
  return case when (p_work.moment).position is not null then p_work.moment else m23.logged_moment(p_work) end;
end $$;
revoke all on function m23.known_moment(m23.restore_work) from public, anon, authenticated, service_role;

-- A table that a member has whole begins anew there: of the time since the parent it says nothing.
create or replace function m23.refuse_moment_in_whole(
  p_member m23.backup_work, p_tables text[], p_in_chain m23.moment
) returns void
language plpgsql stable set search_path = '' as $$
declare v_faults text[];
begin
  if (p_in_chain).taken is null then return; end if;
  v_faults := array(
    select format('targetTimestamp: %s.%s begins anew with the backup "%s": its shape, its protection or its '
                  'partitions changed after %s, and there is no moment of it before %s',
                  b.schema_name, b.table_name, j.backup_name, m23.iso(p.position_at), m23.iso(p_member.position_at))
      from m23.backup_tables b join public.backup_jobs j on j.id = b.job_id
      join m23.backup_work p on p.job_id = j.parent_backup_id
     where b.job_id = p_member.job_id and b.whole and b.schema_name || '.' || b.table_name = any (p_tables)
     order by b.ordinal);
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_moment_in_whole(m23.backup_work, text[], m23.moment) from public, anon, authenticated,
  service_role;

-- The log's own moment for work on a chain, where log and chain are of one life of the database.
create or replace function m23.logged_moment(p_work m23.restore_work) returns m23.moment
language plpgsql volatile set search_path = '' as $$
declare v_member m23.backup_work;
begin
  select * into v_member from m23.backup_work where job_id = p_work.job_id;
  if v_member.incarnation <> m23.incarnation() then
    return null;
  elsif (p_work.moment_in_chain).taken is null then
    return m23.moment_of(v_member.position, v_member.position_at);
  elsif (p_work.moment_in_chain).position is not null then
    return p_work.moment_in_chain;
  end if;
  return m23.moment_at((p_work.moment_in_chain).at);
end $$;
revoke all on function m23.logged_moment(m23.restore_work) from public, anon, authenticated, service_role;

-- Whether the log alone can answer for tables at a moment.
create or replace function m23.log_reaches(p_tenant text, p_tables text[], p_moment m23.moment) returns boolean
language sql volatile set search_path = '' as $$
  select (p_moment).position is not null and m23.tenant_fault(p_tenant, p_moment) is null and not exists (
    select from m23.moment_faults(p_tables, p_moment))
$$;
revoke all on function m23.log_reaches(text, text[], m23.moment) from public, anon, authenticated, service_role;

-- Takes what is staged back to the moment inside the member: as in m23.touched_since, existence
-- is a balance, and the row is the first old image since.
create or replace function m23.rewind_staged(p_work m23.restore_work) returns void
language plpgsql set search_path = '' as $$
declare
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
begin
  if (p_work.moment_in_chain).taken is null then return; end if;
  for v_staged in
    select * from m23.staged_tables where restore_id = p_work.work_id and history is not null order by ordinal
  loop
    select * into v_table from m23.protected_tables where id = v_staged.table_id;
    perform m23.check_history(v_staged, v_table, p_work);
    perform m23.rewind_table(v_staged, v_table, p_work.moment_in_chain);
  end loop;
end $$;
revoke all on function m23.rewind_staged(m23.restore_work) from public, anon, authenticated, service_role;

-- Refuses a staged history that does not say when its changes were, or that has rows of another tenant.
create or replace function m23.check_history(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_work m23.restore_work
) returns void
language plpgsql set search_path = '' as $$
declare
  v_undated bigint;
  v_foreign bigint;
begin
  execute m23.fill($sql$
      select count(*) filter (where m23_at is null),
             count(*) filter (where m23_op in ('U', 'D') and {tenant} is distinct from {its_id}) from {history} r$sql$,
    'tenant', m23.row_tenant(p_table, 'r'),
    'its_id', m23.tenant_value(p_table, quote_literal(p_work.tenant_id)),
    'history', p_staged.history) into v_undated, v_foreign;
  if v_undated > 0 and (p_work.moment_in_chain).position is null then
    perform m23.refuse('BACKUP_UNUSABLE',
      format('the archive does not say when %s change(s) of %s were committed', v_undated,
             m23.public_name(p_table.relid)));
  elsif v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
end $$;
revoke all on function m23.check_history(m23.staged_tables, m23.protected_tables, m23.restore_work) from public, anon,
  authenticated, service_role;

-- The condition that a staged entry `r` lies after a moment inside its member.
create or replace function m23.staged_lies_after(p_in_chain m23.moment) returns text
language sql stable set search_path = '' as $$
  select case when (p_in_chain).position is null then format('r.m23_at > %L::timestamptz', (p_in_chain).at)
              else format('not pg_visible_in_snapshot(r.m23_xid, %L)', (p_in_chain).position) end
$$;
revoke all on function m23.staged_lies_after(m23.moment) from public, anon, authenticated, service_role;

-- The keys that have come from another tenant since the staged rows' moment: what the log knows since
-- the backup, and the archive of the way back to a moment inside it. Of a backup from another life all
-- that is logged is later.
create or replace function m23.arrived_since(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_work m23.restore_work, p_backup m23.moment
) returns text
language sql volatile set search_path = '' as $$
  select concat_ws(' union all ',
    m23.arrived_keys(p_table, p_work.tenant_id, pg_snapshot_xmin((p_backup).position),
                case when (p_backup).position is null then 'true'
                     else format('not pg_visible_in_snapshot(l.xid, %L)', (p_backup).position) end, false),
    case when (p_work.moment_in_chain).taken is not null and p_staged.history is not null
      then format('select %s from %s r where r.m23_op = ''a'' and %s', m23.key_list(p_table.relid, 'r'),
                  p_staged.history, m23.staged_lies_after(p_work.moment_in_chain)) end)
$$;
revoke all on function m23.arrived_since(m23.staged_tables, m23.protected_tables, m23.restore_work, m23.moment)
  from public, anon, authenticated, service_role;

-- Tables that are not protected and have the name that a protected one had at a time, as after an exchange for a copy.
create or replace function m23.name_warnings(p_at timestamptz) returns text[]
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
revoke all on function m23.name_warnings(timestamptz) from public, anon, authenticated, service_role;

-- Point-in-time recovery: the wanted rows come from the log, as of a moment. A preview is
-- the same plan, stopped before the write.

-- The work of a restore to a time: from the chain of the backup that is named, as far as that
-- reaches; after its last member from that backup and the log; else from the log.
create or replace function m23.pitr_work(p_tenant text, p_restore jsonb) returns m23.restore_work
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
  v_tables := m23.restored_tables(m23.list_of(p_restore -> 'tables'),
                                  coalesce((p_restore ->> 'includeRelated')::boolean, false));
  v_moment := m23.requested_moment(p_tenant, (p_restore ->> 'targetTimestamp')::timestamptz, v_tables);
  if v_job is not null then
    v_parts := m23.tables_in_backup(v_job, v_tables);
    select * into v_backup from m23.backup_work where job_id = v_job;
    -- A log that does not know all that has changed since the backup answers alone.
    if v_backup.incarnation <> m23.incarnation()
       or not m23.log_reaches(p_tenant, v_tables, m23.moment_of(v_backup.position, v_backup.position_at)) then
      v_job := null;
    end if;
  end if;
  return m23.new_work(p_tenant, 'pitr',
    p_job => v_job,
    p_moment => v_moment,
    p_tables => case when v_job is null then v_tables else v_parts end,
    p_plan_hash => p_restore ->> 'planHash',
    p_dry_run => v_dry);
end $$;
revoke all on function m23.pitr_work(text, jsonb) from public, anon, authenticated, service_role;

-- m23.plan for the way from one moment to another: the rows as of both are compared.
create or replace function m23.plan_between(p_tenant text, p_targets m23.target[], p_from m23.moment) returns void
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
  foreach v_target in array m23.complete_targets(p_targets) loop
    v_log := m23.log_of((v_target.tbl).id, p_tenant, v_from);
    perform m23.run_between(v_target, p_tenant, p_from, m23.fill($sql$
        insert into m23.plan (table_id, name, inserts, updates, deletes)
        select $5, $6, count(*) filter (where l.{tenant} is null),
               count(*) filter (where l.{tenant} is not null and w.{tenant} is not null),
               count(*) filter (where w.{tenant} is null)
          from ({wanted}) w full join ({from}) l on {same_key}
         where w.{tenant} is null or l.{tenant} is null or {differs}$sql$,
      'tenant', quote_ident(m23.tenant_column(v_target.tbl)), 'wanted', m23.as_of_query(v_target.tbl, v_log),
      'from', m23.as_of_query(v_target.tbl, v_log, p_moment => '$4'),
      'same_key', m23.key_match((v_target.tbl).relid, 'w', 'l'),
      'differs', m23.differs(v_target.tbl, v_target.columns,
                             array(select format('w.%I', c) from unnest(v_target.columns) c))));
  end loop;
end $$;
revoke all on function m23.plan_between(text, m23.target[], m23.moment) from public, anon, authenticated, service_role;

-- Executes a statement with the parameters of m23.plan_between. Where values do not fit, it says which.
create or replace function m23.run_between(p_target m23.target, p_tenant text, p_from m23.moment, p_statement text)
  returns void
language plpgsql volatile set search_path = '' as $$
declare v_name text := m23.public_name((p_target.tbl).relid);
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[], p_from, (p_target.tbl).id, v_name;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(select distinct m23.unfit_columns(t, p_tenant)
                                  from unnest(array[p_target, m23.logged_target(p_target.tbl, p_from)]) t));
  raise;
end $$;
revoke all on function m23.run_between(m23.target, text, m23.moment, text) from public, anon, authenticated,
  service_role;

-- Plans, tells, and takes the plan away: stats, rows, hash, faults of the choice. Without a
-- moment the first 10,000 rows of each table are kept for the pages to come.
create or replace function m23.preview_targets(
  p_tenant text, p_targets m23.target[], p_moment m23.moment, p_tables text[], p_warnings text[]
) returns jsonb
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
    values (p_tenant, p_moment, coalesce(p_tables, '{}'), m23.plan_hash(p_tenant, v_plan.targets),
            exists (select from m23.plan p where p.left_alone > 0))
    returning * into v_preview;
  perform m23.drop_old_previews(p_tenant);
  foreach v_target in array m23.targets_with_changes(v_plan.targets) loop
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
revoke all on function m23.preview_targets(text, m23.target[], m23.moment, text[], text[]) from public, anon,
  authenticated, service_role;

-- The preview of work whose rows are staged, or come from a snapshot.
create or replace function m23.preview_work(p_work m23.restore_work) returns json
language plpgsql volatile set search_path = '' as $$
begin
  if p_work.job_id is null and p_work.mode = 'exact' then
    return m23.preview(p_work.tenant_id, p_work.moment, p_work.tables, m23.staging_warnings(p_work.work_id));
  end if;
  perform m23.lock_tables(m23.relations_of(p_work));
  if m23.is_empty(p_work) then
    return m23.plan_report('{}') || jsonb_build_object('previewChanges', '{}'::jsonb, 'changeCounts', '{}'::jsonb,
      'wouldFail', m23.refusal_told('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id)));
  end if;
  return m23.preview_targets(p_work.tenant_id, m23.targets_of(p_work), null, null,
    m23.staging_warnings(p_work.work_id)
      || case when (p_work.moment_in_chain).taken is not null and (p_work.moment_in_chain).position is not null
              then array[format('this server recorded no commit times: the moment taken is %s',
                                m23.iso((p_work.moment_in_chain).taken))]
              else '{}' end);
end $$;
revoke all on function m23.preview_work(m23.restore_work) from public, anon, authenticated, service_role;

-- How a dry run that nobody waited for has ended. Its rows are in the preview's pages.
create or replace function m23.note_preview(p_work m23.restore_work, p_seen jsonb) returns json
language plpgsql set search_path = '' as $$
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(), stats = p_seen -> 'stats',
         warnings = coalesce(m23.list_of(p_seen -> 'warnings'), '{}'),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = r.metadata || jsonb_build_object('preview', p_seen - '{stats,warnings,previewChanges}'::text[])
   where r.id = p_work.work_id;
  return p_seen;
end $$;
revoke all on function m23.note_preview(m23.restore_work, jsonb) from public, anon, authenticated, service_role;

-- Deletes previews of more than a day ago, so many at a time; gives how many.
create or replace function m23.sweep_previews() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  delete from m23.previews where ctid = any (array(
    select ctid from m23.previews where created_at < clock_timestamp() - interval '1 day' limit 100));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.sweep_previews() from public, anon, authenticated, service_role;

-- Only so many of a tenant are kept: their rows can be many.
create or replace function m23.drop_old_previews(p_tenant text) returns void
language sql volatile set search_path = '' as $$
  delete from m23.previews where id in (
    select p.id from m23.previews p where p.tenant_id = p_tenant
     order by p.created_at desc offset m23.setting('kept_previews')::int)
$$;
revoke all on function m23.drop_old_previews(text) from public, anon, authenticated, service_role;

-- What a preview shows at most, and each page of it.
create or replace function m23.preview_bytes() returns bigint
language sql immutable set search_path = '' as $$ select 1000000::bigint $$;
revoke all on function m23.preview_bytes() from public, anon, authenticated, service_role;

-- What a restore of tables to a moment of the log would do.
create or replace function m23.preview(p_tenant text, p_moment m23.moment, p_tables text[], p_warnings text[])
  returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return m23.preview_targets(p_tenant, m23.logged_targets(p_tables, p_moment), p_moment, p_tables, p_warnings);
end $$;
revoke all on function m23.preview(text, m23.moment, text[], text[]) from public, anon, authenticated, service_role;

-- A page of rows that were kept.
create or replace function m23.page_of(p_rows jsonb, p_offset int, p_limit int) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (select coalesce(jsonb_agg(e.change order by e.n), '[]')
            from (select c.change, c.n, sum(octet_length(c.change::text) + 2) over (order by c.n) as bytes
                    from jsonb_array_elements(p_rows) with ordinality c (change, n)
                   where c.n > p_offset and c.n <= p_offset + p_limit) e
           where e.bytes <= m23.preview_bytes() or e.n = p_offset + 1);
end $$;
revoke all on function m23.page_of(jsonb, int, int) from public, anon, authenticated, service_role;

-- Refuses a restore that cannot be made as asked. p_schema: where to, null for the live tables.
create or replace function m23.refuse_restore_faults(p_work m23.restore_work, p_schema text) returns void
language plpgsql set search_path = '' as $$
declare v_faults text[] := m23.schema_faults(p_schema);
begin
  if p_schema is not null then
    v_faults := v_faults
      || array(select format('tables: %s are called "%s"; restore them one at a time',
                             string_agg(schema_name || '.' || table_name, ' and ' order by schema_name), table_name)
                 from m23.backup_tables
                where job_id = p_work.job_id
                  and (p_work.tables is null or schema_name || '.' || table_name = any (p_work.tables))
                group by table_name having count(*) > 1);
    v_faults := v_faults
      || case when p_work.mode <> 'exact' then array['mode: is for live tables, not for targetSchema'] end
      || case when p_work.dry_run then array['dryRun: is for live tables, not for targetSchema'] end;
  else
    v_faults := v_faults || m23.obstacle_faults(m23.names_now(p_work.job_id, p_work.tables));
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_restore_faults(m23.restore_work, text) from public, anon, authenticated, service_role;

-- What to say of a table that is called otherwise now; null for nothing.
create or replace function m23.renamed_sentence(p_part m23.backup_tables, p_now m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_then  text := case p_part.schema_name when 'public' then '' else p_part.schema_name || '.' end || p_part.table_name;
  v_known text := (select m23.public_name(t.relid) from m23.protected_tables t where t.id = p_part.table_id);
begin
  return case
    when p_now.id is null then null
    when p_now.id <> p_part.table_id and v_known <> v_then
      then format('%1$s was another table then, which is called %2$s now; the rows went to the present %1$s', v_then,
                  v_known)
    when m23.public_name(p_now.relid) = v_then then null
    when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
      then format('%s is called %s now', v_then, m23.public_name(p_now.relid))
    else format('%1$s was another table then, which is called %2$s now; the present %1$s is left as it is', v_then,
                m23.public_name(p_now.relid)) end;
end $$;
revoke all on function m23.renamed_sentence(m23.backup_tables, m23.protected_tables) from public, anon, authenticated,
  service_role;

-- The moment of a request, for tables that can answer for it. What can be gone back to is looked up where they cannot.
create or replace function m23.requested_moment(p_tenant text, p_at timestamptz, p_tables text[]) returns m23.moment
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
revoke all on function m23.requested_moment(text, timestamptz, text[]) from public, anon, authenticated, service_role;

-- A backup of a tenant that can be read with all that it builds on; refused else. Without p_needs_key an erased key
-- does not matter.
create or replace function m23.restorable_backup(
  p_tenant text, p_job uuid, p_needs_key boolean default true
) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare
  v_job   public.backup_jobs;
  v_fault text;
begin
  select * into v_job from public.backup_jobs where id = p_job and tenant_id = p_tenant;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  v_fault := m23.chain_fault(v_job, p_needs_key);
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_fault);
  end if;
  return v_job;
end $$;
revoke all on function m23.restorable_backup(text, uuid, boolean) from public, anon, authenticated, service_role;

-- Beside the live data: a schema of its own, out of the API's reach until somebody grants it.
create or replace function m23.restore_beside(p_work m23.restore_work, p_restore public.restore_logs) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_faults text[] := m23.schema_faults(p_restore.target_schema);
  v_target m23.target;
  v_rows   bigint := 0;
  v_names  text[] := '{}';
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  perform m23.lock_tables(m23.relations_of(p_work));
  perform m23.begin_copy(p_restore);
  execute format('grant usage on schema %I to service_role', p_restore.target_schema);
  foreach v_target in array coalesce(m23.complete_targets(m23.targets_of(p_work)), '{}') loop
    v_rows := v_rows + m23.copy_beside(v_target, p_restore);
    v_names := v_names || m23.public_name((v_target.tbl).relid);
  end loop;
  perform m23.end_copy(p_restore);
  return jsonb_build_object('snapshot_id', null, 'tables', v_names, 'warnings', '[]'::jsonb,
    'stats', jsonb_build_object('insertCount', v_rows, 'updateCount', 0, 'deleteCount', 0, 'totalOperations', v_rows,
                                'affectedTables', to_jsonb(v_names)));
end $$;
revoke all on function m23.restore_beside(m23.restore_work, public.restore_logs) from public, anon, authenticated,
  service_role;

-- Writes the wanted rows into the live tables, under the fence, after a snapshot to come back
-- to. A column that is renamed or dropped before its table is locked makes it begin again.
create or replace function m23.restore_live(p_work m23.restore_work, p_by uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_targets  m23.target[];
  v_names    text[];
  v_snapshot uuid;
begin
  for v_left in reverse 4..0 loop
    begin
      v_targets := m23.targets_of(p_work);
      v_names := array(select m23.public_name((t).tbl.relid) from unnest(v_targets) t);
      v_snapshot := m23.new_snapshot(p_work.tenant_id,
        format('before %s %s', case p_work.kind when 'rollback' then 'rollback' else 'restore' end, p_work.work_id),
        'pre_restore', v_names, p_by, (select id from public.restore_logs where id = p_work.work_id));
      return m23.converge_fenced(p_work.tenant_id, v_targets, p_work.plan_hash, v_snapshot, p_work.work_id)
          || jsonb_build_object('snapshot_id', v_snapshot, 'tables', v_names);
    exception when undefined_column or undefined_table then  -- a part of a log was dropped meanwhile, say
      if v_left = 0 then raise; end if;
    end;
  end loop;
end $$;
revoke all on function m23.restore_live(m23.restore_work, uuid) from public, anon, authenticated, service_role;

-- Work to begin, by its fields: what makes some names those that it has.
create or replace function m23.new_work(
  p_tenant text, p_kind text, p_work uuid default gen_random_uuid(), p_job uuid default null,
  p_moment m23.moment default null, p_tables text[] default null, p_plan_hash text default null,
  p_in_chain m23.moment default null, p_mode text default 'exact', p_dry_run boolean default false
) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare v_work m23.restore_work;
begin
  v_work.work_id := p_work;
  v_work.tenant_id := p_tenant;
  v_work.kind := p_kind;
  v_work.job_id := p_job;
  v_work.moment := p_moment;
  v_work.tables := p_tables;
  v_work.plan_hash := p_plan_hash;
  v_work.moment_in_chain := p_in_chain;
  v_work.mode := p_mode;
  v_work.dry_run := p_dry_run;
  v_work.detached := false;
  return v_work;
end $$;
revoke all on function m23.new_work(text, text, uuid, uuid, m23.moment, text[], text, m23.moment, text, boolean)
  from public, anon, authenticated, service_role;

-- Takes work away, with what it has staged, its lease and a wish to cancel it.
create or replace function m23.end_work(p_work uuid) returns void
language plpgsql set search_path = '' as $$
declare v_staging text;
begin
  for v_staging in
    select r from m23.staged_tables s, unnest(array[s.staging, s.history]) r
     where s.restore_id = p_work and r is not null
  loop
    execute format('drop table if exists %s', v_staging);
  end loop;
  delete from m23.restore_work where work_id = p_work;
  delete from m23.leases where work_id = p_work;
  delete from m23.cancellations where work_id = p_work;
end $$;
revoke all on function m23.end_work(uuid) from public, anon, authenticated, service_role;

-- Ends a restore or rollback as failed, or as cancelled where somebody wished that.
create or replace function m23.fail_restore(p_work uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
declare v_status text := case when exists (select from m23.cancellations where work_id = p_work) then 'cancelled'
                              else 'failed' end;
begin
  update public.restore_logs set status = v_status, error_message = left(p_error, 2000),
         completed_at = clock_timestamp(),
         warnings = warnings || m23.staging_warnings(p_work),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_work and status in ('pending', 'in_progress');
  update public.pitr_rollbacks set status = v_status, error_message = left(p_error, 2000),
         completed_at = clock_timestamp()
   where id = p_work and status in ('pending', 'in_progress');
  perform m23.end_work(p_work);
end $$;
revoke all on function m23.fail_restore(uuid, text) from public, anon, authenticated, service_role;

-- Whether somebody drives a restore. p_is_wanted: another one of the tenant waits for it, and need not wait for one
-- whose backend is known to be dead. From the log, a restore is two calls, with nothing between them.
create or replace function m23.is_driven(p_work m23.restore_work, p_is_wanted boolean) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return exists (select from m23.leases l where l.work_id = p_work.work_id and l.until > clock_timestamp()
                    and not (p_is_wanted and m23.holder_is_dead(l, p_work.job_id is null)));
end $$;
revoke all on function m23.is_driven(m23.restore_work, boolean) from public, anon, authenticated, service_role;

-- What a worker needs for work that it holds the lease of: for work on an archive also what
-- to read.
create or replace function m23.order_of(p_work m23.restore_work, p_lease uuid) returns json
language plpgsql stable set search_path = '' as $$
begin
  return (select json_build_object('work_id', p_work.work_id, 'lease', p_lease, 'tenant_id', p_work.tenant_id,
                                   'backup_id', p_work.job_id, 'manifest', b.manifest,
                                   'manifest_sha256', b.manifest_sha256, 'tables', p_work.tables,
                                   'rewind', (p_work.moment_in_chain).taken is not null, 'dry_run', p_work.dry_run)
      from (select) one left join m23.backup_work b on b.job_id = p_work.job_id);
end $$;
revoke all on function m23.order_of(m23.restore_work, uuid) from public, anon, authenticated, service_role;

-- Notes work, and takes its lease; gives its order. Refused while other work of the tenant is running.
create or replace function m23.begin_work(p_work m23.restore_work) returns json
language plpgsql set search_path = '' as $$
begin
  perform m23.sweep_restores(p_work.tenant_id);
  begin
    insert into m23.restore_work select (p_work).*;
  exception when unique_violation then
    perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
  end;
  return m23.order_of(p_work, (m23.take_lease(p_work.work_id)).token);
end $$;
revoke all on function m23.begin_work(m23.restore_work) from public, anon, authenticated, service_role;

-- The row of restore_logs that stands for a restore, and its work.
create or replace function m23.log_restore(
  p_tenant text, p_work m23.restore_work, p_target timestamptz, p_schema text
) returns json
language plpgsql set search_path = '' as $$
declare v_begun json := m23.begin_work(p_work);
begin
  insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, target_schema, tables,
                                   status, started_at)
    values (p_work.work_id, p_tenant, p_work.kind, p_work.job_id, p_target, p_schema, p_work.tables, 'in_progress',
            clock_timestamp());
  return v_begun;
end $$;
revoke all on function m23.log_restore(text, m23.restore_work, timestamptz, text) from public, anon, authenticated,
  service_role;

-- Takes one staged table back to a moment inside its member.
create or replace function m23.rewind_table(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_in_chain m23.moment
) returns void
language plpgsql set search_path = '' as $$
declare
  v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
begin
  execute m23.fill($sql$create temp table m23_rewound on commit drop as
      with logged as (select r.* from {history} r where {lies_inside})
      select touched.*, (exists (select from {staging} t where {same_key}))::int - touched.m23_balance = 1 as m23_there
        from ({first_images}) touched$sql$,
    'history', p_staged.history, 'lies_inside', m23.staged_lies_after(p_in_chain), 'staging', p_staged.staging,
    'same_key', m23.key_match(p_table.relid, 't', 'touched'),
    'first_images', m23.first_images(p_table.relid, p_staged.columns, coalesce(p_staged.groups, '[]'), 'logged',
                                     p_staged.staging, 'true'));
  execute format('delete from %s r using pg_temp.m23_rewound t where %s', p_staged.staging,
                 m23.key_match(p_table.relid, 't', 'r'));
  execute format('insert into %1$s (%2$s) select %2$s from pg_temp.m23_rewound r where r.m23_there', p_staged.staging,
                 v_columns);
  execute m23.fill($sql$
      update m23.staged_tables set standing = (select count(*) from {staging})
       where restore_id = $1 and ordinal = $2$sql$, 'staging', p_staged.staging)
    using p_staged.restore_id, p_staged.ordinal;
  drop table pg_temp.m23_rewound;
end $$;
revoke all on function m23.rewind_table(m23.staged_tables, m23.protected_tables, m23.moment) from public, anon,
  authenticated, service_role;

-- Rollbacks: a rollback is a restore to a snapshot, which leaves a snapshot of its own, so that it can be rolled back
-- as well.

-- The tables of a snapshot by the names that they have now. Those that are no longer protected cannot come back: said,
-- not passed over.
create or replace function m23.rollback_tables(p_snapshot public.pitr_snapshots, out tables text[], out warnings text[])
language sql stable set search_path = '' as $$
  select array_agg(coalesce(c.name, s.name) order by s.n)
           filter (where c.name is not null or t.id is null and (m23.find_table(s.name)).id is not null),
         coalesce(array_agg(case
             when c.name <> s.name then format('%s is called %s now', s.name, c.name)
             when t.id is not null
               then format('%s was dropped since and was left out; its rows cannot come back', s.name)
             else format('%s is not protected any more and was left out', s.name) end order by s.n)
           filter (where c.name is distinct from s.name
                     and (t.id is not null or (m23.find_table(s.name)).id is null)), '{}')
    from rows from (unnest(p_snapshot.affected_tables),
                    jsonb_array_elements_text(p_snapshot.snapshot_data -> 'table_ids'))
         with ordinality s (name, id, n)
    left join m23.protected_tables t on t.id = s.id::int
   cross join lateral (select m23.public_name(t.relid)) c (name)
$$;
revoke all on function m23.rollback_tables(public.pitr_snapshots) from public, anon, authenticated, service_role;

-- The log row of a rollback that is done. The snapshot that it used is used up.
create or replace function m23.finish_rollback(p_rollback public.pitr_rollbacks, p_outcome jsonb) returns json
language plpgsql set search_path = '' as $$
declare v_done public.pitr_rollbacks;
begin
  update public.pitr_snapshots set status = 'rolled_back', is_rolled_back = true, rolled_back_at = clock_timestamp()
   where id = p_rollback.snapshot_id;
  update public.pitr_rollbacks r set status = 'completed', completed_at = clock_timestamp(),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint,
         affected_tables = coalesce(m23.list_of(p_outcome -> 'stats' -> 'affectedTables'), '{}'),
         pre_rollback_snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         warnings = r.warnings || coalesce(m23.list_of(p_outcome -> 'warnings'), '{}')
   where r.id = p_rollback.id returning * into v_done;
  return json_build_object('restored_tables', v_done.affected_tables, 'rows_restored', v_done.rows_restored,
    'duration', round(extract(epoch from v_done.completed_at - v_done.created_at), 3),
    'snapshot_id', v_done.pre_rollback_snapshot_id,
    'warnings', v_done.warnings, 'stats', p_outcome -> 'stats');
end $$;
revoke all on function m23.finish_rollback(public.pitr_rollbacks, jsonb) from public, anon, authenticated, service_role;

-- Snapshots: positions to come back to, made in constant time.

-- An active snapshot of a tenant, of this life of the database; refused else.
create or replace function m23.usable_snapshot(p_tenant text, p_snapshot uuid) returns public.pitr_snapshots
language plpgsql volatile set search_path = '' as $$
declare v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots s
   where s.id = p_snapshot and s.tenant_id = p_tenant and s.status = 'active'
     and (s.expires_at is null or s.expires_at > clock_timestamp());
  if v_snapshot.id is null then
    perform m23.refuse('SNAPSHOT_NOT_FOUND', m23.unusable_because(p_tenant, p_snapshot));
  end if;
  if v_snapshot.snapshot_data ->> 'incarnation' <> m23.incarnation()::text then
    perform m23.refuse('SNAPSHOT_NOT_FOUND',
                       'this snapshot is of another life of the database, which was restored or copied since');
  end if;
  return v_snapshot;
end $$;
revoke all on function m23.usable_snapshot(text, uuid) from public, anon, authenticated, service_role;

-- The moment of a snapshot.
create or replace function m23.snapshot_moment(p_snapshot public.pitr_snapshots) returns m23.moment
language sql stable set search_path = '' as $$
  select m23.moment_of((p_snapshot.snapshot_data ->> 'position')::pg_snapshot,
                       (p_snapshot.snapshot_data ->> 'taken_at')::timestamptz)
$$;
revoke all on function m23.snapshot_moment(public.pitr_snapshots) from public, anon, authenticated, service_role;

-- Refuses a snapshot that the log does not reach any more.
create or replace function m23.refuse_unreached_snapshot(p_snapshot public.pitr_snapshots, p_tables text[]) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment := m23.snapshot_moment(p_snapshot);
  v_faults text[] := array(select 'snapshotId: ' || f.fault from m23.moment_faults(p_tables, v_moment) f);
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'that snapshot cannot be gone back to', v_faults);
  end if;
end $$;
revoke all on function m23.refuse_unreached_snapshot(public.pitr_snapshots, text[]) from public, anon, authenticated,
  service_role;

-- Its tables stand there by name and, as they may be called otherwise by then, by number.
create or replace function m23.new_snapshot(
  p_tenant text, p_name text, p_type text, p_tables text[], p_by uuid, p_restore uuid
) returns uuid
language sql set search_path = '' as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at,
                                     snapshot_data, affected_tables)
  values (p_tenant, p_restore, p_name, p_type, p_by,
          clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int),
          m23.snapshot_here() || jsonb_build_object(
            'table_ids', array(select (f.tbl).id from m23.find_tables(p_tables) f order by f.n),
            'transaction', pg_current_xact_id()::text),
          p_tables)
  returning id
$$;
revoke all on function m23.new_snapshot(text, text, text, text[], uuid, uuid) from public, anon, authenticated,
  service_role;

-- Marks snapshots that have expired, so many at a time; gives how many.
create or replace function m23.sweep_snapshots() returns bigint
language plpgsql set search_path = '' as $$
declare v_count bigint;
begin
  update public.pitr_snapshots set status = 'expired' where ctid = any (array(
    select ctid from public.pitr_snapshots where status = 'active' and expires_at < clock_timestamp()
     limit 1000 for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.sweep_snapshots() from public, anon, authenticated, service_role;

-- The keys of these entries have no row any more, until the next rows bring one.
create or replace function m23.stage_history(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_keep boolean)
returns bigint
language plpgsql set search_path = '' as $$
declare
  v_list  text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
  v_skip  int := m23.fields_before(p_staged, p_lines, 'history');
  v_rows  bigint;
  v_gone  bigint;
begin
  execute format('create unique index if not exists s_%s_%s on %s (%s)', replace(p_staged.restore_id::text, '-', ''),
                 p_staged.ordinal, p_staged.staging,
                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_table.relid)) k));
  select taken, gone into v_rows, v_gone from m23.take_entries(m23.path_of(p_table.relid), format('
      with entries as materialized (select f[1]::"char" as m23_op, f[2]::bigint as m23_change_id, f[3]::xid8 as m23_xid,
                                           f[4]::timestamptz as m23_at, %7$s as m23_unchanged, %1$s from %2$s),
           gone as (delete from %3$s r using (select distinct %4$s from entries e) k where %5$s returning 1),
           kept as (%6$s)
      select (select count(*) from entries), (select count(*) from gone)',
    m23.line_values(p_staged, p_table, p_then, v_skip), m23.whole_lines(p_staged, v_skip), p_staged.staging,
    m23.key_list(p_table.relid, 'e'), m23.key_match(p_table.relid, 'k', 'r'),
    case when p_keep
         then format('insert into %s (m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s)
                select m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s from entries',
                     p_staged.history, v_list)
         else 'select' end,
    case v_skip when 4 then '0' else 'f[5]::int' end), p_lines);
  update m23.staged_tables set standing = standing - v_gone
   where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
end $$;
revoke all on function m23.stage_history(m23.staged_tables, m23.protected_tables, pg_snapshot, text, boolean)
  from public, anon, authenticated, service_role;

-- What the staged rows say, but for keys that have changed since the backup or since the
-- moment: those are as the log has them at the moment. A column that the archive does not have
-- is, in rows that nobody has changed, as it is; one that is newer than the moment always is.
create or replace function m23.staged_at_moment(
  p_staged m23.staged_tables, p_wanted text, p_table m23.protected_tables, p_backup pg_snapshot, p_moment m23.moment,
  p_log text
) returns text
language sql stable set search_path = '' as $q$
  select format($$with since_backup as (with %1$s select * from touched),
      since_moment as (with %2$s select * from touched),
      changed as materialized (select %3$s from since_backup r union select %3$s from since_moment r)
    select %4$s from (%5$s) r left join (select * from %6$s r where %7$s) l on %8$s
     where not exists (select from changed t where %9$s)
    union all
    select %10$s from (%11$s) r left join (select * from %6$s r where %7$s) l on %8$s
     where exists (select from changed t where %9$s)$$,
    m23.touched_since(p_table, p_log, format('%L::m23.moment', m23.moment_of(p_backup))),
    m23.touched_since(p_table, p_log), m23.key_list(p_table.relid, 'r'),
    (select string_agg(format(case when c.name = any (p_staged.columns) then 'r.%I' else 'l.%I' end, c.name),
                       ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    p_wanted, m23.qualified_name(p_table.relid), m23.belongs_to(p_table, 'r', '$1'),
    m23.key_match(p_table.relid, 'l', 'r'),
    m23.key_match(p_table.relid, 't', 'r'),
    (select string_agg(format(case when c.name = any (m23.newer_columns(p_table, p_moment))
                                   then 'case when l.%1$I is not null then l.%2$I else r.%2$I end' else 'r.%2$I' end,
                              m23.tenant_column(p_table), c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    m23.as_of_query(p_table, p_log))
$q$;
revoke all on function m23.staged_at_moment(m23.staged_tables, text, m23.protected_tables, pg_snapshot, m23.moment,
  text) from public, anon, authenticated, service_role;

-- The rows of a staged table: all that the manifest promises (staging does not survive a
-- crash of the server), and this tenant's. An archive holds no others; should one do so
-- all the same, the restore is refused.
create or replace function m23.staged_query(p_staged m23.staged_tables, p_table m23.protected_tables, p_tenant text)
  returns text
language plpgsql set search_path = '' as $$
declare
  v_rows    bigint;
  v_foreign bigint;
begin
  execute format('select count(*), count(*) filter (where %s is distinct from %s) from %s r',
    m23.row_tenant(p_table, 'r'), m23.tenant_value(p_table, quote_literal(p_tenant)), p_staged.staging)
    into v_rows, v_foreign;
  if v_rows <> p_staged.standing then
    perform m23.refuse('UNAVAILABLE',
                       'the database was restarted while the archive was read back; start the restore again');
  end if;
  if v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
  return format('select * from %s', p_staged.staging);
end $$;
revoke all on function m23.staged_query(m23.staged_tables, m23.protected_tables, text) from public, anon, authenticated,
  service_role;

-- The targets of work on an archive: its rows, or with a moment what the log makes of them.
create or replace function m23.staged_targets(p_work m23.restore_work) returns m23.target[]
language plpgsql set search_path = '' as $$
declare
  v_backup m23.backup_work;
  v_logged m23.moment;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  if v_backup.incarnation = m23.incarnation() then
    v_logged := m23.moment_of(v_backup.position);  -- without a time: the staging of its tables has told of their shape
  end if;
  return (select array_agg(case
      when (p_work.moment).position is not null then m23.new_target(t, p_work.moment,
        p_wanted => m23.staged_at_moment(
          s, m23.staged_query(s, t, p_work.tenant_id), t, v_backup.position, p_work.moment,
          m23.log_of(t.id, p_work.tenant_id, least((p_work.moment).floor, pg_snapshot_xmin(v_backup.position)), false)),
        p_columns => m23.stored_columns(t.relid),
        p_path => m23.path_of(t.relid),
        p_kept => m23.newer_columns(t, p_work.moment))
      else m23.new_target(t, v_logged,
        p_wanted => m23.in_mode(p_work, m23.with_newer(s, t, m23.staged_query(s, t, p_work.tenant_id)), t,
                                m23.stored_columns(t.relid)),
        p_columns => m23.stored_columns(t.relid),
        p_arrived => m23.arrived_since(s, t, p_work, v_logged),
        p_path => m23.path_of(t.relid),
        p_kept => m23.newer_than(s, t)) end
      order by m23.public_name(t.relid))
    from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id
   where s.restore_id = p_work.work_id);
end $$;
revoke all on function m23.staged_targets(m23.restore_work) from public, anon, authenticated, service_role;

-- Staging: what an archive holds, verified by the worker, beside the live tables.

-- What the columns of an archive are called now. Where they were renamed in this life of the
-- database, it knows them by their numbers; a name that another one of them has by now is none of them.
create or replace function m23.present_names(p_work uuid, p_table m23.protected_tables, p_fields text[]) returns text[]
language sql stable set search_path = '' as $$
  with backup as (
    select b.attnums, array(select c ->> 'name' from jsonb_array_elements(b.columns) c) as names
      from m23.restore_work r join m23.backup_work w on w.job_id = r.job_id
      join m23.backup_tables b on b.job_id = w.job_id
     where r.work_id = p_work and b.table_id = p_table.id and w.incarnation = (select m23.incarnation()))
  select array_agg(coalesce(a.attname, f.name || case when exists (
             select from backup b, pg_attribute o
              where o.attrelid = p_table.relid and o.attname = f.name and o.attnum = any (b.attnums))
             then ' (as it was)' else '' end) order by f.n)
    from unnest(p_fields) with ordinality f (name, n)
    left join (backup b cross join unnest(b.names, b.attnums) o (name, attnum)) on o.name = f.name
    left join pg_attribute a on a.attrelid = p_table.relid and a.attnum = o.attnum and not a.attisdropped
$$;
revoke all on function m23.present_names(uuid, m23.protected_tables, text[]) from public, anon, authenticated,
  service_role;

create or replace function m23.copy_unescape(p_field text) returns text
language sql immutable strict set search_path = '' as $$
  select array_to_string(array(
    select replace(replace(replace(part, '\t', chr(9)), '\n', chr(10)), '\r', chr(13))
      from unnest(string_to_array(p_field, '\\')) with ordinality p (part, n) order by n), '\')
$$;
comment on function m23.copy_unescape(text) is 'A field of a COPY line without its escapes.';
revoke all on function m23.copy_unescape(text) from public, anon, authenticated, service_role;

-- The values of a line `f` in the columns that are staged; p_skip fields come before them.
create or replace function m23.line_values(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_skip int)
returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s as %I', m23.field_value(p_table, c, format('f[%s]', f.place + p_skip),
                                                       p_staged.types[f.place], p_then), c.name),
                    ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c cross join lateral (select array_position(p_staged.fields, c.name)) f (place)
   where c.name = any (p_staged.columns)
$$;
revoke all on function m23.line_values(m23.staged_tables, m23.protected_tables, pg_snapshot, int) from public, anon,
  authenticated, service_role;

-- Lines with as many fields as there should be, as arrays `f`; cut once, and not for each field.
create or replace function m23.whole_lines(p_staged m23.staged_tables, p_skip int) returns text
language sql immutable set search_path = '' as $q$
  select format($$(select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = %s) whole$$,
                cardinality(p_staged.fields) + p_skip)
$q$;
revoke all on function m23.whole_lines(m23.staged_tables, int) from public, anon, authenticated, service_role;

-- Executes a statement that takes lines, under the path of their table: casts to domains are checked. Gives how many
-- rows it took.
create or replace function m23.take_lines(p_path text, p_statement text, p_lines text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_path, true);
  execute p_statement using p_lines;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;
revoke all on function m23.take_lines(text, text, text) from public, anon, authenticated, service_role;

-- The same with a statement that says itself how many lines it took, and how many rows went.
create or replace function m23.take_entries(p_path text, p_statement text, p_lines text, out taken bigint,
  out gone bigint)
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('search_path', p_path, true);
  execute p_statement into taken, gone using p_lines;
end $$;
revoke all on function m23.take_entries(text, text, text) from public, anon, authenticated, service_role;

-- The statement that stages the rows of lines `$1`.
create or replace function m23.staging_statement(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot
) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format('insert into %s (%s) select %s from %s',
    p_staged.staging, (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c),
    m23.line_values(p_staged, p_table, p_then, 0), m23.whole_lines(p_staged, 0));
end $$;
revoke all on function m23.staging_statement(m23.staged_tables, m23.protected_tables, pg_snapshot) from public, anon,
  authenticated, service_role;

-- Stages lines of an archive as rows; gives how many. p_then: the backup's position, where it is of this life.
create or replace function m23.stage_rows(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text)
returns bigint
language plpgsql set search_path = '' as $$
declare v_rows bigint;
begin
  v_rows := m23.take_lines(m23.path_of(p_table.relid), m23.staging_statement(p_staged, p_table, p_then), p_lines);
  update m23.staged_tables set standing = standing + v_rows
   where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
exception when unique_violation then
  perform m23.refuse('BACKUP_UNUSABLE', format('the archive has a row of %s twice', p_table.relid::regclass));
end $$;
revoke all on function m23.stage_rows(m23.staged_tables, m23.protected_tables, pg_snapshot, text) from public, anon,
  authenticated, service_role;

-- How many fields stand before a line's columns. In an archive of version 1 an entry of the log has no field for the
-- groups that its image does not carry: it carries all. A chain can have members of both.
create or replace function m23.fields_before(p_staged m23.staged_tables, p_lines text, p_kind text) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_kind = 'rows' then 0
    when cardinality(string_to_array(split_part(p_lines, chr(10), 1), chr(9))) - cardinality(p_staged.fields) = 4 then 4
    else 5 end;
end $$;
revoke all on function m23.fields_before(m23.staged_tables, text, text) from public, anon, authenticated, service_role;

-- Refuses a restore of which not all rows were read back.
create or replace function m23.check_staged(p_restore uuid) returns void
language plpgsql set search_path = '' as $$
declare v_short record;
begin
  select t.staging, t.rows, coalesce(sum(c.rows), 0) as staged into v_short
    from m23.staged_tables t left join m23.staged_chunks c using (restore_id, ordinal)
   where t.restore_id = p_restore
   group by t.ordinal, t.staging, t.rows having coalesce(sum(c.rows), 0) <> t.rows limit 1;
  if found then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s of %s rows were read back', v_short.staged, v_short.rows));
  end if;
end $$;
revoke all on function m23.check_staged(uuid) from public, anon, authenticated, service_role;

-- Notes what a caller is told when work ends.
create or replace function m23.add_staging_warning(p_work uuid, p_said text) returns void
language plpgsql set search_path = '' as
$$ begin insert into m23.staging_warnings (work_id, said) values (p_work, p_said) on conflict do nothing; end $$;
revoke all on function m23.add_staging_warning(uuid, text) from public, anon, authenticated, service_role;

-- Whether no table of a backup is there to be restored any more: the staging has told why of each.
create or replace function m23.is_empty(p_work m23.restore_work) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_work.job_id is not null
     and not exists (select from m23.staged_tables s where s.restore_id = p_work.work_id);
end $$;
revoke all on function m23.is_empty(m23.restore_work) from public, anon, authenticated, service_role;

-- What is said of a backup none of whose tables is there any more.
create or replace function m23.empty_sentence() returns text
language sql immutable set search_path = '' as
$$ select 'none of these tables can be restored; nothing was changed' $$;
revoke all on function m23.empty_sentence() from public, anon, authenticated, service_role;

-- Drops copies that have expired; gives how many.
create or replace function m23.sweep_copies() returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_until   timestamptz := clock_timestamp() + interval '1 second';  -- the rest in a minute
  v_copy    m23.copies;
  v_dropped int := 0;
begin
  for v_copy in
    select * from m23.copies where expires_at < clock_timestamp() order by expires_at for update skip locked
  loop
    exit when clock_timestamp() > v_until;
    begin
      if m23.drop_copy(v_copy) = '{}' then v_dropped := v_dropped + 1; end if;
    exception when others then
      raise log 'm23: the copy % could not be dropped: % (%)', v_copy.schema_name, sqlerrm, sqlstate;
    end;
  end loop;
  return v_dropped;
end $$;
revoke all on function m23.sweep_copies() from public, anon, authenticated, service_role;

-- A restore whose worker has died before it wrote has changed nothing. One that is
-- writing holds its lock, however long it takes. One that was answered with 202 is taken up again.
create or replace function m23.sweep_restores(p_tenant text default null) returns int
language plpgsql set search_path = '' as $$
declare
  v_work  m23.restore_work;
  v_swept int := 0;
begin
  for v_work in
    select w.* from m23.restore_work w
     where (p_tenant is null or w.tenant_id = p_tenant) and w.kind <> 'test' and not w.detached
       and not m23.is_driven(w, p_tenant is not null)
  loop
    if pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.fail_restore(v_work.work_id, 'the worker stopped before anything was changed; start again');
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end $$;
revoke all on function m23.sweep_restores(text) from public, anon, authenticated, service_role;

-- A backup has the names that tables had then. What a table is called now is known where it has been protected ever
-- since.

-- The table that a backup's is now. One that has taken its name since, and is protected, stands for it: that is how an
-- exchange for a copy is meant. No such table has been in the backup itself: two have only exchanged their names then.
create or replace function m23.table_now(p_part m23.backup_tables) returns m23.protected_tables
language plpgsql volatile set search_path = '' as $$
declare
  v_life  uuid := m23.incarnation();
  v_named m23.protected_tables := m23.find_table(p_part.schema_name || '.' || p_part.table_name);
  v_known m23.protected_tables;
begin
  select t.* into v_known from m23.protected_tables t join pg_class c on c.oid = t.relid
   where t.id = p_part.table_id and t.incarnation = v_life;
  return case when v_known.id is null then v_named
              when v_named.id is null then v_known
              when exists (select from m23.backup_tables o where o.job_id = p_part.job_id and o.table_id = v_named.id)
              then v_known
              else v_named end;
end $$;
revoke all on function m23.table_now(m23.backup_tables) from public, anon, authenticated, service_role;

-- Why a table of a backup is left out.
create or replace function m23.left_out_sentence(p_part m23.backup_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format(case when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
                     then '%s.%s does not exist any more and was left out; make it again and protect it'
                     else '%s.%s is not protected any more and was left out' end,
                p_part.schema_name, p_part.table_name);
end $$;
revoke all on function m23.left_out_sentence(m23.backup_tables) from public, anon, authenticated, service_role;

-- The names of a caller's tables as a backup has them, `schema.table`; null stays null.
create or replace function m23.tables_in_backup(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare
  v_names  text[];
  v_faults text[];
begin
  select array_agg(b.part_name order by n.ord),
         array_agg(format('tables: "%s" is not in this backup', n.name) order by n.ord)
           filter (where b.part_name is null)
    into v_names, v_faults
    from unnest(p_tables) with ordinality n (name, ord) left join m23.parts_called(p_job) b on b.name = n.name;
  if v_faults is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  return v_names;
end $$;
revoke all on function m23.tables_in_backup(uuid, text[]) from public, anon, authenticated, service_role;

-- Why a tenant's tables cannot be gone back with to a time; empty when they can. A backup that is
-- named may reach further back than the log.
create or replace function m23.target_faults(
  p_tenant text, p_at timestamptz, p_tables text[], p_base uuid default null
) returns text[]
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
    when p_at > clock_timestamp()
      then concat('is in the future; it can be ', 'from ' || m23.iso(v_window.earliest) || ' ', 'to ',
                  m23.iso(clock_timestamp()))
    when p_base is null and v_window.closed is not null then format('cannot be gone back to (%s)', v_window.closed)
    when p_base is null and v_window.earliest is null then 'cannot be gone back to: no table is protected'
    when p_base is null and p_at < v_window.earliest
      then 'is before the history begins' || m23.reason_before(p_tenant, p_tables, p_at) || '; ' || v_range
    else m23.clock_fault(p_at) || '; ' || v_range || ', but for these' end;
  return case when v_fault is null then '{}' else array['targetTimestamp: ' || v_fault] end;
end $$;
revoke all on function m23.target_faults(text, timestamptz, text[], uuid) from public, anon, authenticated,
  service_role;

-- The columns whose fields do not fit their types, in words: those whose types can have been others.
create or replace function m23.unfit_fields(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_kind text)
returns text[]
language plpgsql set search_path = '' as $$
declare
  v_skip   int := m23.fields_before(p_staged, p_lines, p_kind);
  v_path   text := m23.path_of(p_table.relid);
  v_column m23.column_shape;
  v_place  int;
  v_said   text[] := '{}';
  v_constraint text;
begin
  for v_column in
    select c.* from m23.columns_of(p_table.relid) c where c.name = any (p_staged.columns) order by c.attnum
  loop
    v_place := array_position(p_staged.fields, v_column.name);
    continue when v_column.native and v_column.type_name = p_staged.types[v_place];
    begin
      perform m23.take_lines(v_path, m23.fill('select pg_catalog.count(v.v) from (select {value} as v from {lines}) v',
        'value', m23.field_value(p_table, v_column, format('f[%s]', v_place + v_skip), p_staged.types[v_place], p_then),
        'lines', m23.whole_lines(p_staged, v_skip)), p_lines);
    exception when data_exception or check_violation or not_null_violation or cannot_coerce then
      get stacked diagnostics v_constraint = constraint_name;
      v_said := v_said || m23.unfit_sentence(p_table, v_column, p_staged.types[v_place], sqlerrm, v_constraint);
    end;
  end loop;
  return v_said;
end $$;
revoke all on function m23.unfit_fields(m23.staged_tables, m23.protected_tables, pg_snapshot, text, text) from public,
  anon, authenticated, service_role;

-- Why a snapshot is no active one of a tenant.
create or replace function m23.unusable_because(p_tenant text, p_snapshot uuid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return coalesce((
    select case
        when s.status = 'rolled_back' then concat('this snapshot was used at ', m23.iso(s.rolled_back_at),
          (select ' by the rollback ' || r.id from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1),
          (select '; the snapshot ' || r.pre_rollback_snapshot_id || ' undoes that' from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1))
        when s.expires_at <= clock_timestamp() then 'this snapshot expired at ' || m23.iso(s.expires_at)
        else 'this snapshot is ' || s.status end
      from public.pitr_snapshots s where s.id = p_snapshot and s.tenant_id = p_tenant),
    'no such active snapshot in this tenant');
end $$;
revoke all on function m23.unusable_because(text, uuid) from public, anon, authenticated, service_role;

-- What a restore is to make of which tables.

-- The tables and wanted rows of work.
create or replace function m23.targets_of(p_work m23.restore_work) returns m23.target[]
language plpgsql set search_path = '' as $$
begin
  if p_work.job_id is not null then
    return m23.staged_targets(p_work);
  elsif p_work.mode = 'exact' then
    return m23.logged_targets(p_work.tables, p_work.moment);
  end if;
  return (select array_agg(m23.new_target((t).tbl, (t).moment,
              p_wanted => m23.in_mode(p_work,
                m23.as_of_query((t).tbl, m23.log_of((t).tbl.id, p_work.tenant_id, (p_work.moment).floor)),
                (t).tbl, (t).columns),
              p_columns => (t).columns, p_path => (t).path, p_kept => (t).kept))
            from unnest(m23.complete_targets(m23.logged_targets(p_work.tables, p_work.moment))) t);
end $$;
revoke all on function m23.targets_of(m23.restore_work) from public, anon, authenticated, service_role;

-- Tables that are to be as the log has them at a moment, named only (m23.complete_targets).
create or replace function m23.logged_targets(p_tables text[], p_moment m23.moment) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(m23.new_target(t, p_moment) order by n.nspname <> 'public', n.nspname, c.relname)
            from m23.tables_named(p_tables) t
            join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;
revoke all on function m23.logged_targets(text[], m23.moment) from public, anon, authenticated, service_role;

-- The tables that work is about, as relations.
create or replace function m23.relations_of(p_work m23.restore_work) returns oid[]
language plpgsql stable set search_path = '' as $$
begin
  if p_work.job_id is null then return m23.relations_named(p_work.tables); end if;
  return array(select t.relid from m23.staged_tables s join m23.protected_tables t on t.id = s.table_id
                where s.restore_id = p_work.work_id);
end $$;
revoke all on function m23.relations_of(m23.restore_work) from public, anon, authenticated, service_role;

-- What is wanted of a table when not all of it shall be as in the backup.
create or replace function m23.in_mode(
  p_work m23.restore_work, p_wanted text, p_table m23.protected_tables, p_columns text[]
) returns text
language sql stable set search_path = '' as $q$
  select case p_work.mode when 'exact' then p_wanted
    else format($$with backed_up as materialized (%1$s),
                live as materialized (select %2$s from %3$s r where %4$s)
           select %2$s from backed_up r where %5$s union all select %2$s from live r where %6$s$$,
      p_wanted, (select string_agg(format('r.%I', c), ', ') from unnest(p_columns) c),
      m23.qualified_name(p_table.relid), m23.belongs_to(p_table, 'r', quote_literal(p_work.tenant_id)),
      case p_work.mode when 'missing_only' then 'not ' || m23.key_in(p_table.relid, 'r', 'live') else 'true' end,
      case p_work.mode when 'missing_only' then 'true'
           else 'not ' || m23.key_in(p_table.relid, 'r', 'backed_up') end) end
$q$;
revoke all on function m23.in_mode(m23.restore_work, text, m23.protected_tables, text[]) from public, anon,
  authenticated, service_role;

-- The columns that an archive does not have.
create or replace function m23.newer_than(p_staged m23.staged_tables, p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select c.name from m23.columns_of(p_table.relid) c
                where not c.generated and c.name <> all (p_staged.columns)
                order by c.attnum);
end $$;
revoke all on function m23.newer_than(m23.staged_tables, m23.protected_tables) from public, anon, authenticated,
  service_role;

-- Staged rows with the columns that the archive does not have, as null.
create or replace function m23.with_newer(p_staged m23.staged_tables, p_table m23.protected_tables, p_rows text)
  returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('select %s from (%s) s',
             string_agg(case when c.name = any (p_staged.columns) then format('s.%I', c.name)
                             else format('null::%s as %I', m23.type_with_nulls(p_table.relid, c.attnum), c.name) end,
                        ', ' order by c.attnum), p_rows)
            from m23.columns_of(p_table.relid) c where not c.generated);
end $$;
revoke all on function m23.with_newer(m23.staged_tables, m23.protected_tables, text) from public, anon, authenticated,
  service_role;

-- The calendar: when something that is due every so often is due next, in a time zone.

create type m23.calendar as (
  minutes  int[],
  hours    int[],
  days     int[],
  months   int[],
  weekdays int[],     -- 0: Sunday
  either   boolean,   -- a day of the month or a weekday; else both
  every_hour boolean  -- runs by elapsed time: an hour that comes twice has runs of its own
);

create or replace function m23.set_default_plan(p_plan jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_faults text[] := array(
    select format('%s: is no column of a plan that can be set', k) from jsonb_object_keys(coalesce(p_plan, '{}')) k
     where k <> all (array['plan_name', 'description', 'rto_minutes', 'rpo_minutes', 'backup_frequency', 'backup_types',
                           'retention_days', 'test_frequency', 'time_zone']))
    || case when p_plan is not null then m23.plan_faults(m23.default_plan(null, p_plan)) else '{}' end;
begin
  if cardinality(v_faults) > 0 then
    raise exception 'that cannot be the default plan: %', array_to_string(v_faults, '; ') using errcode
        = 'invalid_parameter_value';
  end if;
  update m23.settings set value = coalesce(p_plan::text, '') where name = 'default_plan';
end $$;
comment on function m23.set_default_plan(jsonb) is
  'Sets the plan that every tenant gets which has never had one, by the columns of dr_plans: '
  'm23.set_default_plan(''{"rto_minutes": 60, "rpo_minutes": 1440, "backup_frequency": "daily", '
  '"test_frequency": "weekly"}''). Null: none.';
revoke all on function m23.set_default_plan(jsonb) from public, anon, authenticated, service_role;

-- The default plan as a tenant's plan. p_plan: the fields that are set.
create or replace function m23.default_plan(p_tenant text, p_plan jsonb) returns public.dr_plans
language plpgsql volatile set search_path = '' as $$
begin
  return jsonb_populate_record(null::public.dr_plans,
    jsonb_build_object('plan_name', 'default', 'backup_types', array['full'], 'retention_days', 30, 'time_zone', 'UTC')
    || p_plan
    || jsonb_build_object('id', gen_random_uuid(), 'tenant_id', p_tenant, 'is_active', true,
                          'created_at', clock_timestamp()));
end $$;
revoke all on function m23.default_plan(text, jsonb) from public, anon, authenticated, service_role;

-- Everything that is wrong with a plan.
create or replace function m23.plan_faults(p_plan public.dr_plans) returns text[]
language sql stable set search_path = '' as $$
  select array_remove(array[
    case when coalesce(char_length(p_plan.plan_name), 0) not between 1 and 200
           then 'plan_name: must have 1 to 200 characters' end,
    case when char_length(p_plan.description) > 2000 then 'description: must have at most 2000 characters' end,
    case when p_plan.rto_minutes between 1 and 52560000 then null
         else 'rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when p_plan.rpo_minutes between 1 and 52560000 then null
         else 'rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when not coalesce(cardinality(p_plan.backup_types) > 0
                           and p_plan.backup_types <@ array['full', 'incremental', 'snapshot'], false)
      then 'backup_types: must name one or more of full, incremental, snapshot' end,
    case when p_plan.retention_days between 1 and 36500 then null
         else 'retention_days: must be a number of days, from 1 to 36500 (a hundred years)' end,
    case when not zone.known then format('time_zone: "%s" is not a time zone such as Europe/Berlin',
        left(p_plan.time_zone, 100)) end,
    m23.frequency_fault('backup_frequency', p_plan.backup_frequency, zone.usable),
    m23.frequency_fault('test_frequency', p_plan.test_frequency, zone.usable)], null)
    from (select known, case when known then p_plan.time_zone else 'UTC' end
            from (select coalesce(m23.is_zone(p_plan.time_zone), false)) z (known)) zone (known, usable)
$$;
revoke all on function m23.plan_faults(public.dr_plans) from public, anon, authenticated, service_role;

-- What is wrong with a frequency, named as p_name; null for nothing.
create or replace function m23.frequency_fault(p_name text, p_frequency text, p_zone text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency);
  v_distance int := m23.shortest_distance(v_calendar);
begin
  return case
    when p_frequency is null then p_name || ': is required'
    when char_length(p_frequency) > 200 then p_name || ': must have at most 200 characters'
    when v_calendar is null
      then format('%s: "%s" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly',
                  p_name, p_frequency)
    when v_distance < 5
      then format('%s: "%s" comes %s after another; at least 5 minutes must lie between', p_name, p_frequency,
          case v_distance when 1 then 'a minute' else v_distance || ' minutes' end)
    when m23.next_run(p_frequency, p_zone, now()) is null then format('%s: "%s" never comes', p_name, p_frequency) end;
end $$;
revoke all on function m23.frequency_fault(text, text, text) from public, anon, authenticated, service_role;

-- Plans: what a tenant has promised itself. A plan is checked when it is written, every fault
-- at once, and then knows when its next backup and its next test are due.

-- Whether the server knows a time zone.
create or replace function m23.is_zone(p_zone text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_zone = 'UTC' or exists (select from pg_timezone_names where name = p_zone);
end $$;
revoke all on function m23.is_zone(text) from public, anon, authenticated, service_role;

create or replace function m23.calendar_of(p_frequency text, p_minute int default 0) returns m23.calendar
language plpgsql immutable set search_path = '' as $$
declare
  v_field    text[];
  v_calendar m23.calendar;
begin
  if p_frequency is null or char_length(p_frequency) > 200 then return null; end if;
  v_field := regexp_split_to_array(trim(m23.cron_of(p_frequency, p_minute)), '\s+');
  if cardinality(v_field) <> 5 then return null; end if;
  v_calendar := row(m23.cron_values(v_field[1], 0, 59), m23.cron_values(v_field[2], 0, 23),
    m23.cron_values(v_field[3], 1, 31),
    m23.cron_values(v_field[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'),
    (select array_agg(distinct d % 7)
       from unnest(m23.cron_values(v_field[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) d),
    v_field[3] not like '*%' and v_field[5] not like '*%', v_field[2] = '*');
  return case when v_calendar is not null then v_calendar end;  -- every field of it
end $$;
comment on function m23.calendar_of(text, int) is
  'A cron expression of five fields, or hourly, daily, weekly, monthly at a minute of the day, taken apart; '
  'null for others.';
revoke all on function m23.calendar_of(text, int) from public, anon, authenticated, service_role;

create or replace function m23.next_run(p_frequency text, p_zone text, p_after timestamptz, p_minute int default 0)
returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency, p_minute);
  v_day      date := m23.next_day(v_calendar, (p_after at time zone p_zone)::date - 1);
  v_next     timestamptz;
begin
  while v_day is not null loop
    v_next := m23.next_on(v_calendar, v_day, p_zone, p_after);
    if v_next is not null then return v_next; end if;
    v_day := m23.next_day(v_calendar, v_day + 1);
  end loop;
  return null;
end $$;
comment on function m23.next_run(text, text, timestamptz, int) is
  'The first time after p_after at which a frequency (cron, or hourly, daily, weekly, monthly) is due in a time zone; '
  'null when never.';
revoke all on function m23.next_run(text, text, timestamptz, int) from public, anon, authenticated, service_role;

-- The shortest time between two runs, in minutes, clocks aside.
create or replace function m23.shortest_distance(p_calendar m23.calendar) returns int
language sql immutable set search_path = '' as $$
  select least(
    (select min(m - before) from (select m, lag(m) over (order by m) from unnest(p_calendar.minutes) m) r (m, before)),
    -- From the last run of an hour to the first of the next.
    (select p_calendar.minutes[1] + 60 - p_calendar.minutes[cardinality(p_calendar.minutes)]
      where exists (select from unnest(p_calendar.hours) h where (h + 1) % 24 = any (p_calendar.hours))))
$$;
revoke all on function m23.shortest_distance(m23.calendar) from public, anon, authenticated, service_role;

-- What names no time comes at a minute of the day that is its own, so that not all come at once.
create or replace function m23.cron_of(p_frequency text, p_minute int default 0) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return case p_frequency
    when 'hourly' then format('%s * * * *', p_minute % 60)
    when 'daily' then format('%s %s * * *', p_minute % 60, p_minute / 60)
    when 'weekly' then format('%s %s * * 0', p_minute % 60, p_minute / 60)
    when 'monthly' then format('%s %s 1 * *', p_minute % 60, p_minute / 60)
    else p_frequency end;
end $$;
revoke all on function m23.cron_of(text, int) from public, anon, authenticated, service_role;

-- The values of one field of a cron expression, in order and each once; null when it is none.
create or replace function m23.cron_values(p_field text, p_low int, p_high int, p_names text[] default '{}')
  returns int[]
language plpgsql immutable set search_path = '' as $$
declare
  v_part   text;
  v_match  text[];
  v_from   int;
  v_to     int;
  v_values int[] := '{}';
begin
  foreach v_part in array string_to_array(lower(p_field), ',') loop
    v_match := regexp_match(v_part, '^(\*|\w+)(?:-(\w+))?(?:/(\d{1,2}))?$');
    v_from := case v_match[1] when '*' then p_low else m23.cron_number(v_match[1], p_low, p_names) end;
    v_to := case when v_match[1] = '*' then p_high
                 when v_match[2] is not null then m23.cron_number(v_match[2], p_low, p_names)
                 when v_match[3] is not null then p_high else v_from end;
    if v_from between p_low and p_high and v_to between v_from and p_high and coalesce(v_match[3]::int, 1) > 0
       and not (v_match[1] = '*' and v_match[2] is not null) then
      v_values := v_values || array(select generate_series(v_from, v_to, coalesce(v_match[3]::int, 1)));
    else
      return null;
    end if;
  end loop;
  return array(select distinct v from unnest(v_values) v order by v);
end $$;
revoke all on function m23.cron_values(text, int, int, text[]) from public, anon, authenticated, service_role;

-- The first day from p_from on that a calendar names; null when there is none in 41 years: a weekday's 29 February
-- comes after 40 at most.
create or replace function m23.next_day(p_calendar m23.calendar, p_from date) returns date
language plpgsql immutable set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_from  int := extract(year from p_from);
  v_first date;
  v_day   date;
  v_month int;
begin
  for v_year in v_from..v_from + 41 loop
    foreach v_month in array p_calendar.months loop
      v_first := make_date(v_year, v_month, 1);
      continue when not p_calendar.either and v_first + p_calendar.days[1] > v_first + interval '1 month';
      v_day := (select min(d) from (select v_first + n from generate_series(greatest(0, p_from - v_first), 30) n) m (d),
                                   lateral (select extract(day from d) = any (p_calendar.days),
                                                   extract(dow from d) = any (p_calendar.weekdays)) named (day, weekday)
                 where extract(month from d) = v_month
                   and case when p_calendar.either then named.day or named.weekday
                            else named.day and named.weekday end);
      if v_day is not null then return v_day; end if;
    end loop;
  end loop;
  return null;
end $$;
revoke all on function m23.next_day(m23.calendar, date) from public, anon, authenticated, service_role;

-- The first run of a day after p_after; null when there is none. Where the clocks change, times do not come in their
-- order: those of a few hours are looked at.
create or replace function m23.next_on(p_calendar m23.calendar, p_day date, p_zone text, p_after timestamptz)
  returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
  v_after timestamp := p_after at time zone p_zone;
  v_hour  int;
  v_next  timestamptz;
begin
  if m23.is_plain_day(p_day, p_zone) then
    return (p_day + case when v_after < p_day then make_time(p_calendar.hours[1], p_calendar.minutes[1], 0)
                         when v_after::date = p_day then m23.next_time(p_calendar, v_after::time) end)
           at time zone p_zone;
  end if;
  foreach v_hour in array p_calendar.hours loop
    continue when p_day + make_time(v_hour, 0, 0) < v_after - interval '4 hours';
    exit when p_day + make_time(v_hour, 0, 0) > v_next at time zone p_zone + interval '1 hour';
    v_next := least(v_next, (select min(i)
                               from unnest(p_calendar.minutes) m,
                                    m23.instants(p_day + make_time(v_hour, m, 0), p_zone, p_calendar.every_hour) i
                              where i > p_after));
  end loop;
  return v_next;
end $$;
revoke all on function m23.next_on(m23.calendar, date, text, timestamptz) from public, anon, authenticated,
  service_role;

-- A number of a cron field, or the place of a name; null for what is neither. p_low: the field's least value.
create or replace function m23.cron_number(p_text text, p_low int, p_names text[]) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_text ~ '^\d{1,2}$' then p_text::int else array_position(p_names, p_text) - 1 + p_low end;
end $$;
revoke all on function m23.cron_number(text, int, text[]) from public, anon, authenticated, service_role;

-- The instants of a local time: one as a rule. Where clocks go back two have the same local
-- time: what runs at fixed hours takes the first. Where they go forward none has it: what runs
-- at fixed hours is moved on by the gap, what runs every hour has no such hour.
create or replace function m23.instants(p_local timestamp, p_zone text, p_every_hour boolean) returns setof timestamptz
language sql stable set search_path = '' as $$
  with near (at) as (select (p_local at time zone p_zone) + make_interval(mins => m)
                       from unnest('{-180,-120,-60,-30,0,30,60,120,180}'::int[]) m),
       same (at) as (select at from near where at at time zone p_zone = p_local)
  select at from same where p_every_hour
  union all
  select coalesce((select min(at) from same), p_local at time zone p_zone) where not p_every_hour
$$;
revoke all on function m23.instants(timestamp, text, boolean) from public, anon, authenticated, service_role;

-- Whether the clocks stand still on a day and three hours around it: each of its times comes once.
create or replace function m23.is_plain_day(p_day date, p_zone text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (p_day + interval '27 hours') at time zone p_zone - (p_day - interval '3 hours') at time zone p_zone
         = interval '30 hours';
end $$;
revoke all on function m23.is_plain_day(date, text) from public, anon, authenticated, service_role;

-- The first of a calendar's times of a day that is later than another; null when none is.
create or replace function m23.next_time(p_calendar m23.calendar, p_after time) returns time
language plpgsql immutable set search_path = '' as $$
declare
  v_hour   int := extract(hour from p_after);
  v_minute int := (select min(m) from unnest(p_calendar.minutes) m where m > extract(minute from p_after));
begin
  if v_minute is null or v_hour <> all (p_calendar.hours) then
    v_hour := (select min(h) from unnest(p_calendar.hours) h where h > v_hour);
    v_minute := p_calendar.minutes[1];
  end if;
  return make_time(v_hour, v_minute, 0);
end $$;
revoke all on function m23.next_time(m23.calendar, time) from public, anon, authenticated, service_role;

-- The default plan: what a tenant gets that has never had a plan. Off until the operator sets it.

insert into m23.settings (name, value, about) values
  ('default_plan', '', 'the plan of a tenant that never had one, as JSON; set by m23.set_default_plan; empty: none');

-- The newest backup of the window, and what the active plans allow.
create type m23.standing as (
  since  timestamptz,  -- the beginning of the window
  backup public.backup_jobs,
  at     timestamptz,  -- the moment that the backup is of
  rpo    int,          -- minutes
  rto    int           -- minutes; null: no plan
);

-- Health: one number from 0 to 100 for how well a tenant could be brought back, and the parts
-- that it is made of. docs/health.md explains it. Below 70 is a reason to alert.

-- What was found of an archive or its restore, not of its age, its speed, the clock, or that it has none.
create or replace function m23.found_damage(p_test public.recovery_tests) returns boolean
language sql immutable set search_path = '' as $$
  select exists (select from jsonb_array_elements(p_test.results -> 'findings') f
                  where f ->> 'kind' not in ('rpo_missed', 'rto_missed', 'clock_odd', 'no_archive'))
$$;
revoke all on function m23.found_damage(public.recovery_tests) from public, anon, authenticated, service_role;

-- When archives were really restored: by deep tests that found no damage, or for good. The backup has to be there
-- still, and no test of its chain may have found damage since.
create view m23.proofs as
  select p.tenant_id, p.at
    from (select t.tenant_id, t.completed_at, t.backup_job_id from public.recovery_tests t
           where t.status = 'completed' and t.results ? 'recoverySeconds'
             and (t.results -> 'findings' = '[]' or not m23.found_damage(t))
          union all
          select r.tenant_id, r.completed_at, r.backup_job_id from public.restore_logs r
           where r.status = 'completed') p (tenant_id, at, job_id)
    join public.backup_jobs j on j.id = p.job_id and j.job_type <> 'snapshot' and j.status = 'completed'
     and j.deleted_at is null
   where not exists (select from public.recovery_tests t join public.backup_jobs o on o.id = t.backup_job_id
                      where o.tenant_id = j.tenant_id
                        and coalesce(o.base_backup_id, o.id) = coalesce(j.base_backup_id, j.id)
                        and t.status = 'completed' and t.completed_at > p.at and t.results -> 'findings' <> '[]'
                        and m23.found_damage(t));

revoke all on m23.proofs from public, anon, authenticated;

-- After every job. The job itself never fails by it.
create or replace function m23.follow_job() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.note_health(new.tenant_id);
  return null;
exception when others then
  raise warning 'm23: the health of a tenant was not noted: % (%)', sqlerrm, sqlstate;
  return null;
end $$;
revoke all on function m23.follow_job() from public, anon, authenticated, service_role;

-- Keeps a tenant's health of now.
create or replace function m23.note_health(p_tenant text) returns void
language sql volatile set search_path = '' as $$
  insert into public.health_snapshots (tenant_id, created_at, score, parts)
    select p_tenant, clock_timestamp(), (h ->> 'score')::numeric, h -> 'parts' from m23.health(p_tenant, 30) h
$$;
revoke all on function m23.note_health(text) from public, anon, authenticated, service_role;

-- `{"score", "healthy", "daysBack", "parts": [{"name", "weight", "points", "said"}…], "capped"?}`
create or replace function m23.health(p_tenant text, p_days int) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_now   m23.standing := m23.standing_of(p_tenant, p_days);
  v_parts jsonb;
  v_sum   numeric;
  v_cap   text := case when ((v_now).backup).id is null then 'no backup was completed'
                       when m23.last_proof(p_tenant, (v_now).since) is null then 'no backup is proven by a restore' end;
begin
  select jsonb_agg(jsonb_build_object('name', name, 'weight', weight, 'points', round(weight * value, 1), 'said', said)
                   order by n), round(sum(weight * value), 1)
    into v_parts, v_sum
    from (select 1 as n, 'freshness' as name, 25 as weight, f.* from m23.health_freshness(v_now) f
          union all select 2, 'success', 15, f.* from m23.health_success(p_tenant, v_now) f
          union all select 3, 'chain', 15, f.* from m23.health_chain(v_now) f
          union all select 4, 'proof', 25, f.* from m23.health_proof(p_tenant, v_now) f
          union all select 5, 'capture', 10, f.* from m23.health_capture() f
          union all select 6, 'time', 10, f.* from m23.health_time(p_tenant, v_now) f) p;
  v_sum := case when v_cap is not null then least(v_sum, 69) else v_sum end;
  return jsonb_strip_nulls(jsonb_build_object('score', v_sum, 'healthy', v_sum >= 70, 'daysBack', p_days,
                                              'parts', v_parts, 'capped', v_cap));
end $$;
revoke all on function m23.health(text, int) from public, anon, authenticated, service_role;

-- The share of protected tables that are captured without a gap: 0 to 1, and in words.
create or replace function m23.health_capture(out value numeric, out said text)
language plpgsql volatile set search_path = '' as $$
declare v_sound int[] := m23.sound_tables(array(select t.id from m23.protected_tables t));
begin
  select coalesce(count(*) filter (where whole)::numeric / nullif(count(*), 0), 0),
         case when count(*) = 0 then 'no table is protected'
              else format('%s of %s protected tables are captured without a gap',
                          count(*) filter (where whole), count(*)) end
    into value, said
    from (select exists (select from pg_class where oid = t.relid) and t.incarnation = (select m23.incarnation())
            and m23.drifted_columns(t) is null
            and (t.id = any (v_sound) or m23.missing_triggers(t) is null and not m23.misses_replication(t))
            from m23.protected_tables t) p (whole);
end $$;
revoke all on function m23.health_capture() from public, anon, authenticated, service_role;

-- Whether the newest backup can be read with all that it builds on: 0 or 1, and in words.
create or replace function m23.health_chain(p_now m23.standing, out value numeric, out said text)
language plpgsql stable set search_path = '' as $$
begin
  select (fault is null)::int,
         coalesce(fault, 'everything that the newest backup builds on is there, and no test has found damage')
    into value, said
    from (select case
        when ((p_now).backup).id is null then 'no completed backup'
        when m23.chain_fault((p_now).backup) is not null then m23.chain_fault((p_now).backup)
        when (select m23.found_damage(t) from public.recovery_tests t
               where t.backup_job_id = ((p_now).backup).id and t.status = 'completed'
               order by t.completed_at desc limit 1)
          then 'the last test of the newest backup has found damage' end) f (fault);
end $$;
revoke all on function m23.health_chain(m23.standing) from public, anon, authenticated, service_role;

-- The parts of health: each gives a value from 0 to 1, and says why.

-- How old the newest backup is, against what may be lost: 0 to 1, and in words.
create or replace function m23.health_freshness(p_now m23.standing, out value numeric, out said text)
language plpgsql stable set search_path = '' as $$
begin
  select case when age is null then 0 else greatest(0, least(1, 1 - (age - (p_now).rpo) / (2.0 * (p_now).rpo))) end,
         case when age is null then 'no completed backup'
              else format('the newest backup is of a moment %s minutes ago; %s are allowed',
                          round(age), (p_now).rpo) end
    into value, said
    from (select extract(epoch from clock_timestamp() - (p_now).at) / 60) a (age);
end $$;
revoke all on function m23.health_freshness(m23.standing) from public, anon, authenticated, service_role;

-- A restore proves all; having read every byte, half; a list of objects, a quarter. What has
-- found damage since proves nothing.
create or replace function m23.health_proof(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable set search_path = '' as $$
begin
  with test (t) as (select t from public.recovery_tests t
                     where t.tenant_id = p_tenant and t.status = 'completed' and t.completed_at >= (p_now).since),
    proof (at, damage) as (select m23.last_proof(p_tenant, (p_now).since),
                                  (select max((t).completed_at) from test where m23.found_damage(t))),
    read (level) as (select max(array_position('{basic,full}', (t).validation_level)) from test, proof
                      where not m23.found_damage(t) and ((t).completed_at > damage) is not false)
  select case when at > damage or at is not null and damage is null then 1 else coalesce(level, 0) * 0.25 end,
         case when at > damage or at is not null and damage is null
                then format('a backup was restored at %s', m23.iso(at))
              when damage is not null
                then format('a test has found damage at %s, and no restore has worked since', m23.iso(damage))
              when level is not null then 'backups were examined, and none was restored'
              else 'no backup was tested or restored' end
    into value, said
    from proof, read;
end $$;
revoke all on function m23.health_proof(text, m23.standing) from public, anon, authenticated, service_role;

-- The share of backups that were completed: 0 to 1, and in words.
create or replace function m23.health_success(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable set search_path = '' as $$
begin
  select coalesce(count(*) filter (where status = 'completed')::numeric / nullif(count(*), 0), 0),
         format('%s of %s backups were completed', count(*) filter (where status = 'completed'), count(*))
    into value, said
    from public.backup_jobs
   where tenant_id = p_tenant and status in ('completed', 'failed') and completed_at >= (p_now).since;
end $$;
revoke all on function m23.health_success(text, m23.standing) from public, anon, authenticated, service_role;

-- How long a restore takes, against what is allowed: 0 to 1, and in words.
create or replace function m23.health_time(p_tenant text, p_now m23.standing, out value numeric, out said text)
language plpgsql stable set search_path = '' as $$
begin
  select case when seconds is null then 0
              when (p_now).rto is null then 1
              else least(1, (p_now).rto * 60.0 / greatest(seconds, 0.001)) end,
         case when seconds is null then 'no restore was measured'
              else format('the last measured restore took %s seconds', seconds)
                || case when (p_now).rto is not null then format('; %s minutes are allowed', (p_now).rto)
                        else '' end end
    into value, said
    from (select) one left join lateral (
      select (t.results ->> 'recoverySeconds')::numeric from public.recovery_tests t
       where t.tenant_id = p_tenant and t.status = 'completed' and t.results ? 'recoverySeconds'
         and t.completed_at >= (p_now).since
       order by t.completed_at desc limit 1) m (seconds) on true;
end $$;
revoke all on function m23.health_time(text, m23.standing) from public, anon, authenticated, service_role;

-- When a tenant's archive was last really restored, since a time.
create or replace function m23.last_proof(p_tenant text, p_since timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
  return (select max(p.at) from m23.proofs p where p.tenant_id = p_tenant and p.at >= p_since);
end $$;
revoke all on function m23.last_proof(text, timestamptz) from public, anon, authenticated, service_role;

-- What a tenant's health is measured by, over so many days.
create or replace function m23.standing_of(p_tenant text, p_days int) returns m23.standing
language plpgsql stable set search_path = '' as $$
begin
  return (select m23.new_standing(s.since, j, p_at => w.position_at, p_rpo => coalesce(p.rpo, 1440), p_rto => p.rto)
      from (select clock_timestamp() - make_interval(days => greatest(0, least(p_days, 36500)))) s (since)
      left join lateral (select b.* from public.backup_jobs b
                          where b.tenant_id = p_tenant and b.status = 'completed' and b.deleted_at is null
                            and b.completed_at >= s.since
                          order by b.completed_at desc, b.id limit 1) j on true
      left join m23.backup_work w on w.job_id = j.id
      left join lateral (select min(rpo_minutes) as rpo, min(rto_minutes) as rto from public.dr_plans
                          where tenant_id = p_tenant and is_active) p on true);
end $$;
revoke all on function m23.standing_of(text, int) from public, anon, authenticated, service_role;

-- Columns that the log does not have in the shape of the table.
create or replace function m23.drifted_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return (select array_agg(c.name) from m23.columns_of(p_table.relid) c
     where not c.generated
       and not exists (select from m23.log_columns f
                        where f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                          and f.type_name = m23.logged_type(c)));
end $$;
revoke all on function m23.drifted_columns(m23.protected_tables) from public, anon, authenticated, service_role;

-- A standing, by its fields.
create or replace function m23.new_standing(
  p_since timestamptz, p_backup public.backup_jobs, p_at timestamptz, p_rpo int, p_rto int
) returns m23.standing
language plpgsql immutable set search_path = '' as $$
declare v_standing m23.standing;
begin
  v_standing.since := p_since;
  v_standing.backup := p_backup;
  v_standing.at := p_at;
  v_standing.rpo := p_rpo;
  v_standing.rto := p_rto;
  return v_standing;
end $$;
revoke all on function m23.new_standing(timestamptz, public.backup_jobs, timestamptz, int, int) from public, anon,
  authenticated, service_role;

do $$
declare v_table text;
begin
  foreach v_table in array array['backup_jobs', 'restore_logs', 'pitr_rollbacks', 'recovery_tests'] loop
    execute format('create trigger follow_job after update of status on public.%I for each row
      when (new.status in (''completed'', ''failed'', ''cancelled'') and old.status <> new.status)
      execute function m23.follow_job()', v_table);
  end loop;
end $$;

insert into m23.settings (name, value, about) values
  ('health_days',       '30',  'how long every health snapshot is kept; from then on the last of each day'),
  ('health_daily_days', '400', 'how long the last health snapshot of each day is kept');

-- Row-level security looks at a new row after its triggers. So this one comes first, by its name: nothing is worked out
-- for whoever may make no plan.
create or replace function m23.refuse_others_plans() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.tenant_id is null or new.tenant_id not in (select m23.caller_tenants(array['owner', 'admin'])) then
    raise exception 'new row violates row-level security policy for table "dr_plans"'
      using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
revoke all on function m23.refuse_others_plans() from public, anon, authenticated, service_role;

create trigger a_role_first before insert on public.dr_plans for each row
  when (current_user = 'authenticated') execute function m23.refuse_others_plans();

-- A plan that is new, switched on again, or has another frequency or zone is due from now on;
-- its first test when it says so itself.
create or replace function m23.check_plan() returns trigger
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[] := m23.plan_faults(new);
  v_anew   boolean;
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept as it is', v_faults);
  end if;
  if tg_op = 'INSERT' then
    perform m23.refuse_many_plans(new.tenant_id);
  end if;
  v_anew := tg_op = 'INSERT' or new.is_active and not old.is_active or new.time_zone <> old.time_zone;
  if v_anew or new.backup_frequency <> old.backup_frequency then
    new.next_backup_date := m23.next_due(new, 'backup', now());
  end if;
  if (v_anew or new.test_frequency <> old.test_frequency)
     and new.next_test_date is not distinct from (case when tg_op = 'UPDATE' then old.next_test_date end) then
    new.next_test_date := m23.next_due(new, 'test', now());
  end if;
  return new;
end $$;
revoke all on function m23.check_plan() from public, anon, authenticated, service_role;

create trigger check_plan
  before insert or update of plan_name, description, rto_minutes, rpo_minutes, backup_frequency, backup_types,
    retention_days, test_frequency, is_active, time_zone
  on public.dr_plans for each row execute function m23.check_plan();

-- Recovery tests: durable work like backups. A worker examines the archive as far as its level
-- says; at the deepest level the database restores it into a schema that nobody else ever sees.
-- What does not hold is a finding; that a test has findings does not make it a failure.

create table m23.test_work (
  test_id    uuid primary key references public.recovery_tests (id) on delete cascade,
  state      jsonb not null default '{}',  -- how far the examination has come; its worker's own
  staging_at timestamptz,                  -- since when the archive is being read back
  trial      jsonb,                        -- what its restore gave, should the answer have been lost
  constraint is_an_object check (jsonb_typeof(state) = 'object' and jsonb_typeof(trial) = 'object'),
  constraint trial_was_staged check (trial is null or staging_at is not null)
);

select m23.close_table('m23.test_work');

-- Rounds: what is done for every tenant, one after the other. Each call does a share and commits, so that no number of
-- tenants is too many; what fails for one is passed over until the next round, and stops nobody else's.

create table m23.rounds (
  name     text primary key,
  begun_at timestamptz not null
);

create table m23.round_tenants (
  round     text not null references m23.rounds (name) on delete cascade,
  tenant_id text not null,
  primary key (round, tenant_id)
);

select m23.close_table('m23.rounds');

select m23.close_table('m23.round_tenants');

comment on table m23.round_tenants is 'For whom a round is still to be done.';

-- Schedules: every minute the clock begins what plans say is due, each due time once, whoever
-- wakes. After an outage what was missed is made up for once. Scheduled work is not counted.
-- A call begins a share of it and commits; the clock calls again until nothing is due.

insert into m23.settings (name, value, about) values
  ('full_every_days',      '7',    'how old the full backup of a scheduled chain gets before the next full one'),
  ('scheduled_test_level', 'deep', 'how far a scheduled recovery test goes: basic, full or deep');

create table m23.plan_runs (
  plan_id    uuid not null references public.dr_plans (id) on delete cascade,
  kind       text not null check (kind in ('backup', 'test')),
  due_at     timestamptz not null,
  started_at timestamptz not null default clock_timestamp(),
  work_id    uuid,  -- the backup job or recovery test that it became
  note       text,  -- why it became none
  primary key (plan_id, kind, due_at),
  constraint became_work_or_says_why check (work_id is null or note is null)
);

create index plan_runs_due on m23.plan_runs (due_at);

select m23.close_table('m23.plan_runs');

comment on table m23.plan_runs is 'What plans have begun, and when it was due.';

-- The deepest test: the staged archive is restored into a scratch schema, compared with what was
-- backed up, damaged, restored in place and taken back again. All of it is one transaction that
-- rolls that back: nobody else ever sees the schema, and nothing of it can stay.

-- A staged table and its copy, which stands for a protected table wherever a restore needs one.
create type m23.scratch as (
  staged m23.staged_tables,
  live   m23.protected_tables,
  copy   m23.protected_tables,
  name   text,  -- of the live table, as callers write it
  path   text   -- m23.path_of the live table
);

-- What to do about a kind of finding.
create or replace function m23.advice(p_kind text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_kind in ('manifest_missing', 'manifest_altered', 'manifest_invalid', 'object_missing', 'object_size',
                    'object_altered', 'object_damaged', 'line_malformed', 'exchanged')
      then 'This archive cannot be relied on: make a full backup now, test it, and find out who or what has written '
           'to the bucket (a lock rule on it would have refused that).'
    when p_kind = 'no_archive' then 'Make a full backup: a snapshot lives inside the database, and is lost with it.'
    when p_kind = 'undecryptable'
      then 'Put back the key that this archive was encrypted with (ARCHIVE_KEY and the objects under keys/); '
           'without it nobody can restore this backup.'
    when p_kind = 'chain_broken' then 'Make a full backup now: this chain can no longer be restored to its end.'
    when p_kind = 'clock_odd'
      then 'Check the clocks of the database server: times decide what is restored, and what is kept.'
    when p_kind = 'rpo_missed'
      then 'Back up more often, or see why the scheduled backups did not run: more would be lost than the plan allows.'
    when p_kind = 'rto_missed'
      then 'Restoring takes longer than the plan allows: give the database more resources, restore fewer tables '
           'first, or allow more time in the plan.'
    when p_kind = 'foreign_row'
      then 'Do not restore this archive: it holds rows of another tenant. '
           'Find out who has written to the bucket or to the database''s records.'
    when p_kind = 'definition_unsafe'
      then 'Rows of this archive can be restored; do not execute its definitions. '
           'Make a full backup now, and find out who has written to the bucket.'
    when p_kind in ('shape_changed', 'not_protected')
      then 'The tables have changed since this backup: make a full backup of them as they are now.'
    when p_kind in ('constraint_broken', 'reference_broken')
      then 'The rows no longer fit the constraints or tables of today: make a full backup of all related tables, or '
           'restore beside the live data.'
    when p_kind in ('fingerprint_differs', 'round_trip_differs', 'not_restorable')
      then 'Do not rely on this backup: make a full backup now and test it deep. '
           'If that fails as well, report it with this test''s id.' end
$$;
revoke all on function m23.advice(text) from public, anon, authenticated, service_role;

-- Checks that a copy has the rows that were backed up, as far as its columns are those of then.
create or replace function m23.check_fingerprint(p_scratch m23.scratch, p_then m23.backup_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_same  boolean := m23.shape_of((p_scratch.live).relid) @> p_then.columns and not coalesce(
    (select m23.has_altered_type((p_scratch.live).relid, w.position) from m23.backup_work w
      where w.job_id = p_then.job_id and w.incarnation = m23.incarnation()), false);
  v_right boolean;
begin
  perform m23.note_check('shape_changed', p_scratch.name, case when not v_same
    then format('the columns of %s have changed since the backup, so its rows cannot be '
                'compared with what was backed up', p_scratch.name) end);
  if (v_same or not p_then.whole) and m23.is_noted(p_then.job_id) then
    v_right := case when p_then.whole then m23.fingerprint_now(p_scratch) = m23.fingerprint_then(p_then.job_id, p_then)
                    else (p_scratch.staged).altered = 0 end;
    perform m23.note_check('fingerprint_differs', p_scratch.name, case when not v_right
      then format('the restored rows of %s are not those that were backed up', p_scratch.name) end);
  end if;
end $$;
revoke all on function m23.check_fingerprint(m23.scratch, m23.backup_tables) from public, anon, authenticated,
  service_role;

-- What the database's own records say of a backup: its chain, its times, its age.
create or replace function m23.check_records(p_test public.recovery_tests) returns void
language plpgsql set search_path = '' as $$
declare
  v_job  public.backup_jobs;
  v_last public.backup_jobs;
  v_at   timestamptz;
  v_plan public.dr_plans;
begin
  for v_job in select * from m23.chain_of(p_test.backup_job_id) loop
    perform m23.note_check('chain_broken', v_job.backup_name, case
      when v_job.status <> 'completed'
        then format('"%s", on which this backup builds, is %s', v_job.backup_name, replace(v_job.status, '_', ' '))
      when v_last.id is null and v_job.job_type = 'incremental'
        then format('"%s" builds on a backup that is not there any more', v_job.backup_name)
      when not exists (select from m23.backup_work w where w.job_id = v_job.id)
        then format('nothing is known of the archive of "%s"', v_job.backup_name) end);
    v_at := (select w.position_at from m23.backup_work w where w.job_id = v_job.id);
    perform m23.note_check('clock_odd', v_job.backup_name, case
      when v_at > clock_timestamp() or v_job.completed_at > clock_timestamp()
        then format('"%s" is of a time to come', v_job.backup_name)
      when v_job.completed_at < v_at
        then format('"%s" was completed before the moment that it is of', v_job.backup_name)
      when v_at < (select w.position_at from m23.backup_work w where w.job_id = v_last.id)
        then format('"%s" is of an earlier moment than "%s", on which it builds', v_job.backup_name,
                    v_last.backup_name) end);
    v_last := v_job;
  end loop;
  select * into v_plan from public.dr_plans where id = p_test.dr_plan_id;
  if v_plan.id is not null then
    perform m23.note_check('rpo_missed', v_last.backup_name, case
      when clock_timestamp() - v_at > make_interval(mins => v_plan.rpo_minutes)
      then format('the backup is of %s, %s minutes ago; the plan allows %s', m23.iso(v_at),
                  ceil(extract(epoch from clock_timestamp() - v_at) / 60), v_plan.rpo_minutes) end);
  end if;
end $$;
revoke all on function m23.check_records(public.recovery_tests) from public, anon, authenticated, service_role;

-- The checks of a test, noted one by one; together they are its tally.

-- Begins a list of checks, which ends with the transaction.
create or replace function m23.open_checks() returns void
language sql set search_path = '' as
$$ create temp table m23_checks (n int generated always as identity, kind text not null, object text not null,
                                 sentence text) on commit drop $$;
revoke all on function m23.open_checks() from public, anon, authenticated, service_role;

-- Notes a check; p_fault says what does not hold, null if it holds.
create or replace function m23.note_check(p_kind text, p_object text, p_fault text default null) returns void
language plpgsql set search_path = '' as $$
begin
  insert into pg_temp.m23_checks (kind, object, sentence) values (p_kind, p_object, p_fault);
end $$;
revoke all on function m23.note_check(text, text, text) from public, anon, authenticated, service_role;

-- Ends the list of checks; gives its tally.
create or replace function m23.close_checks() returns jsonb
language plpgsql set search_path = '' as $$
declare v_tally jsonb;
begin
  select jsonb_build_object('passed', count(*) filter (where sentence is null), 'issues', count(sentence),
      'findings', coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'object', object, 'sentence', sentence)
                                     order by n) filter (where sentence is not null), '[]'))
    into v_tally from pg_temp.m23_checks;
  drop table pg_temp.m23_checks;
  return v_tally;
end $$;
revoke all on function m23.close_checks() from public, anon, authenticated, service_role;

-- Two tallies as one.
create or replace function m23.add_tallies(p_one jsonb, p_other jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('passed', (p_one ->> 'passed')::bigint + (p_other ->> 'passed')::bigint,
    'issues', (p_one ->> 'issues')::bigint + (p_other ->> 'issues')::bigint,
    'findings', (p_one -> 'findings') || (p_other -> 'findings'))
$$;
revoke all on function m23.add_tallies(jsonb, jsonb) from public, anon, authenticated, service_role;

-- Does to the copy what a customer might: takes rows away and empties a column of others, as far
-- as foreign keys and constraints allow.
create or replace function m23.damage_scratch(p_scratch m23.scratch) returns void
language plpgsql set search_path = '' as $$
declare
  v_copy   text := m23.qualified_name((p_scratch.copy).relid);
  v_some   text := format('ctid in (select x.ctid from (select ctid, row_number() over () as n from %s) x
                                     where x.n %% 3 = 1)', v_copy);
  v_column text := (select c.name from m23.columns_of((p_scratch.copy).relid) c
                     where c.key_ord is null and not c.not_null and not c.generated
                       and c.name = any ((p_scratch.staged).columns) order by c.attnum desc limit 1);
begin
  begin
    perform m23.run(p_scratch.path, format('delete from %s where %s', v_copy, v_some));
  exception when foreign_key_violation then null;
  end;
  if v_column is not null then
    begin
      perform m23.run(p_scratch.path, format('update %s set %I = null where %s', v_copy, v_column, v_some));
    exception when integrity_constraint_violation then null;
    end;
  end if;
end $$;
revoke all on function m23.damage_scratch(m23.scratch) from public, anon, authenticated, service_role;

-- A tenant that has switched its plan off has had one; one that was forgotten is not taken up again by itself.
create or replace function m23.give_default_plan(p_tenant text) returns void
language plpgsql volatile set search_path = '' as $$
declare v_plan text := m23.setting('default_plan');
begin
  if v_plan <> '' and not exists (select from public.dr_plans where tenant_id = p_tenant)
     and not exists (select from m23.forgotten where tenant_id = p_tenant) then
    insert into public.dr_plans select (m23.default_plan(p_tenant, v_plan::jsonb)).*;
  end if;
end $$;
revoke all on function m23.give_default_plan(text) from public, anon, authenticated, service_role;

-- Fingerprints: sums over rows, by which what is read back is compared with what was backed up.

-- The fingerprint of a copy's rows.
create or replace function m23.fingerprint_now(p_scratch m23.scratch) returns numeric
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_scratch.path, format('
      select coalesce(sum(pg_catalog.hashtextextended((%s) collate "C", 0::bigint)), 0) from %s r',
    m23.copy_line((p_scratch.copy).relid, (p_scratch.staged).columns), m23.qualified_name((p_scratch.copy).relid)));
end $$;
revoke all on function m23.fingerprint_now(m23.scratch) from public, anon, authenticated, service_role;

-- The fingerprints of some copies, in their order.
create or replace function m23.fingerprints_now(p_all m23.scratch[]) returns numeric[]
language sql volatile set search_path = '' as
$$ select array_agg(m23.fingerprint_now(p_all[n]) order by n) from generate_subscripts(p_all, 1) n $$;
revoke all on function m23.fingerprints_now(m23.scratch[]) from public, anon, authenticated, service_role;

-- The fingerprint of a table's rows as they were backed up.
create or replace function m23.fingerprint_then(p_job uuid, p_table m23.backup_tables) returns numeric
language sql stable set search_path = '' as
$$ select coalesce(sum(c.fingerprint), 0) from m23.backup_chunks c
    where c.job_id = p_job and c.ordinal = p_table.ordinal and not c.history $$;
revoke all on function m23.fingerprint_then(uuid, m23.backup_tables) from public, anon, authenticated, service_role;

-- Whether the database knows what was read of a backup and all that it builds on: not where it has
-- adopted one without fingerprints.
create or replace function m23.is_noted(p_job uuid) returns boolean
language sql stable set search_path = '' as
$$ select not exists (select from m23.chain_of(p_job) j join m23.backup_chunks c on c.job_id = j.id
                       where c.fingerprint is null) $$;
revoke all on function m23.is_noted(uuid) from public, anon, authenticated, service_role;

-- A chunk that is read back, with what m23_stage_chunk is told of it. A database that has adopted an
-- encrypted backup learns what a chunk has to come to when its archive is opened. A table of an
-- incremental is put together from many chunks, so each is compared by itself.
create or replace function m23.examine_chunk(p_staged m23.staged_tables, p_head jsonb, p_lines text) returns void
language plpgsql set search_path = '' as $$
declare
  v_from  jsonb := p_head -> 'from';
  v_chunk m23.backup_chunks;
begin
  update m23.backup_chunks c set fingerprint = coalesce(c.fingerprint, (p_head ->> 'fingerprint')::numeric)
   where c.job_id = (v_from ->> 'backup_id')::uuid and c.ordinal = (v_from ->> 'ordinal')::int
     and c.seq = (v_from ->> 'seq')::int and c.history = (v_from ->> 'history')::boolean
    returning * into v_chunk;
  if exists (select from m23.restore_work w
               join m23.backup_tables b on b.job_id = w.job_id and b.ordinal = p_staged.ordinal
              where w.work_id = p_staged.restore_id and not b.whole)
     and m23.fingerprint_of(string_to_array(p_lines, chr(10))) <> v_chunk.fingerprint then
    update m23.staged_tables set altered = altered + 1
     where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  end if;
end $$;
revoke all on function m23.examine_chunk(m23.staged_tables, jsonb, text) from public, anon, authenticated, service_role;

-- A share of what is due: of one to 50 plans, and for a second, so that a call ends within two. Gives how many plans
-- it has dealt with; none: nothing is due.
create or replace function m23.follow_plans(p_kind text) returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
  v_count int := m23.mend_due_times();
  v_begun int := 0;
  v_plan  public.dr_plans;
  v_like  uuid;
begin
  if p_kind = 'backup' and exists (select from public.dr_plans where is_active and next_backup_date <= v_now) then
    perform m23.lock_tables(array(select relid from m23.protected_tables));  -- once, for all of them
  end if;
  for v_plan in select * from m23.due_plans(p_kind, 50) loop
    exit when v_begun > 0 and clock_timestamp() > v_until;
    if p_kind = 'backup' then
      v_like := coalesce(m23.begin_run(v_plan, p_kind, v_plan.next_backup_date, v_like), v_like);
      update public.dr_plans set next_backup_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    else
      perform m23.begin_run(v_plan, p_kind, v_plan.next_test_date, null);
      update public.dr_plans set next_test_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    end if;
    v_begun := v_begun + 1;
  end loop;
  return v_count + v_begun;
end $$;
revoke all on function m23.follow_plans(text) from public, anon, authenticated, service_role;

-- Staging does not survive a crash of the server, nor is it of use once its table has another shape
-- or is not protected any more: then it begins anew, and so does the time.
create or replace function m23.forget_lost_staging(p_test uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_staged m23.staged_tables;
  v_lost   boolean;
begin
  for v_staged in select * from m23.staged_tables where restore_id = p_test loop
    execute format('select $1 > 0 and not exists (select from %s)', v_staged.staging) into v_lost
        using v_staged.standing;
    v_lost := v_lost or exists (select c.name, c.type_name from m23.columns_of(v_staged.staging::regclass) c
                                except select c.name, m23.type_with_nulls(t.relid, c.attnum)
                                         from m23.protected_tables t cross join m23.columns_of(t.relid) c
                                       where t.id = v_staged.table_id);
    exit when v_lost;
  end loop;
  if v_lost then
    for v_staged in select * from m23.staged_tables where restore_id = p_test loop
      execute format('drop table if exists %s', v_staged.staging);
    end loop;
    delete from m23.restore_work where work_id = p_test;
  end if;
end $$;
revoke all on function m23.forget_lost_staging(uuid) from public, anon, authenticated, service_role;

-- A share of a round, until a time. Gives for how many tenants it was done; none: the round is over.
create or replace function m23.go_round(p_name text, p_since timestamptz, p_work regprocedure, p_until timestamptz)
  returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_tenant text;
  v_count  int := 0;
begin
  perform m23.begin_round(p_name, p_since);
  for v_tenant in select tenant_id from m23.round_tenants where round = p_name order by tenant_id limit 200
      for update skip locked loop
    exit when clock_timestamp() > p_until;
    perform m23.do_for(p_work, v_tenant);
    delete from m23.round_tenants where round = p_name and tenant_id = v_tenant;
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
revoke all on function m23.go_round(text, timestamptz, regprocedure, timestamptz) from public, anon, authenticated,
  service_role;

-- Deletes what was kept of a tenant's health: after some days all but the last of each day; gives how many.
create or replace function m23.prune_health(p_tenant text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_count bigint;
begin
  delete from public.health_snapshots s
   where s.tenant_id = p_tenant and (
         s.created_at < clock_timestamp() - make_interval(days => m23.setting('health_daily_days')::int)
      or s.created_at < clock_timestamp() - make_interval(days => m23.setting('health_days')::int)
         and exists (select from public.health_snapshots l
                      where l.tenant_id = s.tenant_id and (l.created_at, l.id) > (s.created_at, s.id)
                        and l.created_at < date_trunc('day', s.created_at, 'UTC') + interval '1 day'));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke all on function m23.prune_health(text) from public, anon, authenticated, service_role;

-- Once a day, for every tenant.
create or replace function m23.note_day(p_tenant text) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if not exists (select from public.health_snapshots where tenant_id = p_tenant and created_at >= date_trunc('day',
      clock_timestamp(), 'UTC')) then
    perform m23.note_health(p_tenant);
  end if;
  perform m23.prune_health(p_tenant);
end $$;
revoke all on function m23.note_day(text) from public, anon, authenticated, service_role;

-- Foreign keys between copies are made, and so are checked by the server. Of one that leads out
-- of the archive, or to another tenant's rows, they are looked up, without a lock on anybody's table.
create or replace function m23.key_holds(p_tenant text, p_all m23.scratch[], p_child m23.scratch, p_key pg_constraint)
  returns text
language plpgsql set search_path = '' as $$
declare
  v_parent m23.scratch := (select s from unnest(p_all) s where (s).live.relid = p_key.confrelid);
  v_path   text := coalesce(nullif(p_child.path, ''), m23.path_of(p_key.confrelid));
  v_count  bigint;
begin
  if (v_parent.copy).id is not null then
    perform m23.run(v_path, format('alter table %s add constraint %I %s', m23.qualified_name((p_child.copy).relid),
                                   p_key.conname, m23.foreign_key_definition(p_key, (v_parent.copy).relid)));
    return null;
  end if;
  v_count := m23.number_of(v_path, format('
      select count(*) from %s d where row(%s) is not null and not exists (select from %s p where %s)',
    m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'),
    m23.qualified_name(p_key.confrelid),
    m23.refers(p_key, 'p', 'd')));
  return case when v_count > 0
    then format('%s row(s) of %s refer to rows of %s that do not exist, and %3$s is not in the backup', v_count,
                p_child.name, m23.public_name(p_key.confrelid)) end;
exception
  when foreign_key_violation then
    v_count := m23.number_of(v_path, format('select count(*) from %1$s d
                     where row(%2$s) is not null and not exists (select from %3$s p where %4$s)
                     and not exists (select from %5$s p where %4$s and %6$s <> %7$s)',
      m23.qualified_name((p_child.copy).relid), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'),
      m23.qualified_name((v_parent.copy).relid),
      m23.refers(p_key, 'p', 'd'), m23.qualified_name(p_key.confrelid), m23.row_tenant(v_parent.live, 'p'),
      m23.tenant_value(v_parent.live, quote_literal(p_tenant))));
    return case when v_count > 0
      then format('%s row(s) of %s refer to rows of %s that are not in the backup ("%s")', v_count, p_child.name,
                  v_parent.name, p_key.conname) end;
  when undefined_column then return null;  -- newer than the backup
end $$;
revoke all on function m23.key_holds(text, m23.scratch[], m23.scratch, pg_constraint) from public, anon, authenticated,
  service_role;

-- Makes the copy of a table: everything that a row of it has to fit, but for foreign keys.
create or replace function m23.make_scratch(p_schema text, p_staged m23.staged_tables) returns m23.scratch
language plpgsql set search_path = '' as $$
declare
  v_made m23.scratch;
  v_live m23.protected_tables;
  v_copy m23.protected_tables;
  v_name text := format('%I.%I', p_schema, 't' || p_staged.ordinal);
  v_path text;
begin
  select * into v_live from m23.protected_tables where id = p_staged.table_id;
  v_path := m23.path_of(v_live.relid);
  perform m23.make_like(v_name, v_live.relid,
                        'including defaults including generated including identity including constraints', v_path);
  perform m23.without_fills(v_name, v_live, p_staged);
  perform m23.close_table(v_name::regclass);
  v_copy := v_live;
  v_copy.id := 2000000000 + p_staged.ordinal;
  v_copy.relid := v_name::regclass;
  v_copy.tenant_attnum := (select attnum from pg_attribute
                            where attrelid = v_copy.relid and attname = m23.tenant_column(v_live));
  v_made.staged := p_staged;
  v_made.live := v_live;
  v_made.copy := v_copy;
  v_made.name := m23.public_name(v_live.relid);
  v_made.path := v_path;
  return v_made;
end $$;
revoke all on function m23.make_scratch(text, m23.staged_tables) from public, anon, authenticated, service_role;

-- A time that a clock which was ahead has taken is still to come, and what was put off by that clock is
-- due by the one of now; so is a test whose time was taken away. Gives how many plans it was.
create or replace function m23.mend_due_times() returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_now   timestamptz := clock_timestamp();  -- a variable, for the indexes to be used
  v_plans uuid[];
begin
  delete from m23.plan_runs where ctid = any (array(
    select ctid from m23.plan_runs where due_at < v_now - interval '30 days' limit 1000 for update skip locked));
  v_plans := array(select p.id from public.dr_plans p
    where p.id = any (array(select r.plan_id from m23.plan_runs r where r.due_at > v_now limit 100)
                   || array(select n.id from public.dr_plans n where n.is_active and n.next_test_date is null
                            limit 100))
      for update skip locked);
  delete from m23.plan_runs where due_at > v_now and plan_id = any (v_plans);
  update public.dr_plans p
     set next_backup_date = least(p.next_backup_date, m23.due_anew(p, 'backup')),
         next_test_date = least(p.next_test_date, m23.due_anew(p, 'test'))
   where p.is_active and p.id = any (v_plans);
  return cardinality(v_plans);
end $$;
revoke all on function m23.mend_due_times() from public, anon, authenticated, service_role;

-- The minute of the day at which a plan comes that names no time. Its backups and its tests have one each.
create or replace function m23.own_minute(p_plan uuid, p_kind text) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return abs(hashtextextended(p_kind || p_plan, 0) % 1440);
end $$;
revoke all on function m23.own_minute(uuid, text) from public, anon, authenticated, service_role;

-- When a plan's next backup or test is due.
create or replace function m23.next_due(p_plan public.dr_plans, p_kind text, p_after timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
  return m23.next_run(case p_kind when 'backup' then p_plan.backup_frequency else p_plan.test_frequency end,
      p_plan.time_zone, p_after,
                      m23.own_minute(p_plan.id, p_kind));
end $$;
revoke all on function m23.next_due(public.dr_plans, text, timestamptz) from public, anon, authenticated, service_role;

-- Plans are bounded, as each of them makes work. One insert of a tenant at a time, to be counted rightly; tenants share
-- 128 locks, so that one transaction can insert those of thousands.
create or replace function m23.refuse_many_plans(p_tenant text) returns void
language plpgsql set search_path = '' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('m23.plans.' || hashtextextended(p_tenant, 0) % 128, 0));
  if (select count(*) from public.dr_plans where tenant_id = p_tenant) >= 20 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept',
        array['tenant_id: a tenant has at most 20 plans; change one that is there']);
  end if;
end $$;
revoke all on function m23.refuse_many_plans(text) from public, anon, authenticated, service_role;

-- The plan that a request names. Another tenant's looks exactly like a missing one.
create or replace function m23.usable_plan(p_tenant text, p_plan uuid) returns public.dr_plans
language plpgsql stable set search_path = '' as $$
declare v_plan public.dr_plans;
begin
  select * into v_plan from public.dr_plans where id = p_plan and tenant_id = p_tenant;
  if p_plan is not null and v_plan.is_active is not true then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be used',
      array[case when v_plan.id is null then 'dr_plan_id: no such plan in this tenant'
                 else 'dr_plan_id: this plan is not active' end]);
  end if;
  return v_plan;
end $$;
revoke all on function m23.usable_plan(text, uuid) from public, anon, authenticated, service_role;

-- The newest completed backup that a plan covers, or without a plan the tenant's newest.
create or replace function m23.covered_backup(p_tenant text, p_plan public.dr_plans) returns uuid
language sql stable set search_path = '' as $$
  select j.id from public.backup_jobs j
   where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null
     and (p_plan.id is null or j.job_type = any (p_plan.backup_types))
   order by j.completed_at desc, j.id limit 1
$$;
revoke all on function m23.covered_backup(text, public.dr_plans) from public, anon, authenticated, service_role;

-- The backup that a test is of: the one that is named, else the newest that the plan covers,
-- else the tenant's newest.
create or replace function m23.tested_backup(p_tenant text, p_plan public.dr_plans, p_job uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare v_job uuid := m23.covered_backup(p_tenant, p_plan);
begin
  if p_job is not null then
    return (m23.restorable_backup(p_tenant, p_job, p_needs_key => false)).id;
  end if;
  if v_job is null then
    perform m23.refuse('BACKUP_NOT_FOUND',
                       case when p_plan.id is null then 'this tenant has no completed backup to test'
                            else 'this tenant has no completed backup that the plan covers' end);
  end if;
  return v_job;
end $$;
revoke all on function m23.tested_backup(text, public.dr_plans, uuid) from public, anon, authenticated, service_role;

-- Accepts a recovery test as a request's body asks for it; gives its id.
create or replace function m23.begin_test(p_tenant text, p_test jsonb, p_by uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_plan public.dr_plans := m23.usable_plan(p_tenant, (p_test ->> 'dr_plan_id')::uuid);
  v_job  uuid := m23.tested_backup(p_tenant, v_plan, (p_test ->> 'backup_job_id')::uuid);
  v_id   uuid;
begin
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, backup_job_id, test_name, test_type,
                                     validation_level)
    values (p_tenant, p_by, v_plan.id, v_job, p_test ->> 'test_name', p_test ->> 'test_type',
            p_test ->> 'validation_level')
    returning id into v_id;
  insert into m23.test_work (test_id) values (v_id);
  return v_id;
end $$;
revoke all on function m23.begin_test(text, jsonb, uuid) from public, anon, authenticated, service_role;

-- The advisory lock that whoever executes a test holds.
create or replace function m23.test_key(p_test uuid) returns bigint
language sql immutable set search_path = '' as $$ select hashtextextended('m23.test.' || p_test, 0) $$;
revoke all on function m23.test_key(uuid) from public, anon, authenticated, service_role;

-- Ends a test that waits or runs, as failed.
create or replace function m23.fail_test(p_test uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
begin
  update public.recovery_tests set status = 'failed', error_message = left(p_error, 2000),
         completed_at = clock_timestamp()
   where id = p_test and status in ('pending', 'in_progress');
  perform m23.end_work(p_test);
  delete from m23.test_work where test_id = p_test;
end $$;
revoke all on function m23.fail_test(uuid, text) from public, anon, authenticated, service_role;

-- What a worker has to examine: a chain, the full backup first.
create or replace function m23.test_plan(p_test public.recovery_tests, p_lease uuid) returns json
language sql stable set search_path = '' as $$
  select json_build_object(
    'test_id', p_test.id, 'lease', p_lease, 'tenant_id', p_test.tenant_id, 'level', p_test.validation_level,
    'state', (select w.state from m23.test_work w where w.test_id = p_test.id),
    'archives', (select json_agg(json_build_object('backup_id', c.id, 'manifest', w.manifest,
                                                   'manifest_sha256', w.manifest_sha256) order by c.ordinality)
                   from m23.chain_of(p_test.backup_job_id) with ordinality c join m23.backup_work w on w.job_id = c.id))
$$;
revoke all on function m23.test_plan(public.recovery_tests, uuid) from public, anon, authenticated, service_role;

-- A check that holds is counted; one that does not is a finding: its kind, the object that it
-- is about, and a sentence. They are gathered in pg_temp.m23_checks.

-- The results of a test, from its tally and what its restore gave.
create or replace function m23.test_results(p_test public.recovery_tests, p_tally jsonb, p_restore jsonb) returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'duration', round(extract(epoch from clock_timestamp() - p_test.started_at), 3),
    'issuesFound', p_tally -> 'issues', 'validationsPassed', p_tally -> 'passed',
    'recommendations', coalesce((select jsonb_agg(a order by first) from (
        select m23.advice(f ->> 'kind') as a, min(n) as first
          from jsonb_array_elements(p_tally -> 'findings') with ordinality x (f, n) group by 1) advised
      where a is not null), '[]'),
    'findings', p_tally -> 'findings', 'backupJobId', p_test.backup_job_id,
    'backupAgeSeconds', (select round(extract(epoch from clock_timestamp() - w.position_at), 3) from m23.backup_work w
                          where w.job_id = p_test.backup_job_id),
    'recoverySeconds', p_restore -> 'seconds', 'rowsRestored', p_restore -> 'rows',
    'rowsUndone', p_restore -> 'undone'))
$$;
revoke all on function m23.test_results(public.recovery_tests, jsonb, jsonb) from public, anon, authenticated,
  service_role;

-- Checks the measured time against what the plan allows.
create or replace function m23.check_recovery_time(p_test public.recovery_tests, p_seconds numeric) returns void
language plpgsql set search_path = '' as $$
declare v_allowed int := (select p.rto_minutes from public.dr_plans p where p.id = p_test.dr_plan_id);
begin
  if p_seconds is not null and v_allowed is not null then
    perform m23.note_check('rto_missed', 'the restore', case when p_seconds > v_allowed * 60.0
      then format('reading back and restoring took %s seconds; the plan allows %s minutes', p_seconds, v_allowed) end);
  end if;
end $$;
revoke all on function m23.check_recovery_time(public.recovery_tests, numeric) from public, anon, authenticated,
  service_role;

-- Restores what is staged; the checks go to pg_temp.m23_checks. Gives `{"seconds", "rows", "undone"}`.
create or replace function m23.restore_to_scratch(p_work m23.restore_work) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_schema  text := 'm23_scratch_' || replace(p_work.work_id::text, '-', '');
  v_all     m23.scratch[];
  v_scratch m23.scratch;
  v_table   m23.backup_tables;
  v_key     pg_constraint;
  v_foreign bigint;
  v_done    jsonb;
begin
  perform m23.check_staged(p_work.work_id);
  execute format('create schema %I', v_schema);
  v_all := array(select m23.make_scratch(v_schema, s) from m23.staged_tables s where s.restore_id = p_work.work_id
                  order by s.ordinal);
  foreach v_scratch in array v_all loop
    perform m23.note_check('constraint_broken', v_scratch.name, m23.rows_fit(v_scratch));
  end loop;
  foreach v_scratch in array v_all loop
    for v_key in
      select k.* from pg_constraint k
       where k.contype = 'f' and k.conrelid = (v_scratch.live).relid and k.conparentid = 0 and m23.is_enforced(k)
    loop
      perform m23.note_check('reference_broken', v_scratch.name,
                             m23.key_holds(p_work.tenant_id, v_all, v_scratch, v_key));
    end loop;
  end loop;
  v_done := jsonb_build_object('rows', (select coalesce(sum((s).staged.standing), 0) from unnest(v_all) s),
    'seconds', (select round(extract(epoch from clock_timestamp() - w.staging_at), 3) from m23.test_work w
                 where w.test_id = p_work.work_id));

  for v_table in select * from m23.backup_tables where job_id = p_work.job_id order by ordinal loop
    v_scratch := (select s from unnest(v_all) s where (s).staged.ordinal = v_table.ordinal);
    perform m23.note_check('not_protected', format('%s.%s', v_table.schema_name, v_table.table_name),
                           case when v_scratch.name is null then m23.left_out_sentence(v_table) end);
    if v_scratch.name is not null then
      v_foreign := m23.count_foreign(v_scratch, p_work.tenant_id);
      perform m23.note_check('foreign_row', v_scratch.name,
        case when v_foreign > 0 then format('%s row(s) of %s belong to another tenant', v_foreign, v_scratch.name) end);
      perform m23.check_fingerprint(v_scratch, v_table);
    end if;
  end loop;
  if not exists (select from pg_temp.m23_checks where sentence is not null) then
    v_done := v_done || jsonb_build_object('undone', m23.round_trip(v_schema, p_work.tenant_id, v_all, p_work.work_id));
  end if;
  return v_done;
end $$;
revoke all on function m23.restore_to_scratch(m23.restore_work) from public, anon, authenticated, service_role;

-- Gives how many rows went there and back.
create or replace function m23.round_trip(p_schema text, p_tenant text, p_all m23.scratch[], p_work uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_scratch m23.scratch;
  v_rows    bigint;
  v_names   text := (select string_agg((s).name, ', ') from unnest(p_all) s);
  v_whole   numeric[] := m23.fingerprints_now(p_all);
  v_damaged numeric[];
begin
  set constraints all immediate;
  foreach v_scratch in array m23.children_first(p_all) loop
    perform m23.damage_scratch(v_scratch);
  end loop;
  v_damaged := m23.fingerprints_now(p_all);
  foreach v_scratch in array p_all loop
    perform m23.run(v_scratch.path, format('create table %I.%I as select %s from %s',
      p_schema, 'd' || (v_scratch.staged).ordinal,
      (select string_agg(quote_ident(c), ', ') from unnest((v_scratch.staged).columns) c),
      m23.qualified_name((v_scratch.copy).relid)));
  end loop;
  v_rows := m23.converge_scratch(p_tenant, p_all,
    array(select format('select * from %s', (s).staged.staging) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_whole <> m23.fingerprints_now(p_all)
    then 'a restore in place of damaged rows did not give what is in the backup' end);
  perform m23.converge_scratch(p_tenant, p_all,
    array(select format('select * from %I.%I', p_schema, 'd' || (s).staged.ordinal) from unnest(p_all) s), p_work);
  perform m23.note_check('round_trip_differs', v_names, case when v_damaged <> m23.fingerprints_now(p_all)
    then 'undoing a restore in place did not give what was there before it' end);
  return v_rows;
end $$;
revoke all on function m23.round_trip(text, text, m23.scratch[], uuid) from public, anon, authenticated, service_role;

-- Begins a round where the last one is over and began before p_since.
create or replace function m23.begin_round(p_name text, p_since timestamptz) returns void
language plpgsql volatile set search_path = '' as $$
begin
  insert into m23.rounds as r values (p_name, clock_timestamp())
    on conflict (name) do update set begun_at = excluded.begun_at
     where r.begun_at < p_since and not exists (select from m23.round_tenants t where t.round = p_name);
  if found then
    insert into m23.round_tenants (round, tenant_id)
      select p_name, t.id
        from (select t.tenant_id from m23.tenants() t) t (id)
       where t.id is not null
      on conflict do nothing;
  end if;
end $$;
revoke all on function m23.begin_round(text, timestamptz) from public, anon, authenticated, service_role;

-- Does a round's work for one tenant; what fails is told to the server's log.
create or replace function m23.do_for(p_work regprocedure, p_tenant text) returns void
language plpgsql volatile set search_path = '' as $$
begin
  execute format('select %s($1)', p_work::regproc) using p_tenant;
exception when others or query_canceled then
  raise log 'm23: % failed for tenant %: % (%)', p_work::regproc, p_tenant, sqlerrm, sqlstate;
end $$;
revoke all on function m23.do_for(regprocedure, text) from public, anon, authenticated, service_role;

-- Inserts the staged rows into the copy; gives why they do not fit, null if they do.
create or replace function m23.rows_fit(p_scratch m23.scratch) returns text
language plpgsql set search_path = '' as $$
declare
  v_list       text := (select string_agg(quote_ident(c), ', ') from unnest((p_scratch.staged).columns) c);
  v_constraint text;
  v_rows       bigint;
begin
  v_rows := m23.run(p_scratch.path, format('insert into %s (%s) overriding system value select %s from %s',
    m23.qualified_name((p_scratch.copy).relid), v_list, v_list, (p_scratch.staged).staging));
  if v_rows <> (p_scratch.staged).standing then  -- no damage of the backup: the next worker stages anew
    perform m23.refuse('UNAVAILABLE', 'the database was restarted while the archive was read back');
  end if;
  perform m23.look_at(p_scratch);
  return null;
exception
  when integrity_constraint_violation then
    get stacked diagnostics v_constraint = constraint_name;
    return format('rows of %s break "%s"', p_scratch.name, v_constraint);
  when data_exception then
    return (select string_agg(u, '; ') from m23.unfit_columns(m23.new_target(p_scratch.live,
              p_wanted => format('select * from %s', (p_scratch.staged).staging),
              p_columns => (p_scratch.staged).columns, p_path => p_scratch.path, p_kept => '{}'), null) u);
end $$;
revoke all on function m23.rows_fit(m23.scratch) from public, anon, authenticated, service_role;

-- A backup that cannot begin stands there as one that failed, with its reason.
create or replace function m23.run_backup(p_plan public.dr_plans, p_like uuid) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_backup jsonb;
  v_job    public.backup_jobs;
begin
  if exists (select from public.backup_jobs j join m23.plan_runs r on r.work_id = j.id and r.plan_id = p_plan.id
      and r.kind = 'backup'
              where j.tenant_id = p_plan.tenant_id and j.status in ('pending', 'in_progress')) then
    update m23.plan_runs set note = 'the backup before it was still running'
     where plan_id = p_plan.id and kind = 'backup' and due_at = p_plan.next_backup_date;
    return null;
  end if;
  v_backup := m23.scheduled_backup(p_plan);
  v_job := m23.planned_job(p_plan, v_backup);
  perform m23.start_backup(v_job, p_like);
  return v_job.id;
exception when others or query_canceled then
  v_job := m23.planned_job(p_plan, coalesce(v_backup, jsonb_build_object('backupName', m23.name_of_run(p_plan),
      'jobType', p_plan.backup_types[1])));
  perform m23.fail_backup(v_job.id, m23.said(sqlstate, sqlerrm));
  return v_job.id;
end $$;
revoke all on function m23.run_backup(public.dr_plans, uuid) from public, anon, authenticated, service_role;

-- The request of a plan's next backup: a full one where none is there to build on; between full
-- ones an incremental or a snapshot, where the plan has them.
create or replace function m23.scheduled_backup(p_plan public.dr_plans) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare v_parent uuid := m23.scheduled_parent(p_plan.tenant_id);
begin
  return jsonb_strip_nulls(jsonb_build_object(
    'backupName', m23.name_of_run(p_plan),
    'description', format('Made by the plan "%s"', p_plan.plan_name),
    'baseBackupId', case when 'incremental' = any (p_plan.backup_types) then v_parent end,
    'jobType', case
      when p_plan.backup_types = '{snapshot}' then 'snapshot'
      when v_parent is null then 'full'
      when 'incremental' = any (p_plan.backup_types) then 'incremental'
      when 'snapshot' = any (p_plan.backup_types) then 'snapshot'
      else 'full' end));
end $$;
revoke all on function m23.scheduled_backup(public.dr_plans) from public, anon, authenticated, service_role;

-- What a scheduled incremental can build on: the newest whole backup whose chain can be read and
-- is not too long, if the log still knows what has changed since.
create or replace function m23.scheduled_parent(p_tenant text) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_since timestamptz := clock_timestamp() - make_interval(days => m23.setting('full_every_days')::int);
  v_job   public.backup_jobs;
begin
  for v_job in
    select j.* from public.backup_jobs j join public.backup_jobs full_one on full_one.id = coalesce(j.base_backup_id,
        j.id)
     where j.tenant_id = p_tenant and j.status = 'completed' and j.deleted_at is null and j.job_type <> 'snapshot'
         and j.tables is null
       and full_one.created_at > v_since
     order by j.completed_at desc, j.id
  loop
    continue when m23.chain_fault(v_job) is not null;
    return (select w.job_id from m23.backup_work w where w.job_id = v_job.id and m23.gaps_since(w, null) = '{}');
  end loop;
  return null;
end $$;
revoke all on function m23.scheduled_parent(text) from public, anon, authenticated, service_role;

-- Takes a due time for oneself; false when somebody else has it.
create or replace function m23.take_run(p_plan uuid, p_kind text, p_due timestamptz) returns boolean
language plpgsql set search_path = '' as $$
begin
  insert into m23.plan_runs (plan_id, kind, due_at) values (p_plan, p_kind, p_due) on conflict do nothing;
  return found;
end $$;
revoke all on function m23.take_run(uuid, text, timestamptz) from public, anon, authenticated, service_role;

-- When a plan is due after now. One whose time cannot be worked out any more, as its zone is gone from the server,
-- is looked at again in an hour.
create or replace function m23.due_anew(p_plan public.dr_plans, p_kind text) returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return m23.next_due(p_plan, p_kind, clock_timestamp());
exception when others then
  raise log 'm23: plan % has no next %: % (%)', p_plan.id, p_kind, sqlerrm, sqlstate;
  return clock_timestamp() + interval '1 hour';
end $$;
revoke all on function m23.due_anew(public.dr_plans, text) from public, anon, authenticated, service_role;

-- Why something scheduled could not begin, in one line. A fault of ours is told by the server's
-- log, and keeps nobody else's plan from being followed.
create or replace function m23.said(p_state text, p_message text) returns text
language plpgsql set search_path = '' as $$
begin
  if p_state = 'PGRST' then
    return (select concat_ws(': ', m ->> 'message',
                             (select string_agg(d, '; ') from json_array_elements_text((m ->> 'details')::json) d))
              from (select p_message::json) x (m));
  end if;
  raise log 'm23: a plan could not be followed: % (%)', p_message, p_state;
  return case p_state when '57014' then 'it took too long to begin' else
      'it could not be begun; the database''s log tells why' end;
end $$;
revoke all on function m23.said(text, text) from public, anon, authenticated, service_role;

-- What a scheduled backup or test is called.
create or replace function m23.name_of_run(p_plan public.dr_plans) returns text
language sql volatile set search_path = '' as
$$ select format('%s %s', left(p_plan.plan_name, 150), to_char(clock_timestamp() at time zone 'UTC',
    'YYYY-MM-DD HH24:MI:SS "UTC"')) $$;
revoke all on function m23.name_of_run(public.dr_plans) from public, anon, authenticated, service_role;

-- Makes the row of a backup that a plan begins; gives it.
create or replace function m23.planned_job(p_plan public.dr_plans, p_backup jsonb) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
declare v_job public.backup_jobs := m23.new_backup_job(p_plan.tenant_id, p_backup);
begin
  update public.backup_jobs set created_by = p_plan.created_by,
         metadata = metadata || jsonb_build_object('dr_plan_id', p_plan.id)
   where id = v_job.id returning * into v_job;
  return v_job;
end $$;
revoke all on function m23.planned_job(public.dr_plans, jsonb) from public, anon, authenticated, service_role;

-- A test that cannot begin stands there as one that failed, with its reason.
create or replace function m23.run_test(p_plan public.dr_plans) returns uuid
language plpgsql volatile set search_path = '' as $$
declare
  v_test jsonb := jsonb_build_object(
    'dr_plan_id', p_plan.id, 'test_type', 'scheduled', 'test_name', m23.name_of_run(p_plan),
    'validation_level', m23.setting('scheduled_test_level'));
  v_id   uuid;
begin
  return m23.begin_test(p_plan.tenant_id, v_test, p_plan.created_by);
exception when others or query_canceled then
  insert into public.recovery_tests (tenant_id, created_by, dr_plan_id, test_name, test_type, validation_level)
    values (p_plan.tenant_id, p_plan.created_by, p_plan.id, v_test ->> 'test_name', 'scheduled',
            v_test ->> 'validation_level') returning id into v_id;
  perform m23.fail_test(v_id, m23.said(sqlstate, sqlerrm));
  return v_id;
end $$;
revoke all on function m23.run_test(public.dr_plans) from public, anon, authenticated, service_role;

-- The plans that have waited longest, locked; those that another Worker has are passed over.
create or replace function m23.due_plans(p_kind text, p_limit int) returns setof public.dr_plans
language plpgsql volatile rows 50 set search_path = '' as $$
declare v_now timestamptz := clock_timestamp();
begin
  if p_kind = 'backup' then
    return query select * from public.dr_plans where is_active and next_backup_date <= v_now
      order by next_backup_date limit p_limit for update skip locked;
  else
    return query select * from public.dr_plans where is_active and next_test_date <= v_now
      order by next_test_date limit p_limit for update skip locked;
  end if;
end $$;
revoke all on function m23.due_plans(text, int) from public, anon, authenticated, service_role;

-- Begins what a plan is due for, once for each due time. What fails is noted, and stops no other plan. Gives the work.
create or replace function m23.begin_run(p_plan public.dr_plans, p_kind text, p_due timestamptz, p_like uuid)
  returns uuid
language plpgsql volatile set search_path = '' as $$
declare v_work uuid;
begin
  if m23.take_run(p_plan.id, p_kind, p_due) then
    v_work := case p_kind when 'backup' then m23.run_backup(p_plan, p_like) else m23.run_test(p_plan) end;
    update m23.plan_runs set work_id = v_work where plan_id = p_plan.id and kind = p_kind and due_at = p_due;
  end if;
  return v_work;
exception when others or query_canceled then
  insert into m23.plan_runs (plan_id, kind, due_at, note) values (p_plan.id, p_kind, p_due, m23.said(sqlstate, sqlerrm))
    on conflict do nothing;
  return null;
end $$;
revoke all on function m23.begin_run(public.dr_plans, text, timestamptz, uuid) from public, anon, authenticated,
  service_role;

-- A copy as what a restore converges, to the rows of a query.
create or replace function m23.scratch_target(p_scratch m23.scratch, p_wanted text) returns m23.target
language plpgsql stable set search_path = '' as $$
begin
  return m23.new_target(p_scratch.copy, p_wanted => p_wanted, p_columns => (p_scratch.staged).columns,
                        p_path => p_scratch.path, p_kept => '{}');
end $$;
revoke all on function m23.scratch_target(m23.scratch, text) from public, anon, authenticated, service_role;

-- A column that the backup does not have, and that a function would fill in a restore, may be empty in the copy.
create or replace function m23.without_fills(p_copy text, p_live m23.protected_tables, p_staged m23.staged_tables)
  returns void
language plpgsql set search_path = '' as $$
declare v_column name;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = p_live.relid and a.attnotnull and a.attname <> all (p_staged.columns)
       and m23.fill_call(p_live, a.attnum, p_staged.columns) is not null
  loop
    execute format('alter table %s alter column %I drop not null', p_copy, v_column);
  end loop;
end $$;
revoke all on function m23.without_fills(text, m23.protected_tables, m23.staged_tables) from public, anon,
  authenticated, service_role;

-- Gives the planner its statistics. From PostgreSQL 17 on, ANALYZE has a search path of its own: where the functions
-- of an index do not get by with it, there are none, as of the live table.
create or replace function m23.look_at(p_scratch m23.scratch) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.run(p_scratch.path, format('analyze %s', m23.qualified_name((p_scratch.copy).relid)));
exception when others then null;
end $$;
revoke all on function m23.look_at(m23.scratch) from public, anon, authenticated, service_role;

-- How many rows of a copy are of another tenant.
create or replace function m23.count_foreign(p_scratch m23.scratch, p_tenant text) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_scratch.path, format('select count(*) from %s r where %s is distinct from %s',
    m23.qualified_name((p_scratch.copy).relid), m23.row_tenant(p_scratch.copy, 'r'),
    m23.tenant_value(p_scratch.copy, quote_literal(p_tenant))));
end $$;
revoke all on function m23.count_foreign(m23.scratch, text) from public, anon, authenticated, service_role;

-- Converges the copies to what a query gives of each, as a restore does to live tables; gives
-- how many rows that changed.
create or replace function m23.converge_scratch(p_tenant text, p_all m23.scratch[], p_wanted text[], p_work uuid)
  returns bigint
language plpgsql set search_path = '' as $$
declare
  v_left text;
  v_done jsonb;
begin
  v_done := m23.converge(p_tenant, array(
    select m23.scratch_target(p_all[n], p_wanted[n]) from generate_subscripts(p_all, 1) n order by n), null, p_work);
  for v_left in
    select relname from pg_class
     where relnamespace = pg_my_temp_schema() and relkind = 'r' and relname ~ '^m23_' and relname <> 'm23_checks'
  loop
    execute format('drop table pg_temp.%I', v_left);
  end loop;
  return (v_done -> 'stats' ->> 'totalOperations')::bigint;
end $$;
revoke all on function m23.converge_scratch(text, m23.scratch[], text[], uuid) from public, anon, authenticated,
  service_role;

-- The copies, those that others refer to last.
create or replace function m23.children_first(p_all m23.scratch[]) returns m23.scratch[]
language sql stable set search_path = '' as $$
  with targets (t) as (select m23.parents_first(array(select m23.scratch_target(s, null) from unnest(p_all) s)))
  select array_agg((select s from unnest(p_all) s where (s).copy.relid = (t[n]).tbl.relid) order by n desc)
    from targets, generate_subscripts(t, 1) n
$$;
revoke all on function m23.children_first(m23.scratch[]) from public, anon, authenticated, service_role;

-- Alerts: what somebody has to know without asking. A condition begins and ends, and each of the two is told once, by
-- one webhook that a Worker calls. What happens at once (a mass delete, a gap) only begins. No alert holds a value of a
-- row.

insert into m23.settings (name, value, about) values
  ('watch_seconds',  '50', 'how long what would raise an alert is not looked at again'),
  ('alert_attempts', '12', 'how often the delivery of an alert is tried, at growing intervals of at most an hour'),
  ('alert_days',     '90', 'how long alerts that have ended are kept');

create table m23.alerts (
  id        uuid primary key default gen_random_uuid(),
  kind      text not null,
  subject   text not null,  -- what it is about: a tenant, a table, a job of the clock
  tenant_id text,
  summary   text not null,
  detail    jsonb not null default '{}',
  began_at  timestamptz not null default clock_timestamp(),
  ended_at  timestamptz,
  is_event  boolean not null default false,  -- has no end that could be told
  constraint event_has_ended check (ended_at is not null or not is_event)
);

select m23.close_table('m23.alerts');

create unique index alerts_open on m23.alerts (kind, subject) where ended_at is null;

create index alerts_subject on m23.alerts (kind, subject, began_at);

create index alerts_tenant on m23.alerts (tenant_id);

comment on table m23.alerts is 'Conditions that somebody has to know of: when each began, and ended.';

create table m23.alert_deliveries (
  id           uuid primary key default gen_random_uuid(),
  alert_id     uuid not null references m23.alerts (id) on delete cascade,
  edge         text not null check (edge in ('began', 'ended')),
  created_at   timestamptz not null default clock_timestamp(),
  attempts     int not null default 0,
  next_at      timestamptz not null default clock_timestamp(),  -- not before; while it is being sent, the end of that
  lease        uuid,
  delivered_at timestamptz,
  failed_at    timestamptz,
  error        text,
  unique (alert_id, edge),
  constraint ends_once check (delivered_at is null or failed_at is null),
  constraint no_negative_counts check (attempts >= 0)
);

select m23.close_table('m23.alert_deliveries');

create index alert_deliveries_due on m23.alert_deliveries (next_at) where delivered_at is null and failed_at is null;

comment on table m23.alert_deliveries is 'What was told of alerts, is to be told, or could not be.';

create type m23.condition as (kind text, subject text, tenant_id text, summary text, detail jsonb);

-- One at a time, and not more often than there is need for: every Worker with a cron trigger asks for it.
create table m23.watches (one boolean primary key default true check (one), at timestamptz not null);

select m23.close_table('m23.watches');

comment on table m23.watches is 'When alerts were last looked for.';

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

-- Monitoring: what the operator of all tenants looks at. Which of the clock's jobs have come, how every tenant stands,
-- and what the doctor says of the service as a whole.

insert into m23.settings (name, value, about) values
  ('cron_late_minutes', '5', 'how long a job of the clock may stay away before it is late'),
  ('plan_late_minutes', '15', 'how long what a plan says is due may wait before it is overdue'),
  ('log_cap_bytes', '10737418240', 'how large all logs together should get: from four fifths on it is told');

create table m23.heartbeats (
  name     text primary key,
  since    timestamptz not null default clock_timestamp(),  -- known since
  begun_at timestamptz,
  ended_at timestamptz,
  ok       boolean,  -- how the last one ended
  error    text,     -- what went wrong: an event of its log, never a text of an error
  version  text,     -- of the function
  expected boolean not null default true  -- is late when it stays away
);

select m23.close_table('m23.heartbeats');

comment on table m23.heartbeats is 'When each job of the clock last came, and how it ended.';

insert into m23.heartbeats (name) values ('backup-create'), ('backup-restore'), ('recovery-test');

-- What to do about each kind.
create or replace function m23.alert_advice(p_alert m23.alerts) returns text
language sql immutable set search_path = '' as $$
  select case p_alert.kind
    when 'backup_failed'
      then 'read error_message of the job in public.backup_jobs, and begin another with backup-create'
    when 'backup_overdue'
      then 'see whether the cron trigger of backup-create comes, and whether the tenant''s last jobs failed'
    when 'damage_found'
      then 'read results of the test in public.recovery_tests, make a full backup now, and test it'
    when 'score_low' then 'call get_health for the tenant: its parts say what is missing'
    when 'capture_broken' then 'select * from m23.doctor(): it says what stands in the way, and what to do'
    when 'gap' then 'make a full backup now: it is what can be restored of the time before'
    when 'cron_late' then 'look at the function''s cron trigger and its log'
    when 'log_large' then 'give the disk more room and raise log_cap_bytes, or lower log_days in m23.settings'
    when 'mass_delete'
      then 'ask the tenant; if it was no intention, preview pitr-restore with this targetTimestamp' end
$$;
revoke all on function m23.alert_advice(m23.alerts) from public, anon, authenticated, service_role;

-- What is to be told of single tenants.
create or replace function m23.conditions_of_tenants() returns setof m23.condition
language sql stable set search_path = '' as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backup_overdue', f.tenant_id, f.tenant_id,
         format('the newest backup of this tenant is %s; its RPO is %s minutes',
                coalesce('of ' || m23.iso(f.last_backup_at), 'still to come'), f.rpo_minutes),
         jsonb_build_object('lastBackupAt', m23.iso(f.last_backup_at), 'rpoMinutes', f.rpo_minutes)
    from fleet f where f.late
  union all
  select 'score_low', f.tenant_id, f.tenant_id,
         format('the health of this tenant is %s, below 70', f.score),
         jsonb_build_object('score', f.score)
    from fleet f where f.score < 70
$$;
revoke all on function m23.conditions_of_tenants() from public, anon, authenticated, service_role;

-- The newest backup that has ended has failed; one that somebody cancelled has not.
create or replace function m23.conditions_of_backups() returns setof m23.condition
language sql stable set search_path = '' as $$
  select 'backup_failed', j.tenant_id, j.tenant_id, 'the last backup of this tenant failed',
         jsonb_build_object('jobId', (array_agg(j.id order by j.completed_at desc))[1])
    from public.backup_jobs j
   where j.status = 'completed' or j.status = 'failed' and coalesce(j.error_message, '') not like 'cancelled by %'
   group by j.tenant_id
  having max(j.completed_at) filter (where j.status = 'failed')
         > coalesce(max(j.completed_at) filter (where j.status = 'completed'), '-infinity')
$$;
revoke all on function m23.conditions_of_backups() from public, anon, authenticated, service_role;

-- Until a later test of the same tenant, which reads at least as far, finds none.
create or replace function m23.conditions_of_tests() returns setof m23.condition
language sql stable set search_path = '' as $$
  select distinct on (t.tenant_id) 'damage_found', t.tenant_id, t.tenant_id,
         'a recovery test of this tenant found damage',
         jsonb_build_object('testId', t.id, 'jobId', t.backup_job_id)
    from public.recovery_tests t, lateral (select array_position('{basic,full,deep}', t.validation_level)) d (depth)
   where t.status = 'completed' and t.results -> 'findings' <> '[]' and m23.found_damage(t)
     and not exists (select from public.recovery_tests l
                      where l.tenant_id = t.tenant_id and l.status = 'completed' and l.completed_at > t.completed_at
                        and not m23.found_damage(l)
                        and array_position('{basic,full,deep}', l.validation_level) >= d.depth)
   order by t.tenant_id, t.completed_at desc
$$;
revoke all on function m23.conditions_of_tests() from public, anon, authenticated, service_role;

-- Histories that have ended: each is told once.
create or replace function m23.note_gaps() returns void
language sql volatile set search_path = '' as $$
  insert into m23.alerts (kind, subject, is_event, ended_at, summary, detail)
    select 'gap', s.subject, true, clock_timestamp(),
           format('no moment before %s can be reached in %s any more', m23.iso(g.until), n.name),
           jsonb_build_object('table', n.name, 'since', m23.iso(g.since), 'until', m23.iso(g.until), 'reason', g.reason)
      from m23.gaps g join m23.protected_tables t on t.id = g.table_id,
           lateral (select coalesce(m23.public_name(t.relid), t.name)) n (name),
           lateral (select concat_ws('/', g.table_id, m23.iso(g.until))) s (subject)
     where g.until > clock_timestamp() - interval '1 day'
       and not exists (select from m23.alerts a where a.kind = 'gap' and a.subject = s.subject)
$$;
revoke all on function m23.note_gaps() from public, anon, authenticated, service_role;

-- Where there is a webhook: what holds is told, and what happened within a day; an end is told to whom the beginning
-- was.
create or replace function m23.queue_alerts() returns void
language sql volatile set search_path = '' as $$
  insert into m23.alert_deliveries (alert_id, edge)
    select a.id, 'began' from m23.alerts a
     where (a.ended_at is null or a.is_event and a.began_at > clock_timestamp() - interval '1 day')
       and not exists (select from m23.alert_deliveries d where d.alert_id = a.id)
    union all
    select a.id, 'ended' from m23.alerts a join m23.alert_deliveries b on b.alert_id = a.id and b.edge = 'began'
     where a.ended_at is not null and not a.is_event
       and not exists (select from m23.alert_deliveries d where d.alert_id = a.id and d.edge = 'ended')
    on conflict do nothing
$$;
revoke all on function m23.queue_alerts() from public, anon, authenticated, service_role;

-- The message as it is signed: the same bytes at each attempt.
create or replace function m23.alert_body(p_alert m23.alerts, p_delivery m23.alert_deliveries) returns text
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'type', p_alert.kind || '.' || p_delivery.edge,
    'timestamp', m23.iso(case p_delivery.edge when 'began' then p_alert.began_at else p_alert.ended_at end),
    'data', jsonb_build_object('detail', p_alert.detail) || jsonb_strip_nulls(jsonb_build_object(
      'alertId', p_alert.id, 'kind', p_alert.kind, 'edge', p_delivery.edge, 'tenantId', p_alert.tenant_id,
      'summary', p_alert.summary, 'advice', m23.alert_advice(p_alert), 'beganAt', m23.iso(p_alert.began_at),
      'endedAt', case p_delivery.edge when 'ended' then m23.iso(p_alert.ended_at) end)))::text
$$;
revoke all on function m23.alert_body(m23.alerts, m23.alert_deliveries) from public, anon, authenticated, service_role;

create or replace function m23.failed_alerts()
returns table (delivery_id uuid, kind text, edge text, tenant_id text, summary text, began_at timestamptz,
               ended_at timestamptz, attempts int, failed_at timestamptz, error text)
language sql stable security definer rows 10 set search_path = '' set row_security = off as $$
  select d.id, a.kind, d.edge, a.tenant_id, a.summary, a.began_at, a.ended_at, d.attempts, d.failed_at, d.error
    from m23.alert_deliveries d join m23.alerts a on a.id = d.alert_id
   where d.failed_at is not null order by d.failed_at desc
$$;
comment on function m23.failed_alerts() is 'The deliveries of alerts that were given up.';
revoke all on function m23.failed_alerts() from public, anon, authenticated, service_role;
grant execute on function m23.failed_alerts() to service_role;

create or replace function m23.retry_alerts() returns bigint
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_count bigint;
begin
  update m23.alert_deliveries set failed_at = null, attempts = 0, next_at = clock_timestamp()
   where failed_at is not null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function m23.retry_alerts() is 'Tries the deliveries that were given up once more; gives how many.';
revoke all on function m23.retry_alerts() from public, anon, authenticated, service_role;
grant execute on function m23.retry_alerts() to service_role;

-- What is to be told of the service as a whole.
create or replace function m23.conditions_of_service() returns setof m23.condition
language sql volatile set search_path = '' as $$
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
revoke all on function m23.conditions_of_service() from public, anon, authenticated, service_role;

-- The tenants' transactions with deletes since `before` ($1), and what each minute of them came to: one row a tenant,
-- of the minute with most, if it ends with a transaction that was not looked at ($2) and is done by now ($3). What a
-- restore of ours deletes is asked for, and can be undone.
create or replace function m23.deletes_query(p_part text) returns text
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
          where s.tenant_id = t.id::text and s.snapshot_type = 'pre_restore'
            and s.snapshot_data ->> 'transaction' = l.xid::text)),
    minute as (
      select d.tenant_id, d.xid, d.at as until, sum(d.rows) over last as rows,
             first_value(d.xid) over last as first_xid, first_value(d.at) over last as since
        from deleted d
      window last as (partition by d.tenant_id order by d.at
                      range between interval '1 minute' preceding and current row))
    select distinct on (tenant_id) tenant_id::text, first_xid, since, until from minute
     where not pg_visible_in_snapshot(xid, $2) and rows > 100 order by tenant_id, rows desc, until$sql$,
    'part', p_part, 'at', m23.committed_at())
$outer$;
revoke all on function m23.deletes_query(text) from public, anon, authenticated, service_role;

-- A finding, by its fields.
create or replace function m23.new_finding(
  p_topic text, p_state text, p_finding text, p_advice text default null
) returns m23.finding
language plpgsql immutable set search_path = '' as $$
declare v_finding m23.finding;
begin
  v_finding.topic := p_topic;
  v_finding.state := p_state;
  v_finding.finding := p_finding;
  v_finding.advice := p_advice;
  return v_finding;
end $$;
revoke all on function m23.new_finding(text, text, text, text) from public, anon, authenticated, service_role;

-- Tables that look like a tenant's and are not protected: easy to forget, costly to miss.
create or replace function m23.doctor_unprotected() returns setof m23.finding
language sql stable set search_path = '' as $$
  select m23.public_name(c.oid), 'warning', 'not protected, though it has a column "tenant_id"',
         format('select m23.protect_table(%L)', m23.qualified_name(c.oid))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype
     and not a.attisdropped
   where c.relkind = 'r' and n.nspname not in ('m23', 'm23_log', 'm23_staging', 'auth', 'information_schema')
     and n.nspname not like 'pg\_%'
     and not (n.nspname = 'public'
              and c.relname in ('tenant_members', 'backup_jobs', 'restore_logs', 'pitr_snapshots', 'pitr_rollbacks',
                                'dr_plans', 'recovery_tests', 'health_snapshots', 'audit_log'))
     and not exists (select from public.restore_logs r where r.target_schema = n.nspname)
     and not exists (select from m23.protected_tables t where t.relid = c.oid)
$$;
revoke all on function m23.doctor_unprotected() from public, anon, authenticated, service_role;

-- The copies, and what keeps those that have expired.
create or replace function m23.doctor_copies() returns setof m23.finding
language sql stable set search_path = '' as $$
  select format('copy %s', c.schema_name), case when a.added = '{}' then 'ok' else 'warning' end,
         format('made for tenant %s, %s %s%s', c.tenant_id,
                case when c.expires_at < clock_timestamp() then 'expired' else 'expires' end,
                to_char(c.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
                '; kept by what was added: ' || nullif(array_to_string(a.added, ', '), '')),
         case when a.added <> '{}' then 'move or drop what was added; the copy is dropped once it has expired' end
    from m23.copies c, lateral (select m23.added_to_copy(c)) a (added)
   order by c.expires_at, c.restore_log_id
$$;
revoke all on function m23.doctor_copies() from public, anon, authenticated, service_role;

create or replace function m23.doctor() returns setof m23.finding
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  return query select * from m23.doctor_commit_times()
  union all select * from m23.doctor_log()
  union all select * from m23.doctor_event_trigger()
  union all select * from m23.doctor_triggers()
  union all select 'members', 'warning', 'nobody belongs to a tenant yet, so nobody can call anything',
                   'insert into public.tenant_members (tenant_id, user_id, role) values (…, …, ''owner'')'
             where not exists (select from public.tenant_members) and exists (
               select from pg_proc p where p.oid = 'm23.memberships_of(uuid)'::regprocedure
                 and p.prosrc ~ 'public\.tenant_members')  -- the application's own reads other tables
  union all select * from m23.doctor_members()
  union all select * from m23.doctor_access()
  union all select 'tables', 'warning', 'no table is protected yet', 'select m23.protect_table(''public.your_table'')'
             where not exists (select from m23.protected_tables)
  union all (select (m23.doctor_table(t)).* from m23.protected_tables t order by t.id)
  union all (select * from m23.doctor_unprotected() order by 1)
  union all select * from m23.doctor_paths()
  union all select * from m23.doctor_quoting()
  union all select * from m23.doctor_hooks()
  union all select * from m23.doctor_fills()
  union all select * from m23.doctor_copies()
  union all select * from m23.doctor_service();
end $$;
comment on function m23.doctor() is
  'What is in force (ok), what could be better (warning) and what is broken (problem), with what to do about it: '
  'select * from m23.doctor().';
revoke all on function m23.doctor() from public, anon, authenticated, service_role;
grant execute on function m23.doctor() to service_role;

-- What concerns the service as a whole: versions, crons, plans, tenants, the log's size, alerts.
create or replace function m23.doctor_service() returns setof m23.finding
language sql volatile set search_path = '' as $$
  select * from m23.doctor_versions()
  union all select * from m23.doctor_crons()
  union all select * from m23.doctor_plans()
  union all select * from m23.doctor_fleet()
  union all select * from m23.doctor_log_size()
  union all select * from m23.doctor_alerts()
$$;
revoke all on function m23.doctor_service() from public, anon, authenticated, service_role;

-- Whether somebody is told of alerts.
create or replace function m23.doctor_alerts() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'alerts', case when h.name is null or not h.ok then 'warning' else 'ok' end,
         case when h.name is null then 'nobody is told: no function has a webhook'
              when not h.ok then format('the webhook cannot be used: %s', h.error)
              else format('a webhook is told; %s alerts hold now',
                          (select count(*) from m23.alerts where ended_at is null)) end,
         case when h.name is null or not h.ok
              then 'set the secrets ALERT_WEBHOOK_URL (https) and ALERT_WEBHOOK_SECRET (whsec_…) of the functions with '
                   'a cron trigger; docs/monitoring.md' end
    from (select) one left join m23.heartbeats h on h.name = 'alerts'
  union all
  select 'alerts', 'problem',
         format('%s deliveries were given up; the last one said: %s', count(*),
                (array_agg(f.error order by f.failed_at desc))[1]),
         'select * from m23.failed_alerts(); mend the receiver, then select m23.retry_alerts()'
    from m23.failed_alerts() f having count(*) > 0
$$;
revoke all on function m23.doctor_alerts() from public, anon, authenticated, service_role;

-- Whether the functions' clocks come.
create or replace function m23.doctor_crons() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'cron ' || c.name,
         case when c.late then 'problem' when not c.ok then 'warning' else 'ok' end,
         case when c.late and not c.came then format('late: it has never come, in %s seconds', c.age)
              when c.late then format('late: it came %s seconds ago, and should every minute', c.age)
              when not c.came then 'it has not come yet'
              when not c.ok then format('it came %s seconds ago and failed: %s', c.age, c.error)
              else format('it came %s seconds ago', c.age) end,
         case when c.late
              then format('deploy the function %s with its cron trigger, and look at its log; until then %s', c.name,
                     case c.name when 'backup-create' then 'no plan''s backup begins, and interrupted ones wait'
                                 when 'recovery-test' then 'no plan''s test begins, and interrupted ones wait'
                                 else 'interrupted restores wait, and old log is not dropped' end)
              when not c.ok then format('look at the log of the function %s', c.name) end
    from m23.crons() c order by c.name
$$;
revoke all on function m23.doctor_crons() from public, anon, authenticated, service_role;

-- Tenants without a plan or without a backup that is young enough, and restores that failed.
create or replace function m23.doctor_fleet() returns setof m23.finding
language sql stable set search_path = '' as $$
  with fleet as materialized (select * from m23.fleet())
  select 'backups', 'problem',
         format('the newest good backup of %s tenants is older than their RPO: of %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'select * from m23.overview() where late; read error_message of their newest rows in public.backup_jobs, and '
         'begin one with backup-create'
    from fleet f where f.late having count(*) > 0
  union all
  select 'plans', 'warning',
         format('%s tenants have no active plan, and nothing backs them up by itself: %s', count(*),
                m23.some_of(array_agg(f.tenant_id))),
         'insert a plan for each into public.dr_plans, or set one for all with m23.set_default_plan'
    from fleet f where f.plan is null having count(*) > 0
  union all
  select 'plans', 'warning',
         'no default plan is set: a new tenant is not backed up until somebody makes a plan for it',
         'select m23.set_default_plan(''{"rto_minutes": …, "rpo_minutes": …, "backup_frequency": "daily", '
         '"test_frequency": "weekly"}'')'
   where m23.setting('default_plan') = ''
  union all
  select 'restores', 'warning',
         format('%s restores and rollbacks failed in the last 24 hours: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct r.tenant_id))),
         'read error_message in public.restore_logs and public.pitr_rollbacks: a restore that fails has changed nothing'
    from (select l.tenant_id, l.status, l.completed_at from public.restore_logs l
          union all select b.tenant_id, b.status, b.completed_at from public.pitr_rollbacks b) r
   where r.status = 'failed' and r.completed_at > clock_timestamp() - interval '24 hours' having count(*) > 0
$$;
revoke all on function m23.doctor_fleet() from public, anon, authenticated, service_role;

-- What the doctor says of the application's own functions.

-- The hooks, and whether each can be called.
create or replace function m23.doctor_hooks() returns setof m23.finding
language sql stable set search_path = '' as $$
  select format('hook %I.%I', h.schema_name, h.function_name), case when f.fault is null then 'ok' else 'problem' end,
         coalesce(format('every restore that calls it fails: it %s', f.fault),
                  format('called after a restore changes %s of %s', coalesce(m23.public_name(h.relid), 'any table'),
                         coalesce('tenant ' || h.tenant_id, 'any tenant'))),
         case when f.fault is not null
                then format('make the function, or delete from m23.after_restore_hooks where id = %s', h.id) end
    from m23.after_restore_hooks h,
         lateral (select m23.hook_fault(h.schema_name, h.function_name)) called (fault),
         lateral (select coalesce(called.fault,
                                  case when h.relid is not null and m23.public_name(h.relid) is null
                                       then 'is of a table that was dropped' end)) f (fault)
   order by h.id
$$;
revoke all on function m23.doctor_hooks() from public, anon, authenticated, service_role;

-- The functions that fill columns, and whether each is there.
create or replace function m23.doctor_fills() returns setof m23.finding
language sql stable set search_path = '' as $$
  select format('fill of %s.%I', m23.public_name(t.relid), a.attname),
         case when m23.fill_function(f) is null then 'problem' else 'ok' end,
         case when m23.fill_function(f) is null
              then format('the function %I.%I is gone: '
                          'rows that come back get the default of the column, or are refused',
                          f.schema_name, f.function_name)
              else format('%I.%I gives rows that come back without a value one', f.schema_name, f.function_name) end,
         case when m23.fill_function(f) is null
              then format('make the function again, or select m23.set_fill(%L, %L, null)', m23.qualified_name(t.relid),
                          a.attname) end
    from m23.fills f join m23.protected_tables t on t.id = f.table_id
    join pg_attribute a on a.attrelid = t.relid and a.attnum = f.attnum and not a.attisdropped
   order by 1
$$;
revoke all on function m23.doctor_fills() from public, anon, authenticated, service_role;

-- Members who have no account any more: whoever gets such an id, by a restored backup of the accounts, is one of them.
create or replace function m23.doctor_members() returns setof m23.finding
language plpgsql stable set search_path = '' as $$
declare v_gone record;
begin
  if to_regclass('auth.users') is null or not has_table_privilege('auth.users', 'select') then return; end if;
  execute $q$select count(*) as members, count(distinct m.tenant_id) as tenants, min(m.user_id::text) as one
               from public.tenant_members m
              where not exists (select from auth.users u where u.id = m.user_id)$q$ into v_gone;
  if v_gone.members > 0 then
    return next m23.new_finding('members', 'warning',
      format('%s membership(s) of %s tenant(s) are of users who are no more, such as %s',
             v_gone.members, v_gone.tenants, v_gone.one),
      'delete from public.tenant_members m where not exists (select from auth.users u where u.id = m.user_id)');
  end if;
end $$;
revoke all on function m23.doctor_members() from public, anon, authenticated, service_role;

-- Plans that are overdue or fail.
create or replace function m23.doctor_plans() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'plans', 'problem',
         format('overdue: %s plans have been due for more than %s minutes: of the tenants %s', count(*),
                m23.setting('plan_late_minutes'), m23.some_of(array_agg(distinct p.tenant_id))),
         'see that the cron triggers of backup-create and recovery-test come, and look at their logs'
    from public.dr_plans p
   where p.is_active and least(p.next_backup_date, p.next_test_date)
                         < clock_timestamp() - make_interval(mins => m23.setting('plan_late_minutes')::int)
  having count(*) > 0
  union all
  select 'plans', 'problem',
         format('failing: the last backup of %s plans has failed: of the tenants %s', count(*),
                m23.some_of(array_agg(distinct p.tenant_id))),
         'read error_message in public.backup_jobs; the next due time tries again'
    from public.dr_plans p
    join lateral (select j.status from m23.plan_runs r join public.backup_jobs j on j.id = r.work_id
                   where r.plan_id = p.id and r.kind = 'backup' and j.status in ('completed', 'failed')
                   order by r.due_at desc limit 1) last on last.status = 'failed'
   where p.is_active
  having count(*) > 0
$$;
revoke all on function m23.doctor_plans() from public, anon, authenticated, service_role;

-- What the doctor says of the server and its settings.

-- Whether times mean what was committed then.
create or replace function m23.doctor_commit_times() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'commit times', 'ok', 'native: track_commit_timestamp is on, so a time means exactly what was committed then',
         null::text
   where current_setting('track_commit_timestamp')::boolean
  union all
  select 'commit times', 'warning',
         format('stamped: track_commit_timestamp is off, so the moments to come back to '
                'are about a second apart (%s noted so far)',
                (select count(*) from m23.ticks)),
         'turn track_commit_timestamp on and restart the server; it costs nothing measurable'
   where not current_setting('track_commit_timestamp')::boolean
$$;
revoke all on function m23.doctor_commit_times() from public, anon, authenticated, service_role;

-- Change ids are places in the server's log (WAL). Ticks that lie beyond its present end are of a server that was
-- reset.
create or replace function m23.doctor_log() returns setof m23.finding
language sql volatile set search_path = '' as $$
  select 'log', 'problem',
         format('gap: what was noted until %s lies beyond the present end of the server''s log (WAL): '
                'it was reset, and later changes would come before earlier ones', m23.iso(max(t.at))),
         'unprotect and protect every table again: history begins anew, backups are not affected'
    from m23.ticks t where t.incarnation = (select m23.incarnation()) and t.wal > pg_current_wal_insert_lsn()
  having count(*) > 0
  union all
  select 'locks', 'warning',
         'track_counts is off: a transaction that writes rows of very many tenants takes a lock for each of them, '
         'and can fill the server''s lock table',
         'turn track_counts on; autovacuum needs it as well'
   where current_setting('track_counts') = 'off'
$$;
revoke all on function m23.doctor_log() from public, anon, authenticated, service_role;

-- Whether schema changes are followed.
create or replace function m23.doctor_event_trigger() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'schema changes', case when ok then 'ok' else 'warning' end,
         case when ok
                then 'followed: an event trigger renews the capture after every ALTER TABLE, and for every partition'
              else 'followed by the next write only: there is no enabled event trigger m23_follow_ddl' end,
         case when not ok
                then 'call m23.protect_table again for a table right after another '
                     'primary key, a new partition, or a subscription' end
    from (select exists (select from pg_event_trigger where evtname = 'm23_follow_ddl' and evtenabled <> 'D')) e (ok)
$$;
revoke all on function m23.doctor_event_trigger() from public, anon, authenticated, service_role;

-- Whether a restore can silence triggers.
create or replace function m23.doctor_triggers() returns setof m23.finding
language plpgsql volatile set search_path = '' as $$
declare
  v_before text := current_setting('session_replication_role');
  v_ok     boolean := m23.silence_triggers();
begin
  perform set_config('session_replication_role', v_before, true) where v_ok;
  return next m23.new_finding('restores', case when v_ok then 'ok' else 'warning' end,
    case when v_ok then 'silent: the application''s triggers do not fire while a restore writes'
         else 'this server does not allow session_replication_role: '
              'tables with triggers of their own cannot be restored in place' end,
    case when not v_ok then 'grant set on parameter session_replication_role to the owner of the schema m23' end);
end $$;
revoke all on function m23.doctor_triggers() from public, anon, authenticated, service_role;

-- Schemas that the application's own code does without while its rows are restored: others could plant something there.
create or replace function m23.doctor_paths() returns setof m23.finding
language sql stable set search_path = '' as $$
  select format('search path of %I', pg_get_userbyid(o.relowner)), 'warning',
         format('the schema "%s" is left out of it in backups and restores: %s may create there',
                p.name, p.open),
         format('revoke create on schema %I from %s; else a function of %s that finds something there by name fails',
                p.name, p.open, o.tables)
    from (select c.relowner, string_agg(m23.public_name(c.oid), ', ' order by t.id) as tables
            from m23.protected_tables t join pg_class c on c.oid = t.relid
           where m23.has_own_code(c.oid) group by c.relowner) o,
         m23.path_of_role(o.relowner) p
   where p.open is not null order by 1, p.name
$$;
revoke all on function m23.doctor_paths() from public, anon, authenticated, service_role;

-- What keeps PostgREST from finding functions: the name of a type is quoted then.
create or replace function m23.doctor_quoting() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'PostgREST', 'problem',
         format('it connects as %I with quote_all_identifiers, and so finds no function that takes bytes: '
                'nothing can be restored from an archive', r.rolname),
         format('alter role %I set quote_all_identifiers = off; notify pgrst', r.rolname)
    from pg_roles r where r.rolname = 'authenticator' and m23.setting_of_role(r.oid, 'quote_all_identifiers') = 'on'
$$;
revoke all on function m23.doctor_quoting() from public, anon, authenticated, service_role;

-- What is in force for a protected table, and what to do about it: the worst that there is.
create or replace function m23.doctor_table(p_table m23.protected_tables) returns m23.finding
language plpgsql volatile set search_path = '' as $$
declare
  v_name    text := coalesce(m23.public_name(p_table.relid), p_table.name);
  v_protect text := format('select m23.protect_table(%L)', m23.qualified_name(p_table.relid));
begin
  return case
    when not exists (select from pg_class where oid = p_table.relid)
      then m23.new_finding(v_name, 'problem', 'gap: the table was dropped while it was protected',
        format('its log is kept in %s', m23.log_name(p_table.id)))
    when p_table.incarnation <> m23.incarnation()
      then m23.new_finding(v_name, 'problem',
        'gap: its history belongs to another life of this database, which was restored or copied since',
        'unprotect and protect it again: history begins anew, backups are not affected')
    when (m23.obstacle_of(p_table)).kind is not null
      then m23.new_finding(v_name, 'problem',
        'gap: capture is suspended: the table ' || (m23.obstacle_of(p_table)).sentence,
        (m23.obstacle_of(p_table)).advice || '; capture goes on by itself then, and its history begins anew')
    when p_table.suspended is not null
      then m23.new_finding(v_name, 'problem',
        format('gap: capture was suspended: %s; what was changed meanwhile is unknown', p_table.suspended),
        format('the upkeep renews it within a minute, or %s; history begins anew then', v_protect))
    when m23.missing_triggers(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        format('gap: changes may go unseen, because these triggers are missing or not enabled always: %s',
               array_to_string(m23.missing_triggers(p_table), ', ')),
        v_protect)
    when m23.capture_fault(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        'gap: ' || m23.capture_fault(p_table) || '; what was changed meanwhile is unknown',
        format('%s; its history begins anew then', v_protect))
    when m23.drifted_columns(p_table) is not null
      then m23.new_finding(v_name, 'problem',
        format('the capture does not know the present shape of: %s',
               array_to_string(m23.drifted_columns(p_table), ', ')),
        v_protect)
    else m23.new_finding(v_name, 'ok',
      format('protected since %s by the column "%s"; log of %s%s',
             to_char(p_table.protected_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
             m23.tenant_column(p_table),
             pg_size_pretty((select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits i
                              where i.inhparent = m23.log_name(p_table.id)::regclass)),
             m23.lost_partitions(p_table))
        || case when m23.is_subscribed(p_table.relid)
                then '; a subscription writes to it, and its rows are captured, too' else '' end) end;
end $$;
revoke all on function m23.doctor_table(m23.protected_tables) from public, anon, authenticated, service_role;

-- The partitions of a table that were dropped with their rows, as the doctor says it.
create or replace function m23.lost_partitions(p_table m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select '; partitions were dropped, whose rows of before cannot come back: '
                 || string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id)
            from m23.removed_partitions r where r.table_id = p_table.id and r.lost);
end $$;
revoke all on function m23.lost_partitions(m23.protected_tables) from public, anon, authenticated, service_role;

-- Whether database, functions and the history of migrations are of one release.
create or replace function m23.doctor_versions() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'versions',
         case when not others.work then 'problem' when others.names is not null then 'warning' else 'ok' end,
         format('the database is of release %s', m23.version()) || case
           when others.names is not null then ', and of another are the functions ' || others.names
             || case when others.work then ', which work with it' else ', whose calls are refused' end
           when others.known then ', as are the functions'
           else '; no function has said its own yet' end,
         case when others.names is not null
              then 'deploy the functions of the release that the migrations are of, or push the migrations of the '
                   'functions'' release' end
    from (select string_agg(format('%s (%s)', c.name, c.version), ', ' order by c.name)
                   filter (where c.version <> m23.version()),
                 coalesce(bool_and(m23.works_with(c.version)) filter (where c.version is not null), true),
                 bool_or(c.version is not null)
            from m23.crons() c) others (names, work, known)
  union all
  select 'versions', 'warning',
         format('the history of migrations does not have %s, which is in force', m23.newest_migration()),
         format('supabase migration repair --status applied %s; else the next push applies it once more',
                m23.newest_migration())
   where not m23.history_has_migration()
$$;
revoke all on function m23.doctor_versions() from public, anon, authenticated, service_role;

-- Every tenant as it stands, in a few passes over whole tables: none looks at one tenant after the other, but for the
-- newest score, which an index has.
create or replace function m23.fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text, rank int)
language sql stable rows 1000 set search_path = '' as $$
  with tenant as materialized (select t.tenant_id as id, t.tenant_id as key, t.name
                                 from m23.tenants() t),
    backup (id, at) as (
      select j.tenant_id, max(least(w.position_at, j.completed_at))
        from public.backup_jobs j left join m23.backup_work w on w.job_id = j.id
       where j.status = 'completed' and j.deleted_at is null group by 1),
    promise (id, rpo, since, plan) as (
      select p.tenant_id, min(p.rpo_minutes), min(p.created_at),
             (array_agg(p.plan_name order by p.rpo_minutes, p.created_at))[1]
        from public.dr_plans p where p.is_active group by 1),
    work (id, status, at) as (
      select j.tenant_id, j.status, j.completed_at from public.backup_jobs j
      union all select r.tenant_id, r.status, r.completed_at from public.restore_logs r
      union all select r.tenant_id, r.status, r.completed_at from public.pitr_rollbacks r
      union all select t.tenant_id, t.status, t.completed_at from public.recovery_tests t),
    busy (id, running, failed) as (
      select w.id, count(*) filter (where w.status = 'in_progress'), count(*) filter (where w.status = 'failed')
        from work w
       where w.status = 'in_progress' or w.status = 'failed' and w.at > clock_timestamp() - interval '24 hours'
       group by 1),
    proof (id, at) as (select p.tenant_id, max(p.at) from m23.proofs p group by 1),
    gap (count) as (
      select (select count(*) from m23.gaps g
               where g.until > clock_timestamp() - make_interval(days => m23.setting('log_days')::int))
           + (select count(*) from m23.protected_tables t where t.suspended is not null)),
    standing as (
      select t.key, t.name, b.at as backup_at, p.rpo, p.plan, f.at as proof_at, s.score,
             coalesce(w.running, 0) as running, coalesce(w.failed, 0) as failed,
             coalesce(greatest(b.at, p.since) < clock_timestamp() - make_interval(mins => p.rpo), false) as late
        from tenant t
        left join backup b using (id) left join promise p using (id)
        left join busy w using (id) left join proof f using (id)
        left join lateral (select h.score from public.health_snapshots h where h.tenant_id = t.id
                            order by h.created_at desc limit 1) s on true)
  select s.key, s.name, s.backup_at, s.rpo, s.late, s.proof_at, s.score, s.running::int, s.failed::int, g.count::int,
         s.plan,
         ('{no backup,late backup,failed work,no plan,low score,no proof,gaps}'::text[])[w.rank],
         case w.rank
           when 1 then format('no backup was completed; the plan "%s" promises one of the last %s minutes',
                              s.plan, s.rpo)
           when 2 then format('the newest backup is of %s; the plan "%s" promises one of the last %s minutes',
                              m23.iso(s.backup_at), s.plan, s.rpo)
           when 3 then format('%s backups, restores, rollbacks or tests failed in the last 24 hours', s.failed)
           when 4 then 'no active plan says when it is backed up'
           when 5 then format('its health is %s; below 70 is a reason to look', s.score)
           when 6 then 'no restore has proved a backup'
           when 7 then format('%s gaps in the log keep earlier moments out of reach', g.count) end,
         w.rank
    from standing s cross join gap g
    cross join lateral (
      select case when s.late and s.backup_at is null then 1 when s.late then 2 when s.failed > 0 then 3
                  when s.plan is null then 4 when s.score < 70 then 5 when s.proof_at is null then 6
                  when g.count > 0 then 7 else 8 end) w (rank)
   order by w.rank, s.score nulls first, s.backup_at nulls first, s.key
$$;
revoke all on function m23.fleet() from public, anon, authenticated, service_role;

-- How many of a tenant's keys ($1) were deleted since a time ($2) and have not come back by now ($3). No transaction
-- below $4 matters.
create or replace function m23.gone_query(p_table m23.protected_tables, p_part text) returns text
language sql stable set search_path = '' as $outer$
  select m23.fill($sql$
    select count(*) from (
      select from {part} l
       where l.tenant_id = {tenant} and l.xid >= $4 and pg_visible_in_snapshot(l.xid, $3)
         and coalesce({at}, clock_timestamp()) >= $2
       group by {key}
      having bool_or(l.op = 'D')
         and sum(case when l.op in ('I', 'n', 'a') then 1 when l.op in ('D', 'o', 'l') then -1 else 0 end) < 0
      ) gone$sql$,
    'part', p_part, 'at', m23.committed_at(),
    'tenant', m23.tenant_value(p_table, '$1'),
    'key', (select string_agg('l.' || m23.log_field(p_table, c.attnum), ', ' order by c.key_ord)
              from m23.columns_of(p_table.relid, p_of_key => true) c))
$outer$;
revoke all on function m23.gone_query(m23.protected_tables, text) from public, anon, authenticated, service_role;

-- The size of all logs, and how much was logged in a day of the last seven.
create or replace function m23.log_size(out bytes bigint, out a_day bigint)
language plpgsql stable set search_path = '' as $$
begin
  select coalesce(sum(pg_total_relation_size(c.oid)), 0) into bytes
    from pg_class c where c.relnamespace = 'm23_log'::regnamespace and c.relkind = 'r';
  select coalesce(sum(pg_total_relation_size(to_regclass(m23.log_name(p.table_id) || '_' || p.part)))
                  / greatest(1, extract(epoch from clock_timestamp() - min(p.opened_at)) / 86400), 0) into a_day
    from m23.log_parts p where p.opened_at > clock_timestamp() - interval '7 days';
end $$;
revoke all on function m23.log_size() from public, anon, authenticated, service_role;

-- How large all logs are and how they grow, against their cap.
create or replace function m23.doctor_log_size() returns setof m23.finding
language sql stable set search_path = '' as $$
  select 'log size',
         case when s.bytes > cap.bytes * 0.8 then 'problem' when week.bytes > cap.bytes then 'warning' else 'ok' end,
         format('all logs have %s, and grow by %s a day; the cap is %s', pg_size_pretty(s.bytes),
                pg_size_pretty(s.a_day), pg_size_pretty(cap.bytes)),
         case when week.bytes > cap.bytes or s.bytes > cap.bytes * 0.8
              then 'give the disk more room and raise log_cap_bytes in m23.settings, or keep less: log_days, and '
                   'snapshots that are not needed' end
    from m23.log_size() s, (select m23.setting('log_cap_bytes')::bigint) cap (bytes),
         lateral (select s.bytes + s.a_day * 7) week (bytes)
$$;
revoke all on function m23.doctor_log_size() from public, anon, authenticated, service_role;

-- The parts of logs that have grown since they were last searched, the longest unsearched first.
create or replace function m23.grown_parts() returns setof m23.grown_part
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
revoke all on function m23.grown_parts() from public, anon, authenticated, service_role;

-- Whether so many deleted rows are more than the setting says of those that a tenant had. What is there now is counted
-- as far as it matters.
create or replace function m23.is_mass(p_table m23.protected_tables, p_tenant text, p_gone bigint) returns boolean
language plpgsql stable set search_path = '' as $$
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
revoke all on function m23.is_mass(m23.protected_tables, text, bigint) from public, anon, authenticated, service_role;

-- The last moment before a transaction, as callers write it: where commit times are native the microsecond before its
-- own, else the last tick that does not see it.
create or replace function m23.moment_before(p_xid xid8, p_at timestamptz) returns text
language sql stable set search_path = '' as $$
  select m23.iso(case when m23.commit_times_are_native() then p_at - interval '1 microsecond'
                      else (select max(k.at) from m23.ticks k where k.incarnation = (select m23.present_life())
                               and not pg_visible_in_snapshot(p_xid, k.position)) end)
$$;
revoke all on function m23.moment_before(xid8, timestamptz) from public, anon, authenticated, service_role;

-- A position of a minute before the last look, or earlier: a minute may lie across two looks.
create or replace function m23.look_from(p_look m23.delete_looks) returns pg_snapshot
language sql stable set search_path = '' as $$
  select coalesce((select k.position from m23.ticks k
                    where k.incarnation = p_look.incarnation and k.at <= p_look.seen_at - interval '1 minute'
                    order by k.at desc limit 1), '1:1:')
$$;
revoke all on function m23.look_from(m23.delete_looks) from public, anon, authenticated, service_role;

-- Notes up to where a part of a log has been searched.
create or replace function m23.note_look(p_part m23.grown_part, p_now pg_snapshot) returns void
language sql volatile set search_path = '' as $$
  insert into m23.delete_looks (table_id, part, incarnation, seen, inserted)
    values ((p_part.tbl).id, p_part.part, m23.incarnation(), p_now, p_part.inserted)
    on conflict (table_id, part) do update
      set incarnation = excluded.incarnation, seen = excluded.seen, seen_at = excluded.seen_at,
          inserted = excluded.inserted
$$;
revoke all on function m23.note_look(m23.grown_part, pg_snapshot) from public, anon, authenticated, service_role;

-- The jobs of the clock, with the seconds since they last came. One that never has is as old as M23 here.
create or replace function m23.crons()
returns table (name text, age numeric, late boolean, ok boolean, error text, version text, came boolean)
language sql stable rows 4 set search_path = '' as $$
  select h.name, round(greatest(s.age, 0)), s.age > m23.setting('cron_late_minutes')::numeric * 60,
         h.ok, h.error, h.version, h.begun_at is not null
    from m23.heartbeats h,
         lateral (select extract(epoch from clock_timestamp() - coalesce(h.begun_at, h.since))) s (age)
   where h.expected
$$;
revoke all on function m23.crons() from public, anon, authenticated, service_role;

create or replace function m23.overview()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text)
language plpgsql stable security definer rows 1000 set search_path = '' set row_security = off as $$
begin
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan
    from m23.fleet() f;
end $$;
comment on function m23.overview() is 'How every tenant stands, the worst first: select * from m23.overview().';
revoke all on function m23.overview() from public, anon, authenticated, service_role;
grant execute on function m23.overview() to service_role;

-- A few of many, for a sentence.
create or replace function m23.some_of(p_names text[]) returns text
language sql immutable set search_path = '' as $$
  select array_to_string(p_names[1:5], ', ')
      || case when cardinality(p_names) > 5 then format(' and %s more', cardinality(p_names) - 5) else '' end
$$;
revoke all on function m23.some_of(text[]) from public, anon, authenticated, service_role;

-- What the history of migrations says; null where there is none, or it cannot be read.
create or replace function m23.history_has_migration() returns boolean
language plpgsql stable set search_path = '' as $$
declare v_has boolean;
begin
  if to_regclass('supabase_migrations.schema_migrations') is null then return null; end if;
  execute 'select exists (select from supabase_migrations.schema_migrations where version = $1)'
    into v_has using m23.newest_migration();
  return v_has;
exception when insufficient_privilege then return null;
end $$;
revoke all on function m23.history_has_migration() from public, anon, authenticated, service_role;

-- What was told already is not told again, unless it was a small part of this.
create or replace function m23.note_mass_delete(
  p_part m23.grown_part, p_tenant text, p_first xid8, p_since timestamptz, p_until timestamptz, p_rows bigint)
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
revoke all on function m23.note_mass_delete(m23.grown_part, text, xid8, timestamptz, timestamptz, bigint) from public,
  anon, authenticated, service_role;

-- Begins the alerts whose condition holds by now, and ends those whose condition does not any more.
create or replace function m23.renew_alerts() returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_hold m23.condition[] := array(
    select c from m23.conditions_of_tenants() c union all select c from m23.conditions_of_backups() c
    union all select c from m23.conditions_of_tests() c union all select c from m23.conditions_of_service() c);
begin
  update m23.alerts a set ended_at = clock_timestamp()
   where a.ended_at is null and (a.kind, a.subject) not in (select c.kind, c.subject from unnest(v_hold) c);
  insert into m23.alerts (kind, subject, tenant_id, summary, detail)
    select c.kind, c.subject, c.tenant_id, c.summary, coalesce(c.detail, '{}') from unnest(v_hold) c
    on conflict (kind, subject) where ended_at is null do nothing;
  perform m23.note_gaps();
  delete from m23.alerts where ended_at < clock_timestamp() - make_interval(days => m23.setting('alert_days')::int);
end $$;
revoke all on function m23.renew_alerts() from public, anon, authenticated, service_role;

-- Searches what has grown, what waits longest first, and begins no part after some seconds: the rest comes next time.
-- The very first look only notes where the logs end.
create or replace function m23.search_deletes(p_budget interval default '5 seconds') returns int
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
revoke all on function m23.search_deletes(interval) from public, anon, authenticated, service_role;

-- It waits for no lock: what somebody alters meanwhile is searched the next time. What takes longer than the call may,
-- as the log of a long outage could, is passed over: it would keep all others from being searched.
create or replace function m23.search_part(p_part m23.grown_part, p_now pg_snapshot) returns boolean
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
revoke all on function m23.search_part(m23.grown_part, pg_snapshot) from public, anon, authenticated, service_role;

create or replace function public.adopt_backup(p_manifest jsonb, p_object text, p_sha256 text) returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_id uuid := m23.adopt_backup(p_manifest, p_object, p_sha256);
begin
  perform m23.audit_done((select j.tenant_id from public.backup_jobs j where j.id = v_id), 'adopt_backup',
                         jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.adopt_backup(jsonb, text, text) is
  'For administrators, with the service key: m23.adopt_backup.';
revoke all on function public.adopt_backup(jsonb, text, text) from public, anon, authenticated, service_role;
grant execute on function public.adopt_backup(jsonb, text, text) to service_role;
select m23.pin_text('public.adopt_backup(jsonb, text, text)');

create or replace function public.calculate_health_score(p_tenant_id text, p_days_back int default 30) returns numeric
language sql volatile security definer set search_path = '' set row_security = off as
$$ select (public.get_health(p_tenant_id, p_days_back) ->> 'score')::numeric $$;
comment on function public.calculate_health_score(text, int) is
  'The score of get_health: 0 to 100; below 70 is a reason to alert.';
revoke all on function public.calculate_health_score(text, int) from public, anon, authenticated, service_role;
grant execute on function public.calculate_health_score(text, int) to authenticated, service_role;
select m23.pin_text('public.calculate_health_score(text, int)');

-- What a restore to a time would change; with a second time, what changed between the two.
create or replace function public.calculate_pitr_stats(
  p_tenant_id text, p_target_timestamp timestamptz, p_base_backup_timestamp timestamptz default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as
$$
declare
  v_tables  text[] := m23.restored_tables(null);
  v_targets m23.target[];
  v_moment  m23.moment;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  perform m23.begin_heavy_read(p_tenant_id, 'stats');
  v_moment := m23.requested_moment(p_tenant_id, p_target_timestamp, v_tables);
  v_targets := m23.logged_targets(v_tables, v_moment);
  if p_base_backup_timestamp is null then
    perform m23.plan_all(p_tenant_id, v_targets);
  else
    perform m23.plan_between(p_tenant_id, v_targets,
                             m23.requested_moment(p_tenant_id, p_base_backup_timestamp, v_tables));
  end if;
  return (select jsonb_build_object('total_operations', s -> 'totalOperations', 'insert_count', s -> 'insertCount',
                                    'update_count', s -> 'updateCount',
                                    'delete_count', s -> 'deleteCount', 'affected_tables', s -> 'affectedTables')
            from (select m23.plan_report('{}') -> 'stats') x (s));
end $$;
comment on function public.calculate_pitr_stats(text, timestamptz, timestamptz) is
  'Net row changes that a restore to p_target_timestamp would make, or, with p_base_backup_timestamp, that lead from '
  'that time to the target.';
revoke all on function public.calculate_pitr_stats(text, timestamptz, timestamptz) from public, anon, authenticated,
  service_role;
grant execute on function public.calculate_pitr_stats(text, timestamptz, timestamptz) to authenticated, service_role;
select m23.pin_text('public.calculate_pitr_stats(text, timestamptz, timestamptz)');

create or replace function public.cancel_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_job public.backup_jobs;
begin
  -- Its worker takes the lease before the job: taken the other way round, the two would wait for each other.
  perform from m23.leases l join public.backup_jobs j on j.id = l.work_id
    where l.work_id = p_backup_id and m23.is_member(j.tenant_id) for update of l;
  v_job := m23.backup_for(p_backup_id, array['owner', 'admin', 'operator']);
  if v_job.status not in ('pending', 'in_progress') then return false; end if;
  perform m23.fail_backup(v_job.id, 'cancelled by ' || coalesce(auth.uid()::text, 'the service key'));
  perform m23.audit_done(v_job.tenant_id, 'cancel_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.cancel_backup(uuid) is
  'Ends a backup that waits or runs, as failed; true if it did. Its worker stops at the next step. '
  'Owner, admin and operator.';
revoke all on function public.cancel_backup(uuid) from public, anon, authenticated, service_role;
grant execute on function public.cancel_backup(uuid) to authenticated, service_role;
select m23.pin_text('public.cancel_backup(uuid)');

create or replace function public.cancel_restore(p_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_tenant text := (select w.tenant_id from m23.restore_work w where w.work_id = p_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null then return false; end if;
  perform m23.require_role(v_tenant, array['owner', 'admin']);
  insert into m23.cancellations (work_id, by)
    values (p_id, coalesce(auth.uid(), '00000000-0000-0000-0000-000000000000')) on conflict do nothing;
  perform m23.audit_done(v_tenant, 'cancel_restore', jsonb_build_object('id', p_id));
  return true;
end $$;
comment on function public.cancel_restore(uuid) is
  'Asks a running restore or rollback to stop before its commit; true if it was running. '
  'Its log row ends as cancelled. Owner and admin.';
revoke all on function public.cancel_restore(uuid) from public, anon, authenticated, service_role;
grant execute on function public.cancel_restore(uuid) to authenticated, service_role;
select m23.pin_text('public.cancel_restore(uuid)');

create or replace function public.create_pitr_snapshot(
  p_tenant_id text, p_snapshot_name text, p_affected_tables text[], p_created_by uuid,
  p_restore_log_id uuid default null
) returns uuid
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[];
  v_id     uuid;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  perform m23.require_self(p_created_by, 'p_created_by');
  v_faults := m23.table_faults(p_affected_tables)
    || case when p_affected_tables = '{}' then array['p_affected_tables: is empty; leave it out for all tables']
            else '{}' end;
  if p_restore_log_id is not null
     and not exists (select from public.restore_logs where id = p_restore_log_id and tenant_id = p_tenant_id) then
    v_faults := v_faults || 'p_restore_log_id: no such restore in this tenant'::text;
  end if;
  if coalesce(char_length(p_snapshot_name), 0) not between 1 and 200 then
    v_faults := v_faults || 'p_snapshot_name: must have 1 to 200 characters'::text;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the snapshot cannot be made as asked', v_faults);
  end if;
  v_id := m23.new_snapshot(p_tenant_id, p_snapshot_name, 'manual',
    m23.public_names(m23.chosen_tables(p_affected_tables, false)), p_created_by, p_restore_log_id);
  perform m23.audit_done(p_tenant_id, 'create_pitr_snapshot', jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.create_pitr_snapshot(text, text, text[], uuid, uuid) is
  'A manual snapshot of this moment, for pitr-rollback; p_affected_tables null means every protected table. '
  'Owner, admin, operator.';
revoke all on function public.create_pitr_snapshot(text, text, text[], uuid, uuid) from public, anon, authenticated,
  service_role;
grant execute on function public.create_pitr_snapshot(text, text, text[], uuid, uuid) to authenticated, service_role;
select m23.pin_text('public.create_pitr_snapshot(text, text, text[], uuid, uuid)');

create or replace function public.delete_backup(p_backup_id uuid) returns timestamptz
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_job    public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_needed text := m23.needed_because(v_job);
begin
  if v_job.deleted_at is null then
    if v_needed is not null then
      perform m23.refuse('VALIDATION_FAILED', 'this backup cannot be deleted', array['p_backup_id: ' || v_needed]);
    end if;
    update public.backup_jobs set deleted_at = clock_timestamp() where id = v_job.id
      returning deleted_at into v_job.deleted_at;
    perform m23.audit_done(v_job.tenant_id, 'delete_backup', jsonb_build_object('id', v_job.id));
  end if;
  return v_job.deleted_at + m23.backup_grace_period();
end $$;
comment on function public.delete_backup(uuid) is
  'Deletes a backup, and gives the time from which its objects are gone; until then keep_backup takes it back. '
  'Owner and admin.';
revoke all on function public.delete_backup(uuid) from public, anon, authenticated, service_role;
grant execute on function public.delete_backup(uuid) to authenticated, service_role;
select m23.pin_text('public.delete_backup(uuid)');

create or replace function public.drop_restore_copy(p_restore_log_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_copy m23.copies;
  v_kept text[];
begin
  perform m23.refuse_anonymous();
  select * into v_copy from m23.copies where restore_log_id = p_restore_log_id for update;
  if v_copy.tenant_id is null or not m23.is_member(v_copy.tenant_id) then
    perform m23.refuse('VALIDATION_FAILED', 'the copy cannot be dropped',
                       array['p_restore_log_id: no such copy in this tenant']);
  end if;
  perform m23.require_role(v_copy.tenant_id, array['owner', 'admin']);
  v_kept := m23.drop_copy(v_copy);
  perform m23.audit_done(v_copy.tenant_id, 'drop_restore_copy',
                         jsonb_build_object('id', p_restore_log_id, 'dropped', v_kept = '{}'));
  return jsonb_build_object('dropped', v_kept = '{}', 'schema', v_copy.schema_name, 'kept_by', to_jsonb(v_kept));
end $$;
comment on function public.drop_restore_copy(uuid) is
  'Drops the copy that a restore with targetSchema has made. Gives {"dropped", "schema", "kept_by"}: '
  'what others have added keeps the copy. Owner and admin.';
revoke all on function public.drop_restore_copy(uuid) from public, anon, authenticated, service_role;
grant execute on function public.drop_restore_copy(uuid) to authenticated, service_role;
select m23.pin_text('public.drop_restore_copy(uuid)');

create or replace function public.erase_archive_key(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_keys int;
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'nothing was erased', array['p_tenant_id: is required']);
  end if;
  p_tenant_id := m23.tenant_key(p_tenant_id);
  perform m23.lock_keys(p_tenant_id);
  insert into m23.key_erasures (tenant_id) values (p_tenant_id) on conflict do nothing;
  update m23.archive_keys set erased_at = clock_timestamp(), retired_at = coalesce(retired_at, clock_timestamp())
   where tenant_id = p_tenant_id and erased_at is null;
  get diagnostics v_keys = row_count;
  perform m23.audit_done(p_tenant_id, 'erase_archive_key', jsonb_build_object('keys', v_keys));
  return jsonb_build_object('tenant_id', p_tenant_id, 'prefix', m23.keys_prefix(p_tenant_id), 'keys', v_keys,
                            'status', 'pending');
end $$;
comment on function public.erase_archive_key(text) is
  'Has the key objects of a tenant deleted from the store within a minute, for good: '
  'no encrypted archive of it can be read any more, and a later backup gets a new key. '
  'Gives {"tenant_id", "prefix", "keys", "status"}. Only for the service key.';
revoke all on function public.erase_archive_key(text) from public, anon, authenticated, service_role;
grant execute on function public.erase_archive_key(text) to service_role;
select m23.pin_text('public.erase_archive_key(text)');

-- The rollback in one call, for supabase.rpc. It is counted in the window of pitr-rollback.
create or replace function public.execute_pitr_rollback(
  p_snapshot_id uuid, p_initiated_by uuid, p_reason text default null
) returns uuid
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as
$$
declare
  v_tenant  text := (select s.tenant_id from public.pitr_snapshots s where s.id = p_snapshot_id);
  v_begun   json;
  v_outcome json;
begin
  if not m23.is_service() then
    perform m23.refuse_anonymous();
    if not m23.is_member(v_tenant) then
      perform m23.refuse('SNAPSHOT_NOT_FOUND', 'no such active snapshot in this tenant');
    end if;
    perform m23.require_role(v_tenant, array['owner', 'admin']);
    perform m23.require_self(p_initiated_by, 'p_initiated_by');
    if char_length(p_reason) > 2000 then
      perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
                         array['p_reason: must have at most 2000 characters']);
    end if;
    perform m23.count_call(v_tenant, auth.uid(), 'pitr-rollback');
  end if;
  v_begun := m23.begin_rollback(v_tenant, p_snapshot_id, p_initiated_by, p_reason, null);
  v_outcome := public.m23_execute_restore((v_begun ->> 'work_id')::uuid, (v_begun ->> 'lease')::uuid);
  if v_outcome -> 'error' is not null then
    perform m23.refuse(v_outcome -> 'error' ->> 'code', v_outcome -> 'error' ->> 'message',
                       m23.list_of((v_outcome -> 'error' -> 'details')::jsonb));
  end if;
  perform m23.audit_done(v_tenant, 'execute_pitr_rollback',
                         jsonb_build_object('id', v_begun ->> 'work_id', 'snapshot_id', p_snapshot_id));
  return (v_begun ->> 'work_id')::uuid;
end $$;
comment on function public.execute_pitr_rollback(uuid, uuid, text) is
  'Rolls back to a snapshot and gives the rollback''s id. Owner and admin; counted with pitr-rollback.';
revoke all on function public.execute_pitr_rollback(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.execute_pitr_rollback(uuid, uuid, text) to authenticated, service_role;
select m23.pin_text('public.execute_pitr_rollback(uuid, uuid, text)');

-- The same for supabase.rpc, with the service key alone.
create or replace function public.forget_tenant(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as
$$
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'no tenant can be forgotten', array['p_tenant_id: is required']);
  end if;
  return m23.forget_tenant(p_tenant_id);
exception
  when object_in_use then perform m23.refuse('UNAVAILABLE', sqlerrm || '; nothing was removed, try again');
  when dependent_objects_still_exist
    then perform m23.refuse('VALIDATION_FAILED', 'the tenant cannot be forgotten; nothing was removed',
                            array['p_tenant_id: ' || sqlerrm]);
end $$;
comment on function public.forget_tenant(text) is
  'Removes everything that M23 keeps of a tenant, for good; see m23.forget_tenant. Service key only.';
revoke all on function public.forget_tenant(text) from public, anon, authenticated, service_role;
grant execute on function public.forget_tenant(text) to service_role;
select m23.pin_text('public.forget_tenant(text)');

create or replace function public.get_active_pitr_snapshots(p_tenant_id text)
returns table (snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz, created_by uuid,
               expires_at timestamptz, affected_tables text[], restore_log_id uuid)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select s.id, s.snapshot_name, s.snapshot_type, s.created_at, s.created_by, s.expires_at,
                      s.affected_tables, s.restore_log_id
    from public.pitr_snapshots s
   where s.tenant_id = p_tenant_id and s.status = 'active'
     and (s.expires_at is null or s.expires_at > clock_timestamp())
     and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text
     and not exists (select from m23.protected_tables t join pg_class c on c.oid = t.relid
                      where s.snapshot_data -> 'table_ids' @> to_jsonb(t.id)
                        and not pg_visible_in_snapshot(t.xid, (s.snapshot_data ->> 'position')::pg_snapshot))
   order by s.created_at desc, s.id;
end $$;
comment on function public.get_active_pitr_snapshots(text) is 'The snapshots that can be rolled back to, newest first.';
revoke all on function public.get_active_pitr_snapshots(text) from public, anon, authenticated, service_role;
grant execute on function public.get_active_pitr_snapshots(text) to authenticated, service_role;
select m23.pin_text('public.get_active_pitr_snapshots(text)');

create or replace function public.get_audit_log(p_tenant_id text, p_before bigint default null, p_limit int default 100)
returns table (seq bigint, created_at timestamptz, action text, actor uuid, request_id uuid, from_address text,
               user_agent text, outcome text, status int, code text, ended_at timestamptz, detail jsonb)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner']);
  return query
    (select null::bigint, r.since, r.action, r.actor, r.request_id, r.from_address, r.user_agent, r.event, r.status,
            r.code, null::timestamptz, m23.refusal_detail(r)
       from m23.refusals r where r.tenant_id = p_tenant_id and p_before is null order by r.since desc)
    union all
    (select a.seq, a.created_at, a.action, a.actor, a.request_id, a.from_address, a.user_agent,
           case when a.event <> 'begun' then a.event when e.seq is not null then 'ended'
                else 'no outcome was recorded' end,
           coalesce(e.status, a.status), coalesce(e.code, a.code), e.created_at, a.detail
      from public.audit_log a
      left join public.audit_log e on a.event = 'begun' and e.tenant_id = a.tenant_id and e.request_id = a.request_id
       and e.event = 'ended'
     where a.tenant_id = p_tenant_id and a.event <> 'ended' and (p_before is null or a.seq < p_before)
     order by a.seq desc limit least(greatest(p_limit, 1), 1000));
end $$;
comment on function public.get_audit_log(text, bigint, int) is
  'The calls of a tenant, newest first, each with its outcome; the next page begins before the last seq. Refusals of '
  'the present minute come first, without a seq. Owner.';
revoke all on function public.get_audit_log(text, bigint, int) from public, anon, authenticated, service_role;
grant execute on function public.get_audit_log(text, bigint, int) to authenticated, service_role;
select m23.pin_text('public.get_audit_log(text, bigint, int)');

create or replace function public.get_backup_chain(p_backup_id uuid) returns setof public.backup_jobs
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_tenant text := (select j.tenant_id from public.backup_jobs j where j.id = p_backup_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null or not m23.is_member(v_tenant) then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  return query select * from m23.chain_of(p_backup_id);
end $$;
comment on function public.get_backup_chain(uuid) is
  'The chain of a backup: the full one first, then its incrementals up to this one.';
revoke all on function public.get_backup_chain(uuid) from public, anon, authenticated, service_role;
grant execute on function public.get_backup_chain(uuid) to authenticated, service_role;
select m23.pin_text('public.get_backup_chain(uuid)');

create or replace function public.get_backup_statistics(p_tenant_id text, p_days_back int default 30) returns jsonb
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return (select jsonb_build_object(
      'total_backups', count(*), 'successful_backups', count(*) filter (where status = 'completed'),
      'failed_backups', count(*) filter (where status = 'failed'),
      'total_size_bytes', coalesce(sum(backup_size_bytes) filter (where status = 'completed'), 0),
      'avg_duration_seconds', coalesce(round(avg(duration_seconds) filter (where status = 'completed'), 3), 0))
    from public.backup_jobs
   where tenant_id = p_tenant_id
     and created_at > now() - make_interval(days => greatest(0, least(p_days_back, 36500))));
end $$;
comment on function public.get_backup_statistics(text, int) is
  'The backups of the last days in figures: how many, how they ended, bytes stored, and seconds on average.';
revoke all on function public.get_backup_statistics(text, int) from public, anon, authenticated, service_role;
grant execute on function public.get_backup_statistics(text, int) to authenticated, service_role;
select m23.pin_text('public.get_backup_statistics(text, int)');

create or replace function public.get_current_tenant() returns text
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  perform m23.refuse_anonymous();
  return m23.caller_tenant();
end $$;
comment on function public.get_current_tenant() is
  'The caller''s tenant, for calls that want it named; null for a user of none, or of several with none picked.';
revoke all on function public.get_current_tenant() from public, anon, authenticated, service_role;
grant execute on function public.get_current_tenant() to authenticated, service_role;
select m23.pin_text('public.get_current_tenant()');

create or replace function public.get_doctor() returns table (topic text, state text, finding text, advice text)
language plpgsql volatile security definer rows 20 set search_path = '' set row_security = off as $$
begin
  perform m23.require_platform();
  return query select d.topic, d.state, d.finding, d.advice from m23.doctor() d;
end $$;
comment on function public.get_doctor() is
  'What m23.doctor() says. The platform''s operator (app_metadata.m23_platform) and the service key.';
revoke all on function public.get_doctor() from public, anon, authenticated, service_role;
grant execute on function public.get_doctor() to authenticated, service_role;
select m23.pin_text('public.get_doctor()');

create or replace function public.get_fleet()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text,
               worst text, why text)
language plpgsql stable security definer rows 1000 set search_path = '' set row_security = off as $$
begin
  perform m23.require_platform();
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan, f.worst, f.why
    from m23.fleet() f;
end $$;
comment on function public.get_fleet() is
  'How every tenant stands, the worst first, with what is worst in words. For the platform''s operator '
  '(app_metadata.m23_platform) and the service key.';
revoke all on function public.get_fleet() from public, anon, authenticated, service_role;
grant execute on function public.get_fleet() to authenticated, service_role;
select m23.pin_text('public.get_fleet()');

create or replace function public.get_health(p_tenant_id text, p_days_back int default 30) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return m23.health(p_tenant_id, coalesce(p_days_back, 30));
end $$;
comment on function public.get_health(text, int) is
  'How well a tenant could be brought back: {"score", "healthy", "daysBack", "parts", "capped"?}. '
  'Looks at the last p_days_back days.';
revoke all on function public.get_health(text, int) from public, anon, authenticated, service_role;
grant execute on function public.get_health(text, int) to authenticated, service_role;
select m23.pin_text('public.get_health(text, int)');

-- The dry run of pitr-restore without a call: it is not counted. p_selection: the fields of its body that choose.
create or replace function public.get_pitr_preview(p_tenant_id text, p_target_timestamp timestamptz default null,
                                        p_tables text[] default null, p_selection jsonb default null) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_chosen jsonb := coalesce(nullif(p_selection, 'null'), '{}');
  v_look   jsonb := jsonb_strip_nulls(jsonb_build_object('targetTimestamp', m23.iso(p_target_timestamp),
                                                         'tables', to_jsonb(p_tables), 'dryRun', true));
  v_seen   jsonb;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
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
comment on function public.get_pitr_preview(text, timestamptz, text[], jsonb) is
  'What a restore to a moment would do: the body of the dry run of pitr-restore, not counted. '
  'Owner, admin and operator.';
revoke all on function public.get_pitr_preview(text, timestamptz, text[], jsonb) from public, anon, authenticated,
  service_role;
grant execute on function public.get_pitr_preview(text, timestamptz, text[], jsonb) to authenticated, service_role;
select m23.pin_text('public.get_pitr_preview(text, timestamptz, text[], jsonb)');

-- The next rows of a preview, a table at a time; not counted by the rate limit.
create or replace function public.get_pitr_preview_page(
  p_preview_id uuid, p_table text, p_offset int default 0, p_limit int default 100
) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as
$$
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
    perform m23.refuse('VALIDATION_FAILED', 'the page cannot be given',
                       array[format('p_table: "%s" is not in this preview', p_table)]);
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
  'Rows p_offset to p_offset + p_limit (at most 1,000) of a table of a preview, by key; '
  'a page ends at 1 MB, with one row at least. Owner, admin and operator.';
revoke all on function public.get_pitr_preview_page(uuid, text, int, int) from public, anon, authenticated,
  service_role;
grant execute on function public.get_pitr_preview_page(uuid, text, int, int) to authenticated, service_role;
select m23.pin_text('public.get_pitr_preview_page(uuid, text, int, int)');

create or replace function public.get_pitr_rollback_history(p_tenant_id text, p_limit int default 50)
returns table (rollback_id uuid, snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz,
               completed_at timestamptz, created_by uuid,
               reason text, status text, error_message text, affected_tables text[], rows_restored bigint,
               warnings text[], pre_rollback_snapshot_id uuid)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select r.id, r.snapshot_id, s.snapshot_name, s.snapshot_type, r.created_at, r.completed_at, r.created_by,
                      r.reason, r.status, r.error_message, r.affected_tables, r.rows_restored, r.warnings,
                      r.pre_rollback_snapshot_id
    from public.pitr_rollbacks r join public.pitr_snapshots s on s.id = r.snapshot_id
   where r.tenant_id = p_tenant_id order by r.created_at desc, r.id limit greatest(p_limit, 0);
end $$;
comment on function public.get_pitr_rollback_history(text, int) is 'The rollbacks of a tenant, newest first.';
revoke all on function public.get_pitr_rollback_history(text, int) from public, anon, authenticated, service_role;
grant execute on function public.get_pitr_rollback_history(text, int) to authenticated, service_role;
select m23.pin_text('public.get_pitr_rollback_history(text, int)');

create or replace function public.get_recovery_window(p_tenant_id text)
returns table (table_name text, earliest timestamptz, latest timestamptz, commit_times text, gaps jsonb)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select * from m23.recovery_window(p_tenant_id);
end $$;
comment on function public.get_recovery_window(text) is
  'For each protected table the earliest and latest moment that can be gone back to (null: none at present), '
  'and gaps: [{"from", "until", "reason"}].';
revoke all on function public.get_recovery_window(text) from public, anon, authenticated, service_role;
grant execute on function public.get_recovery_window(text) to authenticated, service_role;
select m23.pin_text('public.get_recovery_window(text)');

create or replace function public.get_rows_as_of(
  p_table text, p_timestamp timestamptz, p_after jsonb default null, p_limit int default 100,
  p_tenant_id text default null
) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as
$$
declare
  v_tenant text := coalesce(p_tenant_id, m23.caller_tenant());
  v_table  m23.protected_tables := m23.find_table(p_table);
  v_limit  int := least(greatest(p_limit, 1), 1000);
  v_moment m23.moment;
  v_after  text[];
  v_path   text;
  v_query  text;
  v_rows   jsonb;
begin
  v_tenant := m23.require_role(v_tenant, array['owner', 'admin', 'operator']);
  perform m23.begin_heavy_read(v_tenant, 'rows');
  if v_table.id is null then
    perform m23.refuse('VALIDATION_FAILED', 'the rows cannot be given',
                       array[format('p_table: "%s" is not a protected table', p_table)]);
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
  perform m23.refuse_rows(array(select m23.unfit_columns(m23.logged_target(v_table, v_moment), v_tenant)));
  raise;
end $$;
comment on function public.get_rows_as_of(text, timestamptz, jsonb, int, text) is
  'Rows of a protected table as they were committed at p_timestamp, in key order, at most p_limit (1,000), after the '
  'row with the key p_after. Owner, admin and operator.';
revoke all on function public.get_rows_as_of(text, timestamptz, jsonb, int, text) from public, anon, authenticated,
  service_role;
grant execute on function public.get_rows_as_of(text, timestamptz, jsonb, int, text) to authenticated, service_role;
select m23.pin_text('public.get_rows_as_of(text, timestamptz, jsonb, int, text)');

-- A page of the log, newest first: transactions by their beginning, the changes of each by their order. So stands the
-- log's index: a page reads a page, and what its filters pass over in the transactions that they leave.
create or replace function public.get_transaction_logs(
  p_tenant_id text, p_table text default null, p_operation text default null, p_actor uuid default null,
  p_since timestamptz default null, p_until timestamptz default null, p_before jsonb default null,
  p_limit int default 100
) returns table (id bigint, tenant_id text, created_at timestamptz, transaction_id text, actor uuid, operation text,
                 table_name text, row_key jsonb, old_values jsonb, unchanged_columns text[])
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[] := m23.log_filter_faults(p_table, p_operation, p_before);
  v_bounds record;
  v_filter m23.log_filter;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the changes cannot be listed', v_faults);
  end if;
  v_bounds := m23.transactions_between(p_since, p_until);
  v_filter.first := v_bounds.first;
  v_filter.beyond := v_bounds.beyond;
  v_filter.before_xid := p_before ->> 'transaction_id';
  v_filter.before_id := p_before ->> 'id';
  v_filter.op := (select o.op from m23.operations() o where o.name = p_operation);
  v_filter.actor := p_actor;
  v_filter.since := p_since;
  v_filter.until := p_until;
  v_filter.most := least(greatest(p_limit, 1), 1000);
  return query
  select h.*
    from m23.tables_with_entries(case when p_table is not null then array[p_table] end, p_tenant_id, v_filter.first) t
    cross join lateral m23.history_page(t, p_tenant_id, v_filter) h
   order by h.transaction_id::xid8 desc, h.id desc limit v_filter.most;
end $$;
comment on function public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int) is
  'The newest changes, at most p_limit (1,000): of a table, of one operation, by one user, committed from p_since on '
  'and before p_until, older than the row p_before. Owner, admin and operator.';
revoke all on function public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int)
  from public, anon, authenticated, service_role;
grant execute on function public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int)
  to authenticated, service_role;
select m23.pin_text('public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int)');

create or replace function public.keep_backup(p_backup_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_job   public.backup_jobs := m23.backup_for(p_backup_id, array['owner', 'admin']);
  v_fault text := m23.chain_fault((select j from public.backup_jobs j where j.id = v_job.parent_backup_id));
begin
  if v_job.deleted_at is null then
    return false;
  elsif v_job.deleted_at + m23.backup_grace_period() < clock_timestamp() then
    perform m23.refuse('BACKUP_UNUSABLE', 'the time to take this backup back is over');
  elsif v_job.parent_backup_id is not null and v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'what this backup builds on has to be taken back first',
                       array['p_backup_id: ' || v_fault]);
  end if;
  update public.backup_jobs set deleted_at = null where id = v_job.id;
  perform m23.audit_done(v_job.tenant_id, 'keep_backup', jsonb_build_object('id', v_job.id));
  return true;
end $$;
comment on function public.keep_backup(uuid) is
  'Takes a deleted backup back within its grace period; true if it was deleted. Owner and admin.';
revoke all on function public.keep_backup(uuid) from public, anon, authenticated, service_role;
grant execute on function public.keep_backup(uuid) to authenticated, service_role;
select m23.pin_text('public.keep_backup(uuid)');

create or replace function public.m23_abandon_request(p_id uuid) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.requests set idempotency_key = null where id = p_id $$;
comment on function public.m23_abandon_request(uuid) is
  'Frees the idempotency key of a request that failed for our own reasons.';
revoke all on function public.m23_abandon_request(uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_abandon_request(uuid) to service_role;
select m23.pin_text('public.m23_abandon_request(uuid)');

create or replace function public.m23_admit(p_request jsonb) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_tenant   text := p_request ->> 'tenant_id';
  v_user     uuid := (p_request ->> 'user_id')::uuid;
  v_function text := p_request ->> 'function';
  v_key      text := p_request ->> 'idempotency_key';
  v_first    m23.requests;
  v_window   record;
  v_outcome  text;
  v_counted  timestamptz;
  v_limit    int := greatest((p_request ->> 'limit')::int, m23.raised_limit(v_tenant, v_function));
begin
  perform pg_advisory_xact_lock(m23.window_key(v_tenant, v_function));
  -- The functions know the limit that their operator has set; calls that do without them obey it as well.
  update m23.settings set value = p_request ->> 'limit'
   where name = 'limit.' || v_function and value <> p_request ->> 'limit';
  if v_key is not null then
    select * into v_first from m23.requests r
     where r.tenant_id = v_tenant and r.user_id is not distinct from v_user and r.function = v_function
       and r.idempotency_key = v_key;
  end if;
  -- A first request that never answered, long after every limit on it, is no longer waited for.
  if v_first.response_status is null and v_first.counted_at < clock_timestamp() - interval '15 minutes' then
    update m23.requests set idempotency_key = null where id = v_first.id;
    v_first := null;
  end if;
  select * into v_window from m23.window_of(v_tenant, v_function);
  if v_first.id is not null then
    v_outcome := case
      when v_first.body_sha256 is distinct from p_request ->> 'body_sha256' then 'key_reused'
      when v_first.response_status is null then 'running'
      else 'replay' end;
  elsif v_user is not null and v_window.used >= v_limit then
    v_outcome := 'limited';
  else
    v_outcome := 'admitted';
    insert into m23.requests (id, tenant_id, user_id, function, idempotency_key, body_sha256)
      values ((p_request ->> 'id')::uuid, v_tenant, v_user, v_function, v_key, p_request ->> 'body_sha256')
      returning counted_at into v_counted;
    select * into v_window from m23.window_of(v_tenant, v_function);
    -- Here rather than by a call of its own, so that no call begins without it.
    perform m23.audit(v_tenant, (p_request -> 'from') || jsonb_build_object(
        'event', 'begun', 'action', v_function, 'actor', v_user, 'request_id', p_request ->> 'id'))
      where p_request ? 'from';
  end if;
  return json_build_object(
    'outcome', v_outcome, 'limit', v_limit, 'used', v_window.used, 'reset', v_window.reset,
    'counted_at', floor(extract(epoch from coalesce(v_counted, clock_timestamp())) * 1000)::bigint,
    'response', case when v_outcome = 'replay'
      then json_build_object('status', v_first.response_status, 'body', v_first.response_body) end);
end $$;
comment on function public.m23_admit(jsonb) is
  'For the edge functions, with the service key: counts a request in its window, or says why not; '
  'finds the answer of an earlier one.';
revoke all on function public.m23_admit(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_admit(jsonb) to service_role;
select m23.pin_text('public.m23_admit(jsonb)');

create or replace function public.m23_audit(p_entry jsonb) returns void
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_tenant text := p_entry ->> 'tenant_id';
begin
  if p_entry ->> 'event' = 'ended' then
    perform m23.audit_end(v_tenant, p_entry);
  else
    perform m23.note_refusal(v_tenant, p_entry);
  end if;
end $$;
comment on function public.m23_audit(jsonb) is
  'For the edge functions, with the service key: how a call ended, or why it was refused.';
revoke all on function public.m23_audit(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_audit(jsonb) to service_role;
select m23.pin_text('public.m23_audit(jsonb)');

create or replace function public.m23_authorize(p_function text, p_dry_run boolean default false,
  p_tables text[] default null,
                                     p_target_schema text default null, p_target_timestamp timestamptz default null,
                                     p_base_backup_id uuid default null, p_tenant_id text default null) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_tenant  text;
  v_role    text;
  v_window  record;
  v_allowed boolean;
begin
  perform m23.refuse_other_versions();
  if m23.is_service() then
    v_role := 'owner';
    v_tenant := case when m23.knows_tenant(p_tenant_id) then p_tenant_id end;
  elsif p_tenant_id is not null then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'only the service key may name a tenant');
  else
    perform m23.refuse_anonymous();
    select m.tenant_id, m.role into v_tenant, v_role from m23.caller_membership() m;
  end if;
  if v_tenant is null then
    return json_build_object('tenant_id', null, 'role', null, 'allowed', false, 'used', 0,
                             'reset', floor(extract(epoch from clock_timestamp()))::bigint, 'faults', '[]'::json);
  end if;
  select * into v_window from m23.window_of(v_tenant, p_function);
  v_allowed := m23.may_call(p_function, v_role, coalesce(p_dry_run, false));
  return json_build_object(
    'tenant_id', v_tenant, 'role', v_role, 'allowed', v_allowed,
    'used', v_window.used, 'reset', v_window.reset, 'raised', m23.raised_limit(v_tenant, p_function),
    'faults', array_to_json(m23.table_faults(p_tables)
                            || case when v_allowed then m23.schema_faults(p_target_schema) else '{}' end
                            || m23.target_faults(v_tenant, p_target_timestamp, p_tables, p_base_backup_id)));
end $$;
comment on function public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, text) is
  'For the edge functions: the caller''s tenant and role (the service names one, as its owner), whether it may call, '
  'its rate window, and the faults that only the database sees.';
revoke all on function public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, text) from public, anon,
  authenticated, service_role;
grant execute on function public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, text) to authenticated,
  service_role;
select m23.pin_text('public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, text)');

-- The facts of a finished backup; the archive crate writes the manifest from them.
create or replace function public.m23_backup_facts(p_job_id uuid, p_lease uuid) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if exists (select from m23.backup_tables where job_id = p_job_id and not (done and history_done)) then
    perform m23.refuse('UNAVAILABLE', 'not every table of this backup has been read to its end');
  end if;
  perform m23.refuse_erased_key(p_job_id);
  return (select json_strip_nulls(json_build_object(
      'backup_id', j.id, 'tenant_id', j.tenant_id, 'backup_name', j.backup_name, 'job_type', j.job_type,
      'position', w.position::text, 'position_at', w.position_at, 'incarnation', w.incarnation,
      'server_version', current_setting('server_version_num')::int,
      'base_backup_id', j.base_backup_id, 'parent', m23.parent_facts(j.parent_backup_id),
      'commit_times', w.commit_times, 'ticks', w.ticks, 'definitions', w.definitions,
      'tables', (select json_agg(json_build_object(
          'schema', t.schema_name, 'name', t.table_name, 'tenant_column', t.tenant_column, 'key', t.key,
          'columns', t.columns, 'definition', t.definition, 'whole', t.whole, 'groups', m23.groups_of_part(t),
          'chunks', m23.chunks_of(t, false), 'history', m23.chunks_of(t, true))
          order by t.ordinal) from m23.backup_tables t where t.job_id = j.id)))
    from public.backup_jobs j join m23.backup_work w on w.job_id = j.id where j.id = p_job_id);
end $$;
revoke all on function public.m23_backup_facts(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_backup_facts(uuid, uuid) to service_role;
select m23.pin_text('public.m23_backup_facts(uuid, uuid)');

create or replace function public.m23_begin_backup(p_request_id uuid, p_backup jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-create');
  v_detail  text;
begin
  perform m23.refuse_body('backup-create', p_backup);
  return m23.start_backup(m23.requested_job(v_request.tenant_id, case  -- only an incremental builds on a base
      when p_backup ->> 'jobType' <> 'incremental' then p_backup - 'baseBackupId' else p_backup end));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_backup(uuid, jsonb) is
  'For backup-create: accepts a job under an admitted request and fixes its position. A worker drives it from there.';
revoke all on function public.m23_begin_backup(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_backup(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_begin_backup(uuid, jsonb)');

create or replace function public.m23_begin_pitr(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off set plan_cache_mode = force_generic_plan
  as $$
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
  update public.restore_logs
     set warnings = m23.moment_warnings(v_at, coalesce(v_work.moment_in_chain, v_work.moment),
                                        m23.named_tables(p_restore))
                    || m23.access_warnings(v_request.tenant_id, m23.list_of(p_restore -> 'tables'),
                                           m23.known_moment(v_work))
   where id = v_work.work_id;
  return v_begun;
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_pitr(uuid, jsonb) is
  'For pitr-restore: accepts a restore to a moment under an admitted request.';
revoke all on function public.m23_begin_pitr(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_pitr(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_begin_pitr(uuid, jsonb)');

create or replace function public.m23_begin_restore(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-restore');
  v_detail  text;
begin
  perform m23.refuse_body('backup-restore', p_restore);
  return m23.begin_restore(v_request.tenant_id, p_restore);
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_restore(uuid, jsonb) is
  'For backup-restore: accepts a restore under an admitted request, and gives what the worker has to read.';
revoke all on function public.m23_begin_restore(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_restore(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_begin_restore(uuid, jsonb)');

create or replace function public.m23_begin_rollback(p_request_id uuid, p_rollback jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-rollback');
  v_detail  text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, false);
  return m23.begin_rollback(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid, auth.uid(),
                            p_rollback ->> 'reason', p_rollback ->> 'planHash');
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_rollback(uuid, jsonb) is
  'For pitr-rollback: accepts a rollback under an admitted request.';
revoke all on function public.m23_begin_rollback(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_rollback(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_begin_rollback(uuid, jsonb)');

create or replace function public.m23_begin_scheduled_backups() returns int
language sql volatile security definer set search_path = '' set row_security = off set statement_timeout = '30s' as
$$ select m23.follow_plans('backup') $$;
comment on function public.m23_begin_scheduled_backups() is
  'For the clock: begins a share of the backups that plans say are due. '
  'Gives how many plans it dealt with, 0 when none is due.';
revoke all on function public.m23_begin_scheduled_backups() from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_scheduled_backups() to service_role;
select m23.pin_text('public.m23_begin_scheduled_backups()');

create or replace function public.m23_begin_scheduled_tests() returns int
language sql volatile security definer set search_path = '' set row_security = off set statement_timeout = '30s' as
$$ select m23.follow_plans('test') $$;
comment on function public.m23_begin_scheduled_tests() is
  'For the clock: begins a share of the recovery tests that plans say are due. '
  'Gives how many plans it dealt with, 0 when none is due.';
revoke all on function public.m23_begin_scheduled_tests() from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_scheduled_tests() to service_role;
select m23.pin_text('public.m23_begin_scheduled_tests()');

create or replace function public.m23_begin_test(p_request_id uuid, p_test jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'recovery-test');
  v_detail  text;
begin
  perform m23.refuse_body('recovery-test', p_test);
  return to_json(m23.begin_test(v_request.tenant_id, p_test, auth.uid()));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_test(uuid, jsonb) is
  'For recovery-test: accepts a test under an admitted request, and gives its id. A worker drives it from there.';
revoke all on function public.m23_begin_test(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_begin_test(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_begin_test(uuid, jsonb)');

create or replace function public.m23_choose_key(
  p_job_id uuid, p_lease uuid, p_key_id uuid, p_instead_of uuid default null
) returns uuid
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_work m23.backup_work;
  v_key  uuid;
begin
  perform m23.keep_lease(p_job_id, p_lease);
  select * into v_work from m23.backup_work where job_id = p_job_id;
  perform m23.lock_keys(v_work.tenant_id);
  if exists (select from m23.key_erasures where tenant_id = v_work.tenant_id) then
    perform m23.refuse('UNAVAILABLE', 'the keys of this tenant are being erased; a new one can be made in a minute');
  end if;
  update m23.archive_keys set retired_at = clock_timestamp()
   where tenant_id = v_work.tenant_id and retired_at is null and key_id = p_instead_of and key_id <> p_key_id;
  insert into m23.archive_keys (key_id, tenant_id) values (p_key_id, v_work.tenant_id) on conflict do nothing;
  select k.key_id into v_key from m23.archive_keys k where k.tenant_id = v_work.tenant_id and k.retired_at is null;
  if v_key is null then
    perform m23.refuse('UNAVAILABLE', 'the key of this tenant was erased meanwhile; a new one can be made now');
  end if;
  update m23.backup_work set key_id = coalesce(key_id, v_key) where job_id = p_job_id returning key_id into v_key;
  return v_key;
end $$;
comment on function public.m23_choose_key(uuid, uuid, uuid, uuid) is
  'For the workers: offers a key that is in the store, in the place of one that is not there any more, and gives the '
  'one that seals this backup: the tenant''s, whoever has offered it.';
revoke all on function public.m23_choose_key(uuid, uuid, uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_choose_key(uuid, uuid, uuid, uuid) to service_role;
select m23.pin_text('public.m23_choose_key(uuid, uuid, uuid, uuid)');

-- An end waits for its beginning. What concerns all tenants goes first.
create or replace function public.m23_claim_alerts(p_limit int default 10) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_messages jsonb;
begin
  perform m23.queue_alerts();
  with due as (
      select d.id from m23.alert_deliveries d join m23.alerts a on a.id = d.alert_id
       where d.delivered_at is null and d.failed_at is null and d.next_at <= clock_timestamp()
         and (d.edge = 'began' or not exists (
                select from m23.alert_deliveries b where b.alert_id = d.alert_id and b.edge = 'began'
                   and b.delivered_at is null and b.failed_at is null))
       order by a.tenant_id is not null, d.created_at, d.id limit p_limit for update of d skip locked),
    taken as (
      update m23.alert_deliveries d set lease = gen_random_uuid(), attempts = d.attempts + 1, next_at = m23.lease_end()
        from due where d.id = due.id returning d.*)
    select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'lease', t.lease, 'body', m23.alert_body(a, t))
                              order by a.tenant_id is not null, t.created_at, t.id), '[]')
      into v_messages from taken t join m23.alerts a on a.id = t.alert_id;
  return v_messages;
end $$;
comment on function public.m23_claim_alerts(int) is
  'For the workers: messages to send now, each with the right to say how that went. Nobody else sends them meanwhile.';
revoke all on function public.m23_claim_alerts(int) from public, anon, authenticated, service_role;
grant execute on function public.m23_claim_alerts(int) to service_role;
select m23.pin_text('public.m23_claim_alerts(int)');

create or replace function public.m23_claim_backup(p_job_id uuid default null) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_job   uuid;
  v_lease m23.leases;
begin
  for v_job in
    select j.id from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
     where j.status in ('pending', 'in_progress') and (p_job_id is null or j.id = p_job_id)
     order by j.created_at
  loop
    v_lease := m23.take_lease(v_job);
    if v_lease.taken > 5 then
      perform m23.fail_backup(v_job, 'five workers have taken this backup up without getting further');
    elsif v_lease.token is not null then
      update public.backup_jobs set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp())
       where id = v_job;
      return m23.backup_plan(v_job, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_backup(uuid) is
  'For the workers: takes the lease of a job (this one, or any accepted one that nobody drives) and gives its plan; '
  'null when there is none.';
revoke all on function public.m23_claim_backup(uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_claim_backup(uuid) to service_role;
select m23.pin_text('public.m23_claim_backup(uuid)');

create or replace function public.m23_claim_erasure() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_erasure m23.key_erasures;
  v_lease   m23.leases;
begin
  for v_erasure in select * from m23.key_erasures order by asked_at loop
    v_lease := m23.take_lease(v_erasure.work_id);
    if v_lease.token is not null then
      return json_build_object('work_id', v_erasure.work_id, 'lease', v_lease.token, 'tenant_id', v_erasure.tenant_id,
                               'prefix', m23.keys_prefix(v_erasure.tenant_id));
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_erasure() is
  'For the workers: a tenant whose key objects are to be deleted; null when there is none.';
revoke all on function public.m23_claim_erasure() from public, anon, authenticated, service_role;
grant execute on function public.m23_claim_erasure() to service_role;
select m23.pin_text('public.m23_claim_erasure()');

-- Takes up a detached restore that nobody drives or writes; null when there is none.
create or replace function public.m23_claim_restore() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_work  m23.restore_work;
  v_lease m23.leases;
begin
  for v_work in
    select w.* from m23.restore_work w
     where w.detached
       and not exists (select from m23.leases l where l.work_id = w.work_id and l.until > clock_timestamp())
     order by w.work_id
  loop
    continue when not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id));
    v_lease := m23.take_lease(v_work.work_id);
    if v_lease.taken > 5 then
      perform m23.fail_restore(v_work.work_id,
                               'five workers have taken this restore up without getting further; nothing was changed');
    elsif v_lease.token is not null then
      return m23.order_of(v_work, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_restore() is
  'For the workers: takes the lease of a restore that goes on without its caller and '
  'lost its worker, and gives its order.';
revoke all on function public.m23_claim_restore() from public, anon, authenticated, service_role;
grant execute on function public.m23_claim_restore() to service_role;
select m23.pin_text('public.m23_claim_restore()');

create or replace function public.m23_claim_test(p_test_id uuid default null) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_test  public.recovery_tests;
  v_lease m23.leases;
begin
  for v_test in
    select t.* from public.recovery_tests t join m23.test_work w on w.test_id = t.id
     where p_test_id is null or t.id = p_test_id order by t.created_at
  loop
    -- One whose restore is under way holds its lock, however long it takes.
    continue when not pg_try_advisory_xact_lock(m23.test_key(v_test.id));
    v_lease := m23.take_lease(v_test.id);
    if v_lease.taken > 5 then
      perform m23.fail_test(v_test.id, 'five workers have taken this test up without getting further');
    elsif v_lease.token is not null then
      update public.recovery_tests set status = 'in_progress', started_at = coalesce(started_at, clock_timestamp())
       where id = v_test.id;
      return m23.test_plan(v_test, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_test(uuid) is
  'For the workers: takes the lease of a test (this one, or any that nobody drives) and gives what to examine; '
  'null when there is none.';
revoke all on function public.m23_claim_test(uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_claim_test(uuid) to service_role;
select m23.pin_text('public.m23_claim_test(uuid)');

-- Its caller was told that it goes on (202). A dry run has a row to follow it by from then on.
create or replace function public.m23_detach_restore(p_restore_id uuid, p_lease uuid) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_work m23.restore_work;
begin
  perform m23.check_lease(p_restore_id, p_lease);
  update m23.restore_work set detached = true where work_id = p_restore_id returning * into v_work;
  if v_work.dry_run then
    insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, tables, status,
                                     started_at, metadata)
      values (v_work.work_id, v_work.tenant_id, v_work.kind, v_work.job_id, (v_work.moment_in_chain).taken,
              v_work.tables,
              'in_progress', clock_timestamp(), '{"dry_run": true}');
  end if;
end $$;
revoke all on function public.m23_detach_restore(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_detach_restore(uuid, uuid) to service_role;
select m23.pin_text('public.m23_detach_restore(uuid, uuid)');

-- Executes a restore or rollback, in one transaction. Gives the outcome, or `{"error": {…}}`
-- when it failed, so that the log row can say so: an exception would take that with it.
create or replace function public.m23_execute_restore(p_restore_id uuid, p_lease uuid) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h'
  set plan_cache_mode = force_generic_plan as $$
declare
  v_work    m23.restore_work;
  v_error   json;
  v_outcome json;
  v_state text; v_message text; v_table text; v_constraint text;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  select * into v_work from m23.restore_work where work_id = p_restore_id;
  begin
    -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
    if not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
    end if;
    perform m23.stop_if_cancelled(p_restore_id);
    v_outcome := m23.execute_work(v_work);
    perform m23.end_work(p_restore_id);
    return v_outcome;
  exception when query_canceled or others then  -- the others do not include it
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_table = table_name,
      v_constraint = constraint_name;
    v_error := m23.failure_answer(v_state, v_message, v_table, v_constraint);
  end;
  perform m23.fail_restore(p_restore_id,
    concat_ws(': ', v_error ->> 'message', array_to_string(m23.list_of((v_error -> 'details')::jsonb), '; ')));
  return json_build_object('error', v_error);
end $$;
comment on function public.m23_execute_restore(uuid, uuid) is
  'For the workers: writes what was planned or staged into the live tables, or beside them.';
revoke all on function public.m23_execute_restore(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_execute_restore(uuid, uuid) to service_role;
select m23.pin_text('public.m23_execute_restore(uuid, uuid)');

create or replace function public.m23_execute_test(p_test_id uuid, p_lease uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as
$$
declare
  v_work    m23.restore_work;
  v_done    jsonb;
  v_tally   jsonb;
  v_state   text;
  v_message text;
begin
  -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
  perform pg_advisory_xact_lock(m23.test_key(p_test_id));
  perform m23.keep_lease(p_test_id, p_lease);
  select w.trial into v_done from m23.test_work w where w.test_id = p_test_id;
  if v_done is not null then return v_done; end if;
  select * into v_work from m23.restore_work where work_id = p_test_id;
  begin
    perform m23.open_checks();
    begin
      v_done := m23.restore_to_scratch(v_work);
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
      if v_state = 'PGRST' and v_message::json ->> 'code' = 'UNAVAILABLE' then raise; end if;
      perform m23.note_check('not_restorable', 'the restore',
        case when v_state = 'PGRST' then v_message::json ->> 'message'
             else 'the restore failed; the database''s log tells why' end);
      raise log 'm23: the restore of a recovery test failed: % (%)', v_message, v_state;
    end;
    v_tally := m23.close_checks();
    raise exception 'done' using errcode = 'M2302';
  exception when sqlstate 'M2302' then null;  -- the schema and all that is in it is gone
  end;
  perform m23.keep_lease(p_test_id, p_lease);
  v_done := coalesce(v_done, '{}') || jsonb_build_object('tally', v_tally);
  update m23.test_work set trial = v_done where test_id = p_test_id;
  return v_done;
end $$;
comment on function public.m23_execute_test(uuid, uuid) is
  'For the workers: restores the staged archive of a deep test, gives what was found '
  'and the measured time, and leaves nothing behind.';
revoke all on function public.m23_execute_test(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_execute_test(uuid, uuid) to service_role;
select m23.pin_text('public.m23_execute_test(uuid, uuid)');

create or replace function public.m23_fail_backup(p_job_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_job_id, p_lease);
  perform m23.fail_backup(p_job_id, p_error);
end $$;
comment on function public.m23_fail_backup(uuid, uuid, text) is 'For the workers: ends a backup as failed.';
revoke all on function public.m23_fail_backup(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.m23_fail_backup(uuid, uuid, text) to service_role;
select m23.pin_text('public.m23_fail_backup(uuid, uuid, text)');

create or replace function public.m23_fail_restore(p_restore_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  perform m23.fail_restore(p_restore_id, p_error);
end $$;
comment on function public.m23_fail_restore(uuid, uuid, text) is
  'For the workers: ends a restore or rollback as failed.';
revoke all on function public.m23_fail_restore(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.m23_fail_restore(uuid, uuid, text) to service_role;
select m23.pin_text('public.m23_fail_restore(uuid, uuid, text)');

create or replace function public.m23_fail_test(p_test_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_test_id, p_lease);
  perform m23.fail_test(p_test_id, p_error);
end $$;
comment on function public.m23_fail_test(uuid, uuid, text) is 'For the workers: ends a test as failed.';
revoke all on function public.m23_fail_test(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.m23_fail_test(uuid, uuid, text) to service_role;
select m23.pin_text('public.m23_fail_test(uuid, uuid, text)');

create or replace function public.m23_finish_backup(
  p_job_id uuid, p_lease uuid, p_manifest text, p_manifest_sha256 text, p_size_bytes bigint
) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_gap text := (select min(m23.reading_fault(t, w))
                   from m23.backup_work w join m23.backup_tables b on b.job_id = w.job_id
                   join m23.protected_tables t on t.id = b.table_id join pg_class c on c.oid = t.relid
                  where w.job_id = p_job_id);
begin
  perform m23.keep_lease(p_job_id, p_lease);
  if v_gap is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_gap);
  end if;
  update m23.backup_work set manifest = p_manifest, manifest_sha256 = p_manifest_sha256 where job_id = p_job_id;
  update public.backup_jobs set status = 'completed', completed_at = clock_timestamp(),
         backup_size_bytes = p_size_bytes,
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = metadata
           || jsonb_build_object('progress', m23.backup_progress(p_job_id), 'manifest', p_manifest,
                                 'manifest_sha256', p_manifest_sha256)
   where id = p_job_id and status = 'in_progress';
  delete from m23.leases where work_id = p_job_id;
end $$;
comment on function public.m23_finish_backup(uuid, uuid, text, text, bigint) is
  'For the workers: ends a backup whose manifest is in the store; refuses one whose position the log does not reach.';
revoke all on function public.m23_finish_backup(uuid, uuid, text, text, bigint) from public, anon, authenticated,
  service_role;
grant execute on function public.m23_finish_backup(uuid, uuid, text, text, bigint) to service_role;
select m23.pin_text('public.m23_finish_backup(uuid, uuid, text, text, bigint)');

create or replace function public.m23_finish_erasure(p_work_id uuid, p_lease uuid) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_work_id, p_lease);
  delete from m23.key_erasures where work_id = p_work_id;
  delete from m23.leases where work_id = p_work_id;
end $$;
comment on function public.m23_finish_erasure(uuid, uuid) is
  'For the workers: the key objects of that tenant are gone.';
revoke all on function public.m23_finish_erasure(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_finish_erasure(uuid, uuid) to service_role;
select m23.pin_text('public.m23_finish_erasure(uuid, uuid)');

create or replace function public.m23_finish_request(p_id uuid, p_status int, p_body jsonb) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.requests set response_status = p_status, response_body = p_body where id = p_id $$;
comment on function public.m23_finish_request(uuid, int, jsonb) is
  'Keeps the answer of a request for a retry with the same idempotency key.';
revoke all on function public.m23_finish_request(uuid, int, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_finish_request(uuid, int, jsonb) to service_role;
select m23.pin_text('public.m23_finish_request(uuid, int, jsonb)');

create or replace function public.m23_finish_test(
  p_test_id uuid, p_lease uuid, p_tally jsonb, p_restore jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_test public.recovery_tests;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.open_checks();
  perform m23.check_records(v_test);
  perform m23.check_recovery_time(v_test, (p_restore ->> 'seconds')::numeric);
  update public.recovery_tests set status = 'completed', completed_at = clock_timestamp(),
         results = m23.test_results(v_test, m23.add_tallies(p_tally, m23.close_checks()), p_restore)
   where id = p_test_id returning * into v_test;
  perform m23.end_work(p_test_id);
  delete from m23.test_work where test_id = p_test_id;
  return v_test.results;
end $$;
comment on function public.m23_finish_test(uuid, uuid, jsonb, jsonb) is
  'For the workers: ends a test with what the examination and the restore found; gives its results.';
revoke all on function public.m23_finish_test(uuid, uuid, jsonb, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_finish_test(uuid, uuid, jsonb, jsonb) to service_role;
select m23.pin_text('public.m23_finish_test(uuid, uuid, jsonb, jsonb)');

create or replace function public.m23_give_back(p_id uuid) returns json
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.give_back(p_id);
  v_window  record;
begin
  select * into v_window from m23.window_of(v_request.tenant_id, v_request.function);
  return json_build_object('given_back', v_request.given_back_at is not null,
                           'used', v_window.used, 'reset', v_window.reset);
end $$;
comment on function public.m23_give_back(uuid) is
  'For the edge functions, with the service key: what ended by our own fault does not count; tells the window.';
revoke all on function public.m23_give_back(uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_give_back(uuid) to service_role;
select m23.pin_text('public.m23_give_back(uuid)');

create or replace function public.m23_go_rounds() returns int
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '30s' as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
begin
  return m23.go_round('default plans', date_bin('10 minutes', v_now, 'epoch'), 'm23.give_default_plan(text)', v_until)
       + m23.go_round('retention', date_trunc('hour', v_now), 'm23.retire_backups(text)', v_until)
       + m23.go_round('health', date_trunc('day', v_now, 'UTC'), 'm23.note_day(text)', v_until);
end $$;
comment on function public.m23_go_rounds() is
  'For the clock: a share of what is done for every tenant (default plans, retention, the health of the day). '
  'Gives for how many, 0 when all is done.';
revoke all on function public.m23_go_rounds() from public, anon, authenticated, service_role;
grant execute on function public.m23_go_rounds() to service_role;
select m23.pin_text('public.m23_go_rounds()');

create or replace function public.m23_health() returns jsonb
language sql stable security definer set search_path = '' set row_security = off as $$
  select jsonb_build_object('version', m23.version(),
                            'works', m23.calling_version() is null or m23.works_with(m23.calling_version()),
                            'late', coalesce(bool_or(c.late), false),
                            'cron', coalesce(jsonb_object_agg(c.name, c.age), '{}'))
    from m23.crons() c
$$;
comment on function public.m23_health() is
  'For the functions'' health endpoint: the version, whether it works with the functions, and the age of each '
  'job of the clock.';
revoke all on function public.m23_health() from public, anon, authenticated, service_role;
grant execute on function public.m23_health() to service_role;
select m23.pin_text('public.m23_health()');

create or replace function public.m23_heartbeat(
  p_name text, p_ended boolean, p_error text default null, p_version text default null)
returns void
language sql volatile security definer set search_path = '' set row_security = off as $$
  insert into m23.heartbeats as h (name, begun_at, ended_at, ok, error, version, expected)
    values (p_name, clock_timestamp(), case when p_ended then clock_timestamp() end,
            case when p_ended then p_error is null end, left(p_error, 200), p_version,
            p_name <> 'alerts')  -- only where there is a webhook
    on conflict (name) do update set
      begun_at = case when p_ended then h.begun_at else excluded.begun_at end,
      ended_at = coalesce(excluded.ended_at, h.ended_at),
      ok       = case when p_ended then excluded.ok else h.ok end,
      error    = case when p_ended then excluded.error else h.error end,
      version  = coalesce(excluded.version, h.version)
$$;
comment on function public.m23_heartbeat(text, boolean, text, text) is
  'For the workers: a job of the clock has begun or ended, and how.';
revoke all on function public.m23_heartbeat(text, boolean, text, text) from public, anon, authenticated, service_role;
grant execute on function public.m23_heartbeat(text, boolean, text, text) to service_role;
select m23.pin_text('public.m23_heartbeat(text, boolean, text, text)');

-- The next prefix with objects to be deleted, and those below it that stay: of backups deleted
-- longer ago than the grace period and of failed ones everything goes, of complete ones whatever
-- the manifest does not name. A prefix that this database does not know is left alone.
create or replace function public.m23_next_collection() returns json
language sql volatile security definer set search_path = '' set row_security = off as $$
  select m23.refuse_other_versions();
  select json_build_object('job_id', w.job_id, 'prefix', w.prefix || '/', 'keep', case
           when j.status = 'completed' and j.deleted_at is null
           then (select coalesce(json_agg(o), '[]') from (
                   select c.object as o from m23.backup_chunks c where c.job_id = w.job_id
                   union all
                   select w.manifest
                   union all
                   select w.prefix || '/manifest.mac') objects)
           else '[]' end)
    from m23.backup_work w join public.backup_jobs j on j.id = w.job_id
   where j.job_type <> 'snapshot' and (
         (j.deleted_at + m23.backup_grace_period() < clock_timestamp() and not j.metadata ? 'purged_at')
      or (j.deleted_at is null and j.status in ('completed', 'failed')
          and j.completed_at < clock_timestamp() - interval '1 day' and not j.metadata ? 'collected_at'))
   order by j.completed_at limit 1
$$;
comment on function public.m23_next_collection() is
  'For the workers: where objects are to be deleted next; null when nowhere.';
revoke all on function public.m23_next_collection() from public, anon, authenticated, service_role;
grant execute on function public.m23_next_collection() to service_role;
select m23.pin_text('public.m23_next_collection()');

create or replace function public.m23_note_alert(p_id uuid, p_lease uuid, p_error text default null) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  update m23.alert_deliveries d set
    lease = null, error = left(p_error, 200),
    delivered_at = case when p_error is null then clock_timestamp() end,
    failed_at = case when p_error is not null and d.attempts >= m23.setting('alert_attempts')::int
                     then clock_timestamp() end,
    next_at = clock_timestamp() + least(interval '1 minute' * 2 ^ (d.attempts - 1), interval '1 hour')
   where d.id = p_id and d.lease = p_lease;
  return found;
end $$;
comment on function public.m23_note_alert(uuid, uuid, text) is
  'For the workers: a message was delivered, or why not; false if it is somebody else''s by now.';
revoke all on function public.m23_note_alert(uuid, uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.m23_note_alert(uuid, uuid, text) to service_role;
select m23.pin_text('public.m23_note_alert(uuid, uuid, text)');

create or replace function public.m23_note_collected(p_job_id uuid) returns void
language sql volatile security definer set search_path = '' set row_security = off as $$
  update public.backup_jobs
     set metadata = metadata
       || jsonb_build_object(case when deleted_at is null then 'collected_at' else 'purged_at' end, clock_timestamp())
   where id = p_job_id
$$;
comment on function public.m23_note_collected(uuid) is 'For the workers: what m23_next_collection gave is done.';
revoke all on function public.m23_note_collected(uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_note_collected(uuid) to service_role;
select m23.pin_text('public.m23_note_collected(uuid)');

-- Progress of a restore, for restore_logs.metadata.
create or replace function public.m23_note_restore(p_restore_id uuid, p_lease uuid, p_progress jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  update public.restore_logs set metadata = metadata || jsonb_build_object('progress', p_progress)
   where id = p_restore_id;
end $$;
revoke all on function public.m23_note_restore(uuid, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_note_restore(uuid, uuid, jsonb) to service_role;
select m23.pin_text('public.m23_note_restore(uuid, uuid, jsonb)');

-- Gives what a restore would do; or, where that is for the archive alone to say, work for the
-- caller to drive first: it ends with the same.
create or replace function public.m23_preview_pitr(p_request_id uuid, p_restore jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as
$$
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
comment on function public.m23_preview_pitr(uuid, jsonb) is
  'For pitr-restore: what a restore would do, and has not done.';
revoke all on function public.m23_preview_pitr(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_preview_pitr(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_preview_pitr(uuid, jsonb)');

create or replace function public.m23_preview_rollback(p_request_id uuid, p_rollback jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as
$$
declare
  v_request  m23.requests := m23.use_request(p_request_id, 'pitr-rollback', true);
  v_snapshot public.pitr_snapshots;
  v_chosen   record;
  v_detail   text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, true);
  perform m23.begin_heavy_read(v_request.tenant_id, 'preview');
  v_snapshot := m23.usable_snapshot(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid);
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  return m23.preview(v_request.tenant_id, m23.snapshot_moment(v_snapshot), v_chosen.tables,
                     v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_preview_rollback(uuid, jsonb) is
  'For pitr-rollback: what a rollback would do, and has not done.';
revoke all on function public.m23_preview_rollback(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_preview_rollback(uuid, jsonb) to authenticated, service_role;
select m23.pin_text('public.m23_preview_rollback(uuid, jsonb)');

-- The next chunk of a table: a first line of JSON `{"rows", "last_key", "next_key", "done", "fingerprint"}`,
-- then the rows as COPY lines. `next_key`, where it is known, is the key at which the chunk after it will end.
-- Bounded in rows and bytes, whatever the tenant's size.
create or replace function public.m23_read_chunk(
  p_job_id uuid, p_lease uuid, p_ordinal int, p_after text[], p_history boolean default false
) returns m23."application/octet-stream"
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_work  m23.backup_work;
  v_part  m23.backup_tables;
  v_table m23.protected_tables;
  v_rows  int := m23.setting('chunk_rows')::int;
  v_limit bigint := m23.setting('chunk_bytes')::bigint;
  v_at    m23.moment;
  v_from  m23.moment;
  v_path  text;
  v_query text;
  v_quiet boolean;
  v_chunk record;
  v_key   text;
  v_next  text[];
  v_done  boolean;
begin
  perform m23.check_lease(p_job_id, p_lease);
  select * into v_work from m23.backup_work where job_id = p_job_id;
  select * into v_part from m23.backup_tables where job_id = p_job_id and ordinal = p_ordinal;
  select * into v_table from m23.protected_tables where id = v_part.table_id;
  v_at := m23.moment_of(v_work.position);
  v_from := m23.moment_of(m23.parent_position(p_job_id));
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot.
  if m23.qualified_name(v_table.relid) is not null then
    execute format('lock table %s in access share mode', m23.qualified_name(v_table.relid));
  end if;
  perform m23.check_part(v_part, v_table, v_work);  -- an ALTER TABLE may have held that lock
  v_key := m23.part_key(v_table, p_history);
  v_path := m23.path_of(v_table.relid);
  v_quiet := v_part.whole and not p_history
    and not m23.has_changed(v_table, v_work.tenant_id, m23.moment_of(v_work.position));
  loop
    -- In one pass, without keeping the page: the rows come in order. The fingerprint is m23.fingerprint_of.
    v_query := format('
        select count(*) as rows, string_agg(m23_line, chr(10)) as lines,
               coalesce(sum(pg_catalog.hashtextextended(m23_line collate "C", 0::bigint)), 0)::text as fingerprint,
               coalesce(max(m23_bytes), 0) as bytes,
               pg_catalog.max(array[%2$s]) filter (where m23_n = %3$s or m23_bytes >= $5) as last_key
          from (select p.*, sum(octet_length(m23_line) + 1) over (rows unbounded preceding) as m23_bytes,
                       count(*) over (rows unbounded preceding) as m23_n from (%1$s) p) r
         where m23_bytes - octet_length(m23_line) - 1 < $5',
      m23.part_query(v_part, p_history, v_table, v_rows, v_quiet,
                     m23.log_of(v_table.id, v_work.tenant_id, least(v_at.floor, v_from.floor))), v_key, v_rows);
    -- Here, and not by a function: its result would be copied once more.
    perform set_config('search_path', v_path, true);
    begin
      execute v_query into v_chunk using v_work.tenant_id, v_at, p_after, v_from, v_limit;
    exception when data_exception then  -- an ALTER TYPE waits for no reader: it may have come in between
      perform m23.check_part(v_part, v_table, v_work);
      raise;
    end;
    perform pg_catalog.set_config('search_path', '', true);
    v_done := v_chunk.rows < v_rows and v_chunk.bytes < v_limit;
    if v_quiet and v_chunk.rows = v_rows then
      v_next := m23.key_ahead(v_table, v_work.tenant_id, v_key, v_chunk.last_key, v_rows);
      v_done := v_next is null and m23.key_ahead(v_table, v_work.tenant_id, v_key, v_chunk.last_key, 1) is null;
    end if;
    -- What live rows show is in the log for every later statement: if it still has nothing, they were those of the
    -- position.
    exit when not v_quiet or not m23.has_changed(v_table, v_work.tenant_id, m23.moment_of(v_work.position));
    v_quiet := false;
    v_next := null;
  end loop;
  -- By || and not by concat(), which copies long texts more often.
  return convert_to(json_build_object('rows', v_chunk.rows, 'last_key', v_chunk.last_key, 'next_key', v_next,
                                      'done', v_done, 'fingerprint', v_chunk.fingerprint)::text || chr(10)
                    || case when v_chunk.rows > 0 then v_chunk.lines || chr(10) else '' end, 'UTF8');
end $$;
comment on function public.m23_read_chunk(uuid, uuid, int, text[], boolean) is
  'For the workers: the next chunk of a backup, as of its position.';
revoke all on function public.m23_read_chunk(uuid, uuid, int, text[], boolean) from public, anon, authenticated,
  service_role;
grant execute on function public.m23_read_chunk(uuid, uuid, int, text[], boolean) to service_role;
select m23.pin_text('public.m23_read_chunk(uuid, uuid, int, text[], boolean)');

-- Notes a chunk that is safe in the store, and with it the job's progress. Saying the
-- same twice changes nothing.
create or replace function public.m23_record_chunk(p_chunk jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_job     uuid := (p_chunk ->> 'job_id')::uuid;
  v_ordinal int := (p_chunk ->> 'ordinal')::int;
  v_history boolean := coalesce((p_chunk ->> 'history')::boolean, false);
begin
  perform m23.keep_lease(v_job, (p_chunk ->> 'lease')::uuid);
  if (select coalesce(max(c.seq), 0) + 1 from m23.backup_chunks c
       where c.job_id = v_job and c.ordinal = v_ordinal and c.history = v_history)
     < (p_chunk ->> 'seq')::int then
    -- A crash where commits are asynchronous, or a replica that took over. The next worker begins at the gap.
    perform m23.refuse('UNAVAILABLE', 'the database has lost the record of an earlier chunk of this backup');
  end if;
  if (p_chunk ->> 'rows')::int > 0 then
    insert into m23.backup_chunks (job_id, ordinal, history, seq, object, rows, bytes, stored_bytes, sha256,
                                   fingerprint, sealed_fingerprint, last_key)
      values (v_job, v_ordinal, v_history, (p_chunk ->> 'seq')::int, p_chunk ->> 'object', (p_chunk ->> 'rows')::int,
              (p_chunk ->> 'bytes')::bigint, (p_chunk ->> 'stored_bytes')::bigint, p_chunk ->> 'sha256',
              (p_chunk ->> 'fingerprint')::numeric, p_chunk ->> 'sealed_fingerprint',
              coalesce(m23.list_of(p_chunk -> 'last_key'), '{}'))
      on conflict do nothing;
  end if;
  update m23.backup_tables set done = case when v_history then done else (p_chunk ->> 'done')::boolean end,
         history_done = case when v_history then (p_chunk ->> 'done')::boolean else history_done end
   where job_id = v_job and ordinal = v_ordinal;
  update m23.leases set taken = 1 where work_id = v_job;
  update public.backup_jobs set metadata = metadata || jsonb_build_object('progress', m23.backup_progress(v_job))
   where id = v_job;
end $$;
comment on function public.m23_record_chunk(jsonb) is 'For the workers: a chunk that is stored.';
revoke all on function public.m23_record_chunk(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_record_chunk(jsonb) to service_role;
select m23.pin_text('public.m23_record_chunk(jsonb)');

-- Lets go of a job that this worker cannot bring further now: the next one need not wait.
create or replace function public.m23_release_work(p_work_id uuid, p_lease uuid) returns void
language sql security definer set search_path = '' set row_security = off as
$$ update m23.leases set until = clock_timestamp() where work_id = p_work_id and token = p_lease $$;
revoke all on function public.m23_release_work(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_release_work(uuid, uuid) to service_role;
select m23.pin_text('public.m23_release_work(uuid, uuid)');

create or replace function public.m23_save_test(p_test_id uuid, p_lease uuid, p_state jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_test_id, p_lease);
  update m23.test_work set state = p_state where test_id = p_test_id and state <> p_state;
  if found then
    update m23.leases set taken = 1 where work_id = p_test_id;
  end if;
end $$;
comment on function public.m23_save_test(uuid, uuid, jsonb) is
  'For the workers: how far an examination has come, for whoever goes on with it.';
revoke all on function public.m23_save_test(uuid, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_save_test(uuid, uuid, jsonb) to service_role;
select m23.pin_text('public.m23_save_test(uuid, uuid, jsonb)');

-- One verified chunk: a first line of JSON `{"restore_id", "lease", "ordinal", "seq", "rows", "kind"}`, then its lines:
-- `rows`, or the `history` of keys whose rows so far are no longer theirs; of `rewind` the entries are kept. `"from"`
-- is `{"backup_id", "ordinal", "seq", "history"}`, the chunk's place in its backup, and `"fingerprint"` what the
-- archive says of its lines.
create or replace function public.m23_stage_chunk(bytea) returns int
language plpgsql security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_end    int := position('\x0a'::bytea in $1);  -- bytes are cut faster than characters
  v_head   jsonb := convert_from(substring($1 from 1 for v_end - 1), 'UTF8')::jsonb;
  v_id     uuid := (v_head ->> 'restore_id')::uuid;
  v_kind   text := coalesce(v_head ->> 'kind', 'rows');
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
  v_then   pg_snapshot;
  v_lines  text;
  v_rows   bigint;
begin
  perform m23.check_lease(v_id, (v_head ->> 'lease')::uuid);
  select * into v_staged from m23.staged_tables where restore_id = v_id and ordinal = (v_head ->> 'ordinal')::int;
  select * into v_table from m23.protected_tables where id = v_staged.table_id;
  insert into m23.staged_chunks (restore_id, ordinal, seq, rows)
    values (v_id, v_staged.ordinal, (v_head ->> 'seq')::int, (v_head ->> 'rows')::int) on conflict do nothing;
  if not found then return (v_head ->> 'rows')::int; end if;  -- said twice
  begin
    v_lines := convert_from(substring($1 from v_end + 1 for greatest(octet_length($1) - v_end - 1, 0)), 'UTF8');
  exception when character_not_in_repertoire then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds bytes that are no text',
                                                 v_head ->> 'seq', v_table.relid::regclass));
  end;
  v_then := (select w.position from m23.backup_work w
              where w.job_id = (v_head -> 'from' ->> 'backup_id')::uuid and w.incarnation = m23.incarnation());
  begin
    v_rows := case when v_kind = 'rows' then m23.stage_rows(v_staged, v_table, v_then, v_lines)
                   else m23.stage_history(v_staged, v_table, v_then, v_lines, v_kind = 'rewind') end;
  exception when data_exception or check_violation or not_null_violation or cannot_coerce then
    perform m23.refuse_rows(m23.unfit_fields(v_staged, v_table, v_then, v_lines, v_kind));
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds values of %s that its columns cannot have had',
                                                 v_table.relid::regclass));
  end;
  if v_rows <> (v_head ->> 'rows')::int then
    perform m23.refuse('BACKUP_UNUSABLE',
      format('chunk %s of %s holds %s whole lines, not %s', v_head ->> 'seq', v_table.relid::regclass, v_rows,
             v_head ->> 'rows'));
  end if;
  update public.restore_logs set metadata = jsonb_set(metadata, '{progress,rows}',
      to_jsonb((select sum(c.rows) from m23.staged_chunks c where c.restore_id = v_id)))
   where id = v_id and metadata ? 'progress';
  if exists (select from m23.restore_work w where w.work_id = v_id and w.kind = 'test') then
    perform m23.examine_chunk(v_staged, v_head, v_lines);
  end if;
  -- Last: whoever stages another chunk meanwhile would wait for the row of the lease.
  perform m23.keep_lease(v_id, (v_head ->> 'lease')::uuid);
  update m23.leases set taken = 1 where work_id = v_id;
  return v_rows;
end $$;
comment on function public.m23_stage_chunk(bytea) is 'For the workers: one verified chunk of an archive, into staging.';
revoke all on function public.m23_stage_chunk(bytea) from public, anon, authenticated, service_role;
grant execute on function public.m23_stage_chunk(bytea) to service_role;
select m23.pin_text('public.m23_stage_chunk(bytea)');

-- Makes room for one table of the archive: `{"ordinal", "schema", "name", "columns": [name…], "groups": [[name…]…],
-- "rows", "rewind"}`, and with `rewind` for what the log says of it. Gives which chunk is the first that is not staged
-- yet, from 1 on; null for a table that is no longer there to be restored.
create or replace function public.m23_stage_table(p_restore_id uuid, p_lease uuid, p_table jsonb) returns int
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_name    text := (p_table ->> 'schema') || '.' || (p_table ->> 'name');
  v_part    m23.backup_tables;
  v_table   m23.protected_tables;
  v_staging text := format('m23_staging.s_%s_%s', replace(p_restore_id::text, '-', ''), (p_table ->> 'ordinal')::int);
  v_fields  text[];
  v_types   text[];
  v_columns text[];
  v_list    text;
  v_history text;
  v_groups  jsonb;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  if exists (select from m23.staged_tables
              where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int) then
    return (with staged as (select seq from m23.staged_chunks
                             where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int)
      select min(n) from generate_series(1, (select coalesce(max(seq), 0) + 1 from staged)) n
       where n not in (select seq from staged));
  end if;
  select b.* into v_part from m23.restore_work r join m23.backup_tables b on b.job_id = r.job_id
   where r.work_id = p_restore_id and b.schema_name || '.' || b.table_name = v_name;
  v_table := m23.table_now(v_part);
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, s from unnest(array[case when v_table.id is null then m23.left_out_sentence(v_part) end,
                                             m23.renamed_sentence(v_part, v_table)]) s
     where s is not null on conflict do nothing;
  if v_table.id is null then return null; end if;
  v_name := m23.raw_name(v_table.relid);
  v_fields := m23.present_names(p_restore_id, v_table, m23.list_of(p_table -> 'columns'));
  v_types := array(select c.facts ->> 'type' from jsonb_array_elements(v_part.columns) with ordinality c (facts, n)
                    order by c.n);
  select array_agg(c.name order by c.attnum) into v_columns from m23.columns_of(v_table.relid) c
   where c.name = any (v_fields) and not c.generated;
  if not m23.key_of(v_table.relid) <@ v_columns or m23.tenant_column(v_table) <> all (v_columns) then
    perform m23.refuse('BACKUP_UNUSABLE',
                       format('%s has another primary key or tenant column than when it was backed up', v_name));
  end if;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w.said from (
        select format('%s.%s no longer exists; its values were left out', v_name, f) from unnest(v_fields) f
         where f <> all (v_columns)
        union all
        select format(case when exists (
                             select from m23.log_columns l join m23.backup_work b on b.job_id = v_part.job_id
                              where l.table_id = v_table.id and l.attnum = c.attnum and l.generated
                                and b.incarnation = m23.incarnation()
                                and not pg_visible_in_snapshot(l.since_xid, b.position))
                           then '%s.%s was generated then, and has no values in the backup; it was left as it is'
                           else '%s.%s is newer than the backup; '
                                'rows that are there keep theirs, and those that come back get its default' end,
                      v_name, c.name)
          from m23.columns_of(v_table.relid) c
         where not c.generated and c.name <> all (v_columns)) w (said)
     -- a moment has them from the log
     where (select kind from m23.restore_work where work_id = p_restore_id) = 'backup'
    on conflict do nothing;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w from m23.restore_work r
      join m23.backup_work b on b.job_id = r.job_id and b.incarnation = m23.incarnation()
     cross join unnest(m23.type_warnings(v_table, m23.moment_of(b.position))) w
     where r.work_id = p_restore_id and r.kind = 'backup' on conflict do nothing;
  v_list := (select string_agg(format('%I %s', c.name, m23.type_with_nulls(v_table.relid, c.attnum)),
                               ', ' order by c.attnum)
               from m23.columns_of(v_table.relid) c where c.name = any (v_columns));
  execute format('create unlogged table if not exists %s (%s)', v_staging, v_list);
  execute format('alter table %s enable row level security', v_staging);
  if (p_table ->> 'rewind')::boolean then
    v_history := v_staging || '_history';
    execute format('create unlogged table if not exists %s (m23_op "char", m23_change_id bigint, m23_xid xid8,
                      m23_at timestamptz, m23_unchanged int, %s)', v_history, v_list);
    execute format('alter table %s enable row level security', v_history);
  end if;
  v_groups := (select jsonb_agg((
                   select coalesce(jsonb_agg(v_fields[array_position(m23.list_of(p_table -> 'columns'), n)]), '[]')
                     from jsonb_array_elements_text(g.names) n) order by g.ord)
                 from jsonb_array_elements(coalesce(nullif(p_table -> 'groups', 'null'), '[]'))
                   with ordinality g (names, ord));
  insert into m23.staged_tables (restore_id, ordinal, table_id, staging, fields, types, columns, rows, history, groups)
    values (p_restore_id, (p_table ->> 'ordinal')::int, v_table.id, v_staging, v_fields, v_types, v_columns,
            (p_table ->> 'rows')::bigint, v_history, coalesce(v_groups, '[]'))
    on conflict do nothing;
  return 1;
end $$;
revoke all on function public.m23_stage_table(uuid, uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function public.m23_stage_table(uuid, uuid, jsonb) to service_role;
select m23.pin_text('public.m23_stage_table(uuid, uuid, jsonb)');

create or replace function public.m23_stage_test(p_test_id uuid, p_lease uuid) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_test public.recovery_tests;
  v_work m23.restore_work;
begin
  perform m23.keep_lease(p_test_id, p_lease);
  select * into v_test from public.recovery_tests where id = p_test_id;
  perform m23.forget_lost_staging(p_test_id);
  select * into v_work from m23.restore_work where work_id = p_test_id;
  if v_work.work_id is null then
    insert into m23.restore_work (work_id, tenant_id, kind, job_id)
      values (p_test_id, v_test.tenant_id, 'test', v_test.backup_job_id) returning * into v_work;
    update m23.test_work set staging_at = clock_timestamp() where test_id = p_test_id;
  end if;
  return m23.order_of(v_work, p_lease);
end $$;
comment on function public.m23_stage_test(uuid, uuid) is
  'For the workers: what has to be read back for a deep test, as for a restore, from where the last worker stopped. '
  'The time to recover counts from the first call.';
revoke all on function public.m23_stage_test(uuid, uuid) from public, anon, authenticated, service_role;
grant execute on function public.m23_stage_test(uuid, uuid) to service_role;
select m23.pin_text('public.m23_stage_test(uuid, uuid)');

create or replace function public.m23_sweep() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_step   record;
  v_count  bigint;
  v_told   jsonb := '{}';
  v_failed text[] := '{}';
begin
  for v_step in
    select * from (values
        ('requests', 'sweep_requests', true), ('snapshots', 'sweep_snapshots', false),
        ('previews', 'sweep_previews', false), ('commit times', 'keep_commit_times', false),
        ('log parts', 'sweep_logs', false), ('tenants', 'see_tenants', false),
        ('restores', 'sweep_restores', true), ('copies', 'sweep_copies', true),
        ('captures', 'renew_captures', true), ('jobs', 'sweep_pending_jobs', true),
        -- Last, as calls of their tenants wait for the audit until the end.
        ('audit', 'prune_audit', true), ('refusals', 'write_refusals', true)) s (name, step, is_told)
  loop
    v_count := m23.sweep_step(v_step.step);
    if v_count is null then v_failed := v_failed || v_step.name; end if;
    if v_count > 0 and v_step.is_told then v_told := v_told || jsonb_build_object(v_step.name, v_count); end if;
  end loop;
  return v_told || case when v_failed <> '{}' then jsonb_build_object('failed', v_failed) else '{}' end;
end $$;
comment on function public.m23_sweep() is
  'For the workers, every minute: the upkeep, step by step. Gives what was done, and which steps failed.';
revoke all on function public.m23_sweep() from public, anon, authenticated, service_role;
grant execute on function public.m23_sweep() to service_role;
select m23.pin_text('public.m23_sweep()');

create or replace function public.m23_watch() returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('m23.watch', 0))
     or exists (select from m23.watches
                 where at > clock_timestamp() - make_interval(secs => m23.setting('watch_seconds')::int)) then
    return false;
  end if;
  insert into m23.watches (at) values (clock_timestamp()) on conflict (one) do update set at = excluded.at;
  perform m23.renew_alerts();
  perform m23.search_deletes();
  return true;
end $$;
comment on function public.m23_watch() is
  'For the clock: looks for what has to be told, and for what is over; false if somebody else just has.';
revoke all on function public.m23_watch() from public, anon, authenticated, service_role;
grant execute on function public.m23_watch() to service_role;
select m23.pin_text('public.m23_watch()');

create or replace function public.plan_retention(p_tenant_id text)
returns table (backup_id uuid, backup_name text, job_type text, created_at timestamptz, backup_size_bytes bigint,
               reason text)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select j.id, j.backup_name, j.job_type, j.created_at, j.backup_size_bytes, r.reason
    from m23.past_retention(p_tenant_id) r join public.backup_jobs j on j.id = r.backup_id order by j.created_at, j.id;
end $$;
comment on function public.plan_retention(text) is
  'The backups that the next upkeep would delete by the plans'' retention_days, and why. Nothing is changed.';
revoke all on function public.plan_retention(text) from public, anon, authenticated, service_role;
grant execute on function public.plan_retention(text) to authenticated, service_role;
select m23.pin_text('public.plan_retention(text)');

create or replace function public.verify_audit(p_tenant_id text) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_broken bigint;
  v_reason text;
  v_count  bigint;
  v_since  timestamptz;
  v_last   record;
  v_head   m23.audit_heads;
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner']);
  select * into v_head from m23.audit_heads where tenant_id = p_tenant_id for share;  -- nobody adds meanwhile
  select f.broken, f.reason into v_broken, v_reason from m23.audit_fault(p_tenant_id) f;
  select count(*), min(a.created_at) into v_count, v_since from public.audit_log a where a.tenant_id = p_tenant_id;
  select l.seq, l.hash into v_last from (
    select a.seq, a.hash from public.audit_log a where a.tenant_id = p_tenant_id
    union all select c.seq, c.hash from m23.audit_checkpoints c where c.tenant_id = p_tenant_id) l
   order by l.seq desc limit 1;
  if v_broken is null and (coalesce(v_last.seq, 0), v_last.hash)
     is distinct from (coalesce(v_head.seq, 0), nullif(v_head.hash, repeat('0', 64))) then
    v_broken := coalesce(v_last.seq, 0) + 1;
    v_reason := 'the end of the chain is missing';
  end if;
  return jsonb_build_object('valid', v_broken is null, 'entries', v_count, 'since', m23.iso(v_since),
                            'head', v_head.hash, 'brokenAt', v_broken, 'reason', v_reason);
end $$;
comment on function public.verify_audit(text) is
  'Whether a tenant''s audit is whole: {"valid", "entries", "since", "head", "brokenAt", "reason"}: the first entry''s '
  'time, and the first broken link. Keep "head" elsewhere to prove later what was there. Owner.';
revoke all on function public.verify_audit(text) from public, anon, authenticated, service_role;
grant execute on function public.verify_audit(text) to authenticated, service_role;
select m23.pin_text('public.verify_audit(text)');

reset check_function_bodies;
notify pgrst, 'reload schema';
