-- What to do about a kind of finding.
create function m23.advice(p_kind text) returns text
language sql immutable as $$
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
    when p_kind = 'reference_broken'
      then 'Rows refer to rows that are not there: restore with onBlocked ("skip" or "null"), or beside the live data. '
           'If a table is missing in the backup, make a full backup of all related tables.'
    when p_kind = 'constraint_broken'
      then 'The rows no longer fit the constraints or tables of today: make a full backup of all related tables, or '
           'restore beside the live data.'
    when p_kind in ('fingerprint_differs', 'round_trip_differs', 'not_restorable')
      then 'Do not rely on this backup: make a full backup now and test it deep. '
           'If that fails as well, report it with this test''s id.' end
$$;
