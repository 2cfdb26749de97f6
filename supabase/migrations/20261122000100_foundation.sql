-- Foundation: M23's schemas, the roles and `auth` functions that every Supabase
-- project already has (made here only where they are absent), settings, and the
-- one way in which the database refuses a caller.

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

-- A table of ours is for our own functions: row-level security is on, and lets nobody through.
create function m23.close_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('create policy nobody on %s using (false)', p_table);
end $$;
comment on function m23.close_table(regclass) is 'Keeps a table from everybody but its owner and the service key.';

-- Settings -------------------------------------------------------------------

create table m23.settings (
  name  text primary key,
  value text not null,
  about text not null
);
select m23.close_table('m23.settings');

insert into m23.settings (name, value, about) values
  ('lease_seconds',        '60',      'how long a worker may be silent before its job is taken over'),
  ('chunk_rows',           '10000',   'rows in one archive chunk, at most'),
  ('chunk_bytes',          '4194304', 'bytes in one archive chunk before compression; reached, not passed by more than a row'),
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

create function m23.setting(p_name text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select value from m23.settings where name = p_name);
end $$;
comment on function m23.setting(text) is 'The value of a row of m23.settings.';

-- Refusals -------------------------------------------------------------------

-- A call of the API that is refused takes back whatever it has written, an entry of the audit
-- as well: so who it was stands in the server's log. Calls of the edge functions have their audit;
-- what they use, and others may not, is called without one.
create function m23.log_refusal(p_code text) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_path text := current_setting('request.path', true);
  v_from jsonb := coalesce(nullif(current_setting('request.headers', true), ''), '{}');
begin
  if v_path <> '' and (v_path !~ '/m23_' or p_code = 'INSUFFICIENT_PERMISSIONS') then
    raise log 'm23: refused %', jsonb_build_object('code', p_code, 'method', current_setting('request.method', true), 'path', v_path, 'actor', auth.jwt() ->> 'sub',
      'role', auth.jwt() ->> 'role', 'tenants', (select jsonb_agg(m.tenant_id) from m23.memberships_of(auth.uid()) m),
      'from_address', m23.address_of(v_from), 'user_agent', left(v_from ->> 'user-agent', 300));
  end if;
end $$;

-- Where a call of the database came from, by its headers.
create function m23.address_of(p_headers jsonb) returns text
language sql immutable set search_path = '' as
$$ select left(coalesce(p_headers ->> 'cf-connecting-ip', trim(split_part(p_headers ->> 'x-forwarded-for', ',', 1))), 64) $$;

-- Code and HTTP status belong together in one place.
create function m23.refusal_status(p_code text) returns int
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

-- What passes says when to come again.
create function m23.refusal_headers(p_code text, p_retry_after int) returns json
language sql immutable set search_path = '' as $$
  select case when s.seconds is null then '{}'::json else json_build_object('Retry-After', s.seconds::text) end
    from (select coalesce(p_retry_after, case when p_code in ('RESTORE_IN_PROGRESS', 'UNAVAILABLE') then 5 end))
         s (seconds)
$$;

-- Every refusal that a caller may see is raised here. PostgREST turns SQLSTATE PGRST into that response.
create function m23.refuse(p_code text, p_message text, p_details text[] default null, p_retry_after int default null)
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

-- A refusal as the answer of a call whose transaction is kept, so that what it has used stays used. PostgREST takes
-- status and headers from these settings.
create function m23.answer_refusal(p_state text, p_message text, p_detail text) returns json
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

-- Whether PostgREST calls, and so gives that answer.
create function m23.is_api_call() returns boolean
language sql stable set search_path = '' as $$ select coalesce(current_setting('request.method', true), '') <> '' $$;

-- Generated SQL ----------------------------------------------------------------

-- Fills the holes of a template, `{name}`, in one pass: what is filled in is never looked at again. p_holes
-- are names and texts by turns.
create function m23.fill(p_template text, variadic p_holes text[]) returns text
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
comment on function m23.fill(text, text[]) is 'A template with its holes filled: m23.fill(''select {what}'', ''what'', ''1'').';

-- Settings that text depends on --------------------------------------------------
-- A database, a role or a session may have any: as pg_dump does, whoever reads or writes values, or puts names into SQL,
-- has these. `prints`: how a value is printed depends on it.

create function m23.text_settings() returns table (name text, value text, prints boolean)
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

create function m23.pin_text(variadic p_functions regprocedure[]) returns void
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

-- Privileges -----------------------------------------------------------------
-- A new function is open to everybody, and on a hosted project, in public, to the API's
-- roles by name as well.

create function m23.close_functions() returns void
language sql set search_path = '' as $$ revoke execute on all functions in schema m23 from public $$;
comment on function m23.close_functions() is 'Takes every function of m23 from PUBLIC: the end of each migration.';

create function m23.open_to(p_roles regrole[], variadic p_functions regprocedure[]) returns void
language plpgsql set search_path = '' as $$
declare v_function regprocedure;
begin
  foreach v_function in array p_functions loop
    execute format('revoke execute on function %s from public, anon, authenticated, service_role', v_function);
    execute format('grant execute on function %s to %s', v_function, array_to_string(p_roles, ', '));
    perform m23.pin_text(p.oid::regprocedure) from pg_proc p where p.oid = v_function and p.pronamespace = 'public'::regnamespace;
  end loop;
  notify pgrst, 'reload schema';  -- a running PostgREST calls what it knows
end $$;
comment on function m23.open_to(regrole[], regprocedure[]) is
  'Lets these roles execute these functions, and nobody else, and tells PostgREST. Those of the API are pinned (m23.pin_text).';

select m23.close_functions();
