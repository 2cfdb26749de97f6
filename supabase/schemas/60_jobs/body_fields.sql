-- The fields that a function's body may have. most: characters; words: those that may stand there.
create function m23.body_fields(p_function text)
returns table (field text, kind text, is_required boolean, most int, words text[])
language sql immutable rows 10 as $$
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
    ('backup-restore', 'onBlocked',        'word',    false, null, '{refuse,skip,"null"}'),
    ('backup-restore', 'dryRun',           'boolean', false, null, null),
    ('backup-restore', 'confirmRestore',   'boolean', false, null, null),
    ('backup-restore', 'planHash',         'line',    false, 128,  null),
    ('pitr-restore',   'targetTimestamp',  'moment',  true,  null, null),
    ('pitr-restore',   'baseBackupId',     'uuid',    false, null, null),
    ('pitr-restore',   'tables',           'tables',  false, null, null),
    ('pitr-restore',   'includeRelated',   'boolean', false, null, null),
    ('pitr-restore',   'onBlocked',        'word',    false, null, '{refuse,skip,"null"}'),
    ('pitr-restore',   'dryRun',           'boolean', false, null, null),
    ('pitr-restore',   'confirmRestore',   'boolean', false, null, null),
    ('pitr-restore',   'planHash',         'line',    false, 128,  null),
    ('pitr-rollback',  'snapshotId',       'uuid',    true,  null, null),
    ('pitr-rollback',  'reason',           'text',    false, 2000, null),
    ('pitr-rollback',  'onBlocked',        'word',    false, null, '{refuse,skip,"null"}'),
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
