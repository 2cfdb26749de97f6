-- Monitoring: what the operator of all tenants looks at. Which of the clock's jobs have come, how every tenant stands,
-- and what the doctor says of the service as a whole.

insert into m23.settings (name, value, about) values
  ('cron_late_minutes', '5', 'how long a job of the clock may stay away before it is late'),
  ('plan_late_minutes', '15', 'how long what a plan says is due may wait before it is overdue'),
  ('log_cap_bytes', '10737418240', 'how large all logs together should get: from four fifths on it is told');

create table m23.heartbeats (
  name     text primary key,
  since    timestamptz not null default clock_timestamp(),  -- known since
  begun_at timestamptz,
  ended_at timestamptz,
  ok       boolean,  -- how the last one ended
  error    text,     -- what went wrong: an event of its log, never a text of an error
  version  text,     -- of the function
  expected boolean not null default true  -- is late when it stays away
);
select m23.close_table('m23.heartbeats');
comment on table m23.heartbeats is 'When each job of the clock last came, and how it ended.';

insert into m23.heartbeats (name) values ('backup-create'), ('backup-restore'), ('recovery-test');

-- The jobs of the clock, with the seconds since they last came. One that never has is as old as M23 here.
create function m23.crons()
returns table (name text, age numeric, late boolean, ok boolean, error text, version text, came boolean)
language sql stable rows 4 as $$
  select h.name, round(greatest(s.age, 0)), s.age > m23.setting('cron_late_minutes')::numeric * 60,
         h.ok, h.error, h.version, h.begun_at is not null
    from m23.heartbeats h,
         lateral (select extract(epoch from clock_timestamp() - coalesce(h.begun_at, h.since))) s (age)
   where h.expected
$$;

-- open to: service_role
create function m23.overview()
returns table (tenant_id text, name text, last_backup_at timestamptz, rpo_minutes int, late boolean,
               last_proof_at timestamptz, score numeric, running int, failed_24h int, gaps int, plan text)
language plpgsql stable security definer rows 1000 set row_security = off as $$
begin
  return query
  select f.tenant_id, f.name, f.last_backup_at, f.rpo_minutes, f.late, f.last_proof_at, f.score, f.running,
         f.failed_24h, f.gaps, f.plan
    from m23.fleet() f;
end $$;
comment on function m23.overview() is 'How every tenant stands, the worst first: select * from m23.overview().';

-- A few of many, for a sentence.
create function m23.some_of(p_names text[]) returns text
language sql immutable as $$
  select array_to_string(p_names[1:5], ', ')
      || case when cardinality(p_names) > 5 then format(' and %s more', cardinality(p_names) - 5) else '' end
$$;

-- What the history of migrations says; null where there is none, or it cannot be read.
create function m23.history_has_migration() returns boolean
language plpgsql stable as $$
declare v_has boolean;
begin
  if to_regclass('supabase_migrations.schema_migrations') is null then return null; end if;
  execute 'select exists (select from supabase_migrations.schema_migrations where version = $1)'
    into v_has using m23.newest_migration();
  return v_has;
exception when insufficient_privilege then return null;
end $$;
