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
