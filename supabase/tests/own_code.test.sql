-- The search path that is in force while a statement touches a table with code of the application's.
begin;
select no_plan();

create role path_owner;
create schema app;
create schema "Odd ""one""";
create schema open_to_all;
create schema open_to_anon;
create schema not_for_it;
create schema path_owner;
grant usage on schema app, "Odd ""one""", open_to_all, open_to_anon, path_owner, public to path_owner;
grant create on schema open_to_all to public;
grant create on schema open_to_anon to anon;

create function app.always(text) returns boolean language sql immutable as 'select true';
create table app.plain (id int primary key, tenant_id uuid not null, v varchar(5) default 'x' check (v <> ''),
  n numeric generated always as (1) stored);
create index on app.plain (lower(v)) where id > 0;
create table app.coded (id int primary key, tenant_id uuid not null, v text check (app.always(v)));
alter table app.plain owner to path_owner;
alter table app.coded owner to path_owner;

create function path_is(p_setting text, p_path text, p_what text) returns text language plpgsql as $$
begin
  execute p_setting;
  return is(m23.path_of('app.coded'::regclass), p_path, p_what);
end $$;
create function in_database(p_role text, p_setting text) returns text language sql as
$$ select format('alter role %s in database %I %s', p_role, current_database(), p_setting) $$;
create temp table about as select format('alter database %I ', current_database()) as database;
-- The stack's own settings are out of the way.
select lives_ok(database || 'reset search_path') from about;

select is(m23.path_of('app.plain'::regclass), '', 'where PostgreSQL alone has a say, the path is empty');
select path_is('alter role all set search_path = app', 'pg_catalog, app, pg_temp', 'that of all roles');
select path_is(database || 'set search_path = app, public',
  'pg_catalog, app, public, pg_temp', 'before it that of the database') from about;
select path_is('alter role path_owner set search_path = public',
  'pg_catalog, public, pg_temp', 'before it that of the owner');
select path_is(in_database('path_owner', 'set search_path = public, app'),
  'pg_catalog, public, app, pg_temp', 'before it that of the owner in this database');
select path_is('alter role current_user set search_path = app', 'pg_catalog, public, app, pg_temp', 'of nobody else');
set local search_path = app, public, extensions;
select is(m23.path_of('coded'::regclass), 'pg_catalog, public, app, pg_temp', 'and not that of whoever calls');
set local search_path = public, extensions;

select path_is(in_database('path_owner', 'set search_path = "$user", "Odd ""one""", APP, no_such, pg_temp, pg_catalog'),
  'pg_catalog, path_owner, "Odd ""one""", app, pg_temp',
  'as the server reads it: the user''s schema, names in quotes, those that are there');
select path_is(in_database('path_owner', 'set search_path = ''app, public'''),
  'pg_catalog, pg_temp', 'as the server reads it: one name with a comma in it');
select path_is(in_database('path_owner', 'set search_path = not_for_it, app'),
  'pg_catalog, app, pg_temp', 'without what the owner may not use');
select path_is(in_database('path_owner', 'set search_path = open_to_all, open_to_anon, app'),
  'pg_catalog, app, pg_temp',
  'without schemas in which PUBLIC, anon or authenticated may create');
select is_empty($$ select * from m23.doctor_paths() $$, 'which matter for protected tables');
select m23.protect_table('app.plain');
select is_empty($$ select * from m23.doctor_paths() $$, 'with code of the application''s');
select m23.protect_table('app.coded');
select results_eq($$ select topic, state, finding from m23.doctor() where topic ~ 'search path' $$,
  $$ values ('search path of path_owner', 'warning',
              'the schema "open_to_all" is left out of it in backups and restores: PUBLIC may create there'),
            ('search path of path_owner', 'warning',
              'the schema "open_to_anon" is left out of it in backups and restores: anon may create there') $$,
  'and the doctor names them');

select path_is(in_database('path_owner', 'reset search_path') ,
  'pg_catalog, public, pg_temp', 'without one, that of the owner');
select path_is('alter role path_owner reset search_path',
  'pg_catalog, app, public, pg_temp', 'without that, the database''s');
select lives_ok(database || 'reset search_path') from about;
select path_is('alter role all reset search_path',
  'pg_catalog, path_owner, public, pg_temp', 'without any, the server''s');
set local search_path = app, extensions;
select is(m23.server_setting('search_path'), '"$user", public', 'whatever the session has');

-- What counts as code of the application's.
create function has_code(p_sql text, p_what text) returns setof text language plpgsql as $$
begin
  execute 'create table app.t (id int primary key, tenant_id uuid not null, v text)';
  return next is(m23.has_own_code('app.t'::regclass), false, 'not yet: ' || p_what);
  execute p_sql;
  return next is(m23.has_own_code('app.t'::regclass), true, p_what);
  execute 'drop table app.t cascade';
end $$;
create function app.tg() returns trigger language plpgsql as 'begin return new; end';
create domain app.word as text check (app.always(value));
select has_code('alter table app.t add check (app.always(v))', 'a function in a check');
select has_code('alter table app.t add w text default app.always(''x'')::text', 'a function in a default');
select has_code('alter table app.t add w boolean generated always as (app.always(v)) stored',
  'a function in a generated column');
select has_code('create index on app.t (app.always(v))', 'a function in an index');
select has_code('create index on app.t (id) where app.always(v)', 'a function in a condition of an index');
select has_code('alter table app.t add w app.word', 'a domain');
select has_code('create trigger tg before insert on app.t for each row execute function app.tg()', 'a trigger');
select has_code('create rule r as on insert to app.t do also notify x', 'a rule');

select * from finish();
rollback;
