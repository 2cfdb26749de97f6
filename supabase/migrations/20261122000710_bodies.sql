-- Bodies of requests, looked at again by the database: whoever calls it without an edge function, with the id of an
-- admitted request, gets no further than they would through it. The words are those of the edge functions.

-- The fields that a function's body may have. most: characters; words: those that may stand there.
create function m23.body_fields(p_function text)
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

create function m23.is_moment(p_text text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return p_text ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$'
     and p_text::timestamptz is not null;
exception when data_exception then return false;
end $$;

create function m23.line_fault(p_text text) returns text
language sql immutable set search_path = '' as $$
  select case when p_text !~ '[^[:space:][:cntrl:]]' then 'must not be blank'
              when p_text ~ '[[:cntrl:]]' then 'must not contain control characters' end
$$;

create function m23.tables_fault(p_tables jsonb) returns text
language sql immutable set search_path = '' as $$
  select case
    when jsonb_typeof(p_tables) <> 'array' then 'must be a list of table names'
    when p_tables = '[]' then 'must name at least one table; leave it out for every protected table'
    else (select case when jsonb_typeof(t.name) <> 'string' then format('entry %s must be a string', t.n)
                      when count(*) over (partition by t.name) > 1 then format('%s is named twice', t.name) end
            from jsonb_array_elements(p_tables) with ordinality t (name, n)
           order by jsonb_typeof(t.name) = 'string', count(*) over (partition by t.name) desc limit 1) end
$$;

-- What is wrong with the value of a field; null for nothing.
create function m23.value_fault(p_kind text, p_most int, p_words text[], p_value jsonb) returns text
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

-- What a body's fields have to do with each other. p_dry_run: the call only looks (true), or changes data (false); null
-- where the body decides.
create function m23.together_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
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

create function m23.body_faults(p_function text, p_body jsonb, p_dry_run boolean) returns text[]
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

-- Refuses a body that an edge function would not have let through.
create function m23.refuse_body(p_function text, p_body jsonb, p_dry_run boolean default null) returns void
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

select m23.close_functions();
