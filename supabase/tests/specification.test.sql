-- What rows of work, backups, staging and alerts can never be: each CHECK refuses its row.
begin;
select no_plan();

-- The constraint that an INSERT into a table of m23 breaks: a row that holds, with some fields as they may not be.
create function pg_temp.broken(p_table text, p_row jsonb) returns text language plpgsql as $$
declare v_name text;
begin
  execute format('insert into m23.%1$I (%2$s) select %2$s from jsonb_populate_record(null::m23.%1$I, $1)', p_table,
    (select string_agg(quote_ident(k), ', ') from jsonb_object_keys(p_row) k)) using p_row;
  return 'none';
exception when check_violation then
  get stacked diagnostics v_name = constraint_name;
  return v_name;
end $$;

-- A row of each table that breaks none, as far as nothing is said besides.
create function pg_temp.sound(p_table text) returns jsonb language sql as $$
  select case p_table
    when 'backup_work' then jsonb_build_object('job_id', gen_random_uuid(), 'tenant_id', gen_random_uuid(),
      'position', '1:1:', 'incarnation', m23.incarnation(), 'position_at', now(), 'commit_times', 'native', 'prefix', 'p')
    when 'backup_tables' then jsonb_build_object('job_id', gen_random_uuid(), 'ordinal', 1, 'table_id', 1,
      'schema_name', 'public', 'table_name', 't', 'tenant_column', 'c', 'columns', '[{}]'::jsonb, 'attnums', '{1}',
      'key', '{id}', 'whole', true, 'estimated_rows', 0, 'history_done', true)
    when 'protected_tables' then jsonb_build_object('relid', 1, 'tenant_attnum', 1, 'key_attnums', '{1}', 'name', 't',
      'tenant_type', 'text', 'incarnation', m23.incarnation())
    when 'table_statements' then jsonb_build_object('table_id', 1, 'name', 'n', 'mark', 'm', 'pieces', '{a}')
    when 'absent_parents' then jsonb_build_object('table_id', 1, 'parent_id', 1, 'key', '{1}')
    when 'backup_chunks' then jsonb_build_object('job_id', gen_random_uuid(), 'ordinal', 1, 'seq', 1, 'object', 'o',
      'rows', 1, 'bytes', 1, 'stored_bytes', 1, 'sha256', repeat('0', 64), 'last_key', '{}')
    when 'restore_work' then jsonb_build_object('work_id', gen_random_uuid(), 'tenant_id', gen_random_uuid(),
      'kind', 'pitr', 'job_id', gen_random_uuid())
    when 'staged_tables' then jsonb_build_object('restore_id', gen_random_uuid(), 'ordinal', 1, 'table_id', 1,
      'staging', 's', 'fields', '{a,b}', 'types', '{int,int}', 'columns', '{a}', 'rows', 1)
    when 'staged_chunks' then jsonb_build_object('restore_id', gen_random_uuid(), 'ordinal', 1, 'seq', 1, 'rows', 1)
    when 'test_work' then jsonb_build_object('test_id', gen_random_uuid(), 'staging_at', now())
    when 'previews' then jsonb_build_object('tenant_id', gen_random_uuid(), 'tables', '{}',
      'plan_hash', repeat('0', 64), 'left_alone', false)
    when 'preview_rows' then jsonb_build_object('preview_id', gen_random_uuid(), 'table_name', 't', 'changes', '[]'::jsonb)
    when 'plan_runs' then jsonb_build_object('plan_id', gen_random_uuid(), 'kind', 'backup', 'due_at', now())
    when 'alerts' then jsonb_build_object('kind', 'k', 'subject', 's', 'summary', 's')
    when 'alert_deliveries' then jsonb_build_object('alert_id', gen_random_uuid(), 'edge', 'began')
    when 'archive_keys' then jsonb_build_object('key_id', gen_random_uuid(), 'tenant_id', gen_random_uuid())
    when 'plans' then jsonb_build_object('table_id', 1, 'name', 't', 'inserts', 0, 'updates', 0, 'deletes', 0) end
$$;

create temp table faults (tbl text, name text, fields jsonb);
insert into faults values
  ('backup_work', 'manifest_with_its_hash', '{"manifest": "m"}'),
  ('backup_work', 'manifest_hash_is_sha256', '{"manifest": "m", "manifest_sha256": "0"}'),
  ('backup_work', 'lists_are_arrays', '{"ticks": {}, "definitions": []}'),
  ('protected_tables', 'a_tenant_column_or_a_path', '{"tenant_attnum": null}'),
  ('protected_tables', 'a_path_has_columns',
   '{"tenant_attnum": null, "parent_id": 1, "via_attnums": [1, 2], "parent_attnums": [1]}'),
  ('absent_parents', 'a_key_has_no_nulls', '{"key": ["1", null]}'),
  ('table_statements', 'begins_and_ends_with_a_text', '{"pieces": ["a", "log"]}'),
  ('backup_tables', 'a_tenant_column_or_a_path', '{"tenant_column": null}'),
  ('backup_tables', 'whole_has_no_history', '{"history_done": false}'),
  ('backup_tables', 'has_key_and_columns', '{"key": []}'),
  ('backup_tables', 'numbers_of_all_columns', '{"attnums": [1, 2]}'),
  ('backup_tables', 'counts_from_one', '{"ordinal": 0}'),
  ('backup_chunks', 'counts_from_one', '{"seq": 0}'),
  ('restore_work', 'has_a_source', '{"job_id": null}'),
  ('restore_work', 'rollback_reads_no_backup', '{"kind": "rollback"}'),
  ('restore_work', 'test_reads_a_backup', '{"kind": "test", "detached": true}'),
  ('restore_work', 'in_chain_of_a_backup', '{"kind": "backup", "moment_in_chain": {"taken": "2026-01-01"}}'),
  ('restore_work', 'dry_run_is_of_a_restore', '{"kind": "test", "dry_run": true}'),
  ('staged_tables', 'columns_are_fields', '{"columns": ["c"]}'),
  ('staged_tables', 'no_negative_counts', '{"standing": -1}'),
  ('staged_chunks', 'counts_from_one', '{"seq": 0}'),
  ('test_work', 'is_an_object', '{"state": []}'),
  ('test_work', 'trial_was_staged', '{"trial": {}, "staging_at": null}'),
  ('previews', 'hash_is_sha256', '{"plan_hash": "1"}'),
  ('preview_rows', 'is_an_array', '{"changes": {}}'),
  ('plan_runs', 'became_work_or_says_why', '{"note": "n", "work_id": "11111111-1111-4111-8111-111111111111"}'),
  ('alerts', 'event_has_ended', '{"is_event": true}'),
  ('alert_deliveries', 'ends_once', '{"delivered_at": "2026-01-01", "failed_at": "2026-01-01"}'),
  ('alert_deliveries', 'no_negative_counts', '{"attempts": -1}'),
  ('archive_keys', 'erased_is_retired', '{"erased_at": "2026-01-01"}'),
  ('plans', 'no_negative_counts', '{"left_alone": 1, "unreachable": 2}');

set session_replication_role = replica;  -- rows that they refer to are not there
select is(pg_temp.broken(t, pg_temp.sound(t)), 'none', format('a row of %s can be as it should be', t))
  from (select distinct tbl from faults) f (t) order by t;
select is(pg_temp.broken(tbl, pg_temp.sound(tbl) || fields), name, format('%s: %s', tbl, name))
  from faults order by tbl, name;
select is((select array_agg(c.conname::text order by c.conname) from pg_constraint c
            where c.contype = 'c' and c.connamespace = 'm23'::regnamespace and c.conname !~ '_check\d*$'
              and c.conrelid <> 0 and (c.conrelid::regclass::text, c.conname::text) not in (
                select 'm23.' || tbl, name from faults)),
  null, 'every check that has a name of its own is tried');

select * from finish();
rollback;
