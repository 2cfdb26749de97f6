-- Which tables hang on a tenant, and what is said of those that nobody has protected.
begin;
select no_plan();
set local client_min_messages = error;

create function pg_temp.plan(p_root regclass default null, p_column name default null) returns setof text
language sql as $$
  select p.table_name || ' ' || p.belongs || coalesce(' ' || p.statement, '')
    from m23.plan_protection(p_root, p_column) p where p.belongs <> 'global' $$;
create function pg_temp.global(p_root regclass default null, p_column name default null) returns setof text
language sql as $$
  select p.table_name from m23.plan_protection(p_root, p_column) p where p.belongs = 'global' $$;

-- What is none of the application's.
select throws_ok($$ select m23.protect_table('public.backup_jobs') $$, '42501',
  'public.backup_jobs cannot be protected: it is a table of M23', 'nobody protects a table of M23''s');
select is_empty($$ select from m23.plan_protection() p join unnest(m23.own_tables()) o on o = p.table_name $$,
  'nor does the plan name one');
select is_empty($$ select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    and c.relname <> all (m23.own_tables()) and obj_description(c.oid) is not null $$,
  'and all of them are known as such');

-- Text keys: organisation, team, document.
create schema docs;
create table docs.organizations (id text primary key, name text, settings_id int);
create table docs.settings (id int primary key, theme text);
alter table docs.organizations add foreign key (settings_id) references docs.settings;
create table docs.teams (id text primary key,
  organization_id text not null references docs.organizations on delete cascade);
create table docs.documents (id int primary key, team_id text not null references docs.teams on delete cascade);
create table docs.versions (id int primary key, document_id int not null references docs.documents);
create table docs.events (id int primary key, organization_id text not null, at timestamptz);       -- no constraint
create table docs.imports (id int primary key, organization_id uuid);                             -- another type
create table docs.users (id int primary key,
  last_organization_id text references docs.organizations on delete set null);
create table docs.tokens (id int primary key, user_id int not null references docs.users);
create table docs.keyless (organization_id text not null references docs.organizations, v text);
create table docs.parts (id int, organization_id text not null references docs.organizations,
  primary key (id, organization_id))
  partition by list (organization_id);
create table docs.parts_all partition of docs.parts default;
create table docs.countries (id int primary key, name text);
create table docs.notes (id int primary key, document_id int);                                     -- no constraint
create table docs.files (id int primary key, record_id int, record_type text);                   -- polymorphic
create table docs.links (id int primary key, team_id text references docs.teams,
  document_id int references docs.documents);
create view docs.everything as select * from docs.documents;

select is(array(select "row" from pg_temp.plan('docs.organizations') "row"), array[
  'docs.organizations root select m23.protect_table(''docs.organizations'', ''id'')',
  'docs.events direct select m23.protect_table(''docs.events'', ''organization_id'')',
  'docs.parts direct select m23.protect_table(''docs.parts'', ''organization_id'')',
  'docs.teams direct select m23.protect_table(''docs.teams'', ''organization_id'')',
  'docs.documents path select m23.protect_table(''docs.documents'', via => ''team_id'')',
  'docs.versions path select m23.protect_table(''docs.versions'', via => ''document_id'')',
  'docs.files asks',
  'docs.imports asks select m23.protect_table(''docs.imports'', ''organization_id'')',
  'docs.settings asks select m23.protect_table(''docs.settings'', via => ''<- docs.organizations (settings_id)'')',
  'docs.users asks select m23.protect_table(''docs.users'', ''last_organization_id'')',
  'docs.links asks select m23.protect_table(''docs.links'', via => ''team_id'')',
  'docs.notes asks select m23.protect_table(''docs.notes'', via => ''document_id -> docs.documents'')',
  'docs.tokens asks select m23.protect_table(''docs.tokens'', via => ''user_id'')',
  'docs.keyless cannot'],
  'foreign keys and columns in use tie tables to a tenant; all else is asked about, or cannot be');
select matches((select advice from m23.plan_protection('docs.organizations') where table_name = 'docs.links'),
  'docs.links'', via => ''team_id''\) or select .*docs.links'', via => ''document_id''\)',
  'of ways that are alike each statement is named');
select set_eq($$ select * from pg_temp.global('docs.organizations') $$, array['docs.countries'],
  'what hangs on nothing is nobody''s');
select results_eq($$ select why_not, advice from m23.plan_protection('docs.organizations') where belongs = 'cannot' $$,
  $$ select 'it ' || o.sentence, o.advice from m23.obstacles('docs.keyless'::regclass, 1::int2) o limit 1 $$,
  'a refusal is told in advance, with what to do');
select is_empty($$ select * from m23.plan_protection('docs.organizations') where belongs <> 'global' and why_not is null
    and statement is null $$, 'each table has a statement, or why there is none');
select is_empty('select from m23.protected_tables', 'a plan protects nothing');

create temp table done as select * from m23.protect_schema('docs.organizations');
select set_eq($$ select name from m23.protected_tables $$,
  array['docs.organizations', 'docs.events', 'docs.parts', 'docs.teams', 'docs.documents', 'docs.versions'],
  'one call protects what needs no question, and parents before what hangs on them');
select set_eq($$ select table_name from done where why_not is null and statement is null and belongs <> 'global' $$,
  $$ select name from m23.protected_tables $$, 'and says what it has done');
select set_eq($$ select table_name, belongs, why_not from done where statement is not null $$,
  $$ select table_name, belongs, why_not from m23.plan_protection('docs.organizations') where statement is not null $$,
  'and what it has not');
create temp table kept as select * from m23.protected_tables;
select lives_ok($$ select * from m23.protect_schema('docs.organizations') $$, 'it can be called again');
select set_eq('select id, xid from m23.protected_tables', 'select id, xid from kept', 'and leaves what is protected');

-- The coverage, without a word of the root.
select results_eq($$ select state, finding from m23.doctor_coverage() where topic = 'coverage' $$,
  $$ values ('warning', '6 of 7 tables that hang on a tenant are protected') $$, 'the doctor tells the coverage');
create table docs.later (id int primary key, organization_id text not null);
create table docs.tenants_of_old (id int primary key, tenant_id uuid not null);
create table docs.pages (id int primary key, version_id int not null references docs.versions on delete cascade);
select results_eq($$ select topic, advice from m23.doctor()
  where finding like 'not protected, though%' and topic <> 'docs.keyless' $$,
  $$ values ('docs.later', 'select m23.protect_table(''docs.later'', ''organization_id'')'),
            ('docs.pages', 'select m23.protect_table(''docs.pages'', via => ''version_id'')') $$,
  'new tables are found by the columns in use and along paths, not by the name tenant_id');
select set_has($$ select topic, finding from m23.doctor() $$,
  $$ values ('docs.versions', 'is referred to by docs.pages (ON DELETE CASCADE, "pages_version_id_fkey"), '
                              'not protected: what its deleted rows take along there does not come back') $$,
  'the doctor tells of rows that fall with those of a protected table');

-- Whole keys; a membership that has only a unique index.
create schema shop;
create table shop.accounts (id serial primary key, name text);
create table shop.orders (id serial primary key, account_id int not null references shop.accounts,
  unique (id, account_id));
create table shop.lines (order_id int not null, account_id int not null, n int not null, primary key (order_id, n),
  foreign key (order_id, account_id) references shop.orders (id, account_id));
create table shop.tags (id serial primary key, account_id bigint not null references shop.accounts);
create table shop.order_tags ("A" int not null, "B" int not null references shop.tags, account_id int not null);
create unique index on shop.order_tags ("A", "B");
create table shop.transfers (id serial primary key, payer int not null references shop.accounts,
  payee int not null references shop.accounts);
select is(array(select "row" from pg_temp.plan('shop.accounts') "row" where "row" like 'shop.%'), array[
  'shop.accounts root select m23.protect_table(''shop.accounts'', ''id'')',
  'shop.lines direct select m23.protect_table(''shop.lines'', ''account_id'')',
  'shop.order_tags direct select m23.protect_table(''shop.order_tags'', ''account_id'')',
  'shop.orders direct select m23.protect_table(''shop.orders'', ''account_id'')',
  'shop.tags direct select m23.protect_table(''shop.tags'', ''account_id'')',
  'shop.transfers asks select m23.protect_table(''shop.transfers'', ''payer'')'],
  'keys of another kind are followed as well; of two alike, it is asked');

-- Paths: of several the one that is NOT NULL throughout, the shortest, the one along which rows are deleted.
create schema ways;
create table ways.orgs (id text primary key, settings_id int unique, owner_id int unique);
create table ways.settings (id int primary key);
create table ways.flags (id int primary key, setting_id int not null references ways.settings);
alter table ways.orgs add foreign key (settings_id) references ways.settings;
create table ways.people (id int primary key);                                     -- own one, are members of others
alter table ways.orgs add foreign key (owner_id) references ways.people;
create table ways.members (org_id text not null references ways.orgs, person_id int not null references ways.people,
  primary key (org_id, person_id));
create table ways.tasks (id int primary key, org_id text not null references ways.orgs, unique (org_id, id));
create table ways.comments (id int primary key, reply_to int not null references ways.comments,
  task_id int not null references ways.tasks);
create table ways.steps (org text not null, task int not null, n int not null, primary key (org, task, n),
  foreign key (org, task) references ways.tasks (org_id, id), foreign key (task) references ways.tasks);
create table ways.votes (id int primary key, comment_id int not null references ways.comments,
  task_id int not null references ways.tasks);                                      -- the shorter one
create table ways.marks (id int primary key, task_id int references ways.tasks on delete cascade,
  comment_id int not null references ways.comments);                                -- the one that is NOT NULL
create table ways."Labels" (id int primary key, "orgId" text not null references ways.orgs);
create table ways.tagged (task_id int not null references ways.tasks on delete cascade,
  "labelId" int not null references ways."Labels", primary key (task_id, "labelId"));
create table ways.pairs (task_id int not null references ways.tasks,
  "labelId" int not null references ways."Labels", primary key (task_id, "labelId"));
create table ways.archive (id int primary key, task_id int not null references ways.tasks);
alter table ways.archive add foreign key (task_id) references ways.comments;
create table ways.metas (id int primary key);
alter table ways.tasks add meta_id int unique references ways.metas;
create table ways.times (id int primary key, task_id int not null);                                -- no constraint
create table ways.bare (task_id int not null references ways.tasks, v text);
create table ways.below (id int primary key, v text unique);
alter table ways.bare add constraint single unique (v), add x text;
alter table ways.below add foreign key (v) references ways.bare (v), alter v set not null;

select is(array(select "row" from pg_temp.plan('ways.orgs') "row" where "row" ~ '^ways.* (path|asks)'), array[
  'ways.archive path select m23.protect_table(''ways.archive'', via => ''task_id -> ways.tasks'')',
  'ways.comments path select m23.protect_table(''ways.comments'', via => ''task_id'')',
  'ways.settings path select m23.protect_table(''ways.settings'', via => ''<- ways.orgs (settings_id)'')',
  'ways.tagged path select m23.protect_table(''ways.tagged'', via => ''task_id'')',
  'ways.votes path select m23.protect_table(''ways.votes'', via => ''task_id'')',
  'ways.flags path select m23.protect_table(''ways.flags'', via => ''setting_id'')',
  'ways.marks path select m23.protect_table(''ways.marks'', via => ''comment_id'')',
  'ways.metas asks select m23.protect_table(''ways.metas'', via => ''<- ways.tasks (meta_id)'')',
  'ways.pairs asks select m23.protect_table(''ways.pairs'', via => ''task_id'')',
  'ways.times asks select m23.protect_table(''ways.times'', via => ''task_id -> ways.tasks'')'],
  'the firmest and shortest path is taken, parents come first, and what is alike is asked about');
select matches((select advice from m23.plan_protection('ways.orgs') where table_name = 'ways.pairs'),
  'ways.pairs'', via => ''task_id''\) or .*ways.pairs'', via => ''"labelId"''\)', 'with the statement of each way');
select set_eq($$ select * from pg_temp.plan('ways.orgs') where plan ~ '^ways.(steps|members)' $$, array[
  'ways.members direct select m23.protect_table(''ways.members'', ''org_id'')',
  'ways.steps direct select m23.protect_table(''ways.steps'', ''org'')'], 'a direct column wins over a path');
select set_has($$ select * from pg_temp.global('ways.orgs') $$, $$ values ('ways.people') $$,
  'whom a tenant''s row points at, and others refer to as well, is no tenant''s');
select set_eq($$ select table_name, why_not, advice from m23.plan_protection('ways.orgs')
    where belongs = 'cannot' and table_name like 'ways.%' $$,
  $$ values ('ways.bare',
             'it has no primary key, and no unique index over columns that are NOT NULL, '
             'so its rows cannot be told apart',
             'alter table ways.bare alter column v set not null, so that its unique index "single" does; '
             'or create a unique index over columns that are NOT NULL'),
            ('ways.below', 'its rows'' tenants are found through ways.bare, which cannot be protected as it is',
             'see what to do about ways.bare') $$,
  'what cannot be protected says what is missing and what to do, and so does what hangs on it');
create temp table ways_done as select * from m23.protect_schema('ways.orgs');
select is_empty($$ select table_name, why_not from ways_done where belongs in ('root', 'direct', 'path')
    and statement is not null $$, 'and all paths are protected in one call');
alter table ways.bare alter column v set not null;
select lives_ok($$ select * from m23.protect_schema('ways.orgs') $$, 'advice that was followed');
select set_has($$ select name from m23.protected_tables $$, $$ values ('ways.bare'), ('ways.below') $$,
  'leads on, to what hangs on the table as well');

-- Rows of users: the root is the system's.
create schema app;
create table auth.people (id uuid primary key);
create table app.lists (id int primary key, user_id uuid not null references auth.people on delete cascade);
create table app.items (id int primary key, list_id int not null references app.lists,
  added_by uuid references auth.people);
create table app.moods (id int primary key, user_id uuid);
select is(array(select "row" from pg_temp.plan('auth.people') "row" where "row" ~ '^(app|auth)'), array[
  'auth.people root',
  'app.items direct select m23.protect_table(''app.items'', ''added_by'')',
  'app.lists direct select m23.protect_table(''app.lists'', ''user_id'')',
  'app.moods direct select m23.protect_table(''app.moods'', ''user_id'')'],
  'a root of the system stays as it is');

-- No root: a column's name tells, with the type that most have.
create schema bare;
create table bare.a (id int primary key, workspace_id uuid);
create table bare.b (id int primary key, workspace_id uuid);
create table bare.c (id int primary key, workspace_id text);
create table bare.d (id int primary key, a_id int not null references bare.a);
select is(array(select "row" from pg_temp.plan(null, 'workspace_id') "row" where "row" like 'bare.%'), array[
  'bare.a direct select m23.protect_table(''bare.a'', ''workspace_id'')',
  'bare.b direct select m23.protect_table(''bare.b'', ''workspace_id'')',
  'bare.d path select m23.protect_table(''bare.d'', via => ''a_id'')',
  'bare.c asks select m23.protect_table(''bare.c'', ''workspace_id'')'], 'without a root, a column''s name tells');
create table bare.of_two (a int, b int, primary key (a, b));
select throws_ok($$ select * from m23.plan_protection('bare.of_two') $$, '42703', null,
  'a root has a key of one column');

-- Triggers of the application.
create function docs.erase() returns trigger language plpgsql as 'begin return null; end';
create trigger erase_file after delete on docs.events for each row execute function docs.erase();
create trigger touch after insert or update on docs.teams for each row execute function docs.erase();
select results_eq($$ select table_name, advice from m23.plan_protection('docs.organizations')
    where advice like 'acts%' $$,
  $$ values ('docs.events', 'acts on deletes by "erase_file" (nothing outside was recognised in its code): what that '
                           'does outside of the table (files over HTTP, say) no restore undoes') $$,
  'triggers that act on deletes are named by the plan');
select results_eq($$ select topic, state from m23.doctor() where finding like 'acts on deletes%' $$,
  $$ values ('docs.events', 'warning') $$, 'and by the doctor');

-- Tables that look as if they said who has access.
create table docs.memberships (id int primary key, organization_id text not null);
create table docs.grants (id int primary key, organization_id text not null, account_id uuid, role text);
create table docs.invitations (id int primary key);
select results_eq($$ select table_name, advice from m23.plan_protection('docs.organizations')
    where advice ~ 'who has access' and table_name like 'docs.%' order by 1 $$,
  $$ select t, 'looks as if it said who has access, and a restore takes it along: if it does, '
               'select m23.set_access_tables(array[…, ' || quote_literal(t) || ']::regclass[]); '
               'a restore leaves it out then, unless it names it'
       from unnest('{docs.grants, docs.memberships}'::text[]) t $$,
  'are asked about by the plan, if a tenant has them');

-- What a new protection leaves open is what protect_table warns of.
create function pg_temp.warnings(p_table regclass) returns setof text language sql as $$
  select w from m23.protected_tables t,
    lateral (select m23.tenant_column_doubt(t) union all select m23.relatives_sentences(t.relid)) s (w)
   where t.relid = p_table and w is not null $$;
create schema work;
create table work.projects (id int primary key, tenant_id uuid not null);
create table work.tasks (id int primary key, project_id int not null references work.projects);
create table work.comments (id int primary key, task_id int references work.tasks on delete set null);
select m23.protect_table('work.tasks', 'project_id');
select is(array(select "row" from pg_temp.warnings('work.tasks') "row"), array[
  'is protected by "project_id", which refers to work.projects; that has a tenant column itself, "tenant_id": '
  'is "project_id" really the tenant?',
  'is referred to by work.comments (ON DELETE SET NULL, "comments_task_id_fkey"), not protected: '
  'what its deleted rows take along there does not come back',
  'refers to work.projects, not protected: a row that is deleted there does not come back, nor do rows that need it'],
  'a column that is nobody''s tenant is noticed, and so is each relative that is not protected');
create table work.codes (id int primary key, code text not null);
insert into work.codes select n, 'code ' || n from generate_series(1, 50) n;
create table work.kinds (id int primary key, kind text not null);
insert into work.kinds select n, 'kind ' || n % 5 from generate_series(1, 50) n;
select m23.protect_table('work.codes', 'code');
select m23.protect_table('work.kinds', 'kind');
select matches((select pg_temp.warnings('work.codes')), 'nearly each row has a value of its own',
  'so is a column without two equal values');
select is_empty($$ select pg_temp.warnings('work.kinds') $$, 'one with many rows a value is not');

select * from finish();
rollback;
