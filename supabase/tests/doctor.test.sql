-- What keeps PostgREST from finding functions is a finding, with the way out.
begin;
select plan(3);
select is_empty($$ select from m23.doctor() where topic = 'PostgREST' $$, 'nothing is said where all is well');
do $$ begin execute format('alter database %I set quote_all_identifiers = on', current_database()); end $$;
select results_eq($$ select state, advice from m23.doctor() where topic = 'PostgREST' $$,
  $$ values ('problem', 'alter role authenticator set quote_all_identifiers = off; notify pgrst') $$, 'a setting of the database is one');
alter role authenticator set quote_all_identifiers = off;
select is_empty($$ select from m23.doctor() where topic = 'PostgREST' $$, 'what the role says comes first');
select * from finish();
rollback;
