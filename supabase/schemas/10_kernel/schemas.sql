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
