-- Settings: what the operator of the service can set, each with what it is for.

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
  ('log_part_bytes',       '134217728', 'how large one part of a log gets before the next is begun'),
  ('commit_times_age',     '50000000', 'transactions after which a commit time is copied'),
  ('commit_times_kept',    '0',       'the transaction up to which commit times have been copied'),
  ('limit.pitr-rollback',  '5',       'calls an hour and tenant; the edge function writes its own limit here'),
  ('history_rows',         '10000',   'changes that the view transaction_logs shows, the newest'),
  ('audit_days',           '365',     'how long the audit is kept'),
  ('pending_jobs',         '50',      'backup jobs of a tenant that wait to be run, at most'),
  ('pending_job_days',     '7',       'how long a backup job that nobody runs is kept'),
  ('kept_previews',        '20',      'dry runs of a tenant whose further pages can be read, the newest');

create function m23.setting(p_name text) returns text
language plpgsql stable as $$
begin
  return (select value from m23.settings where name = p_name);
end $$;
comment on function m23.setting(text) is 'The value of a row of m23.settings.';
