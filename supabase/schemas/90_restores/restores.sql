-- Restores: an archive is first read into staging, every hash checked by the worker;
-- live data is touched only by the one transaction at the end.

-- Restores and rollbacks that are under way: one for a tenant at a time. A test that restores
-- touches no live data, and stands in nobody's way.
create table m23.restore_work (
  work_id         uuid primary key,
  tenant_id       text not null,
  kind            text not null check (kind in ('backup', 'pitr', 'rollback', 'test')),
  job_id          uuid,         -- the backup to read from
  moment          m23.moment,   -- of the log; with a backup too: what changed since is taken from the log
  tables          text[],       -- schema.table; null: all of the backup
  plan_hash       text,
  moment_in_chain m23.moment,   -- one between the backup and its parent: the staged rows are taken back to it
  dry_run         boolean not null default false,
  detached        boolean not null default false,  -- nobody waits for its answer: any worker may go on with it
  on_blocked      text not null default 'refuse' check (on_blocked in ('refuse', 'skip', 'null')),
  named           oid[],        -- the tables that the request named; null: none
  caller          uuid,         -- null: the service
  selection       jsonb,        -- which of the changed rows (m23.selection_of); null: all
  undo            m23.undoing,  -- what is taken back, in place of going back to the moment
  constraint has_a_source check (kind in ('rollback', 'test') or job_id is not null or (moment).position is not null),
  constraint rollback_reads_no_backup check (kind <> 'rollback' or job_id is null),
  constraint test_reads_a_backup check (kind <> 'test' or job_id is not null and not detached),
  constraint in_chain_of_a_backup
    check ((moment_in_chain).taken is null or kind = 'pitr' and job_id is not null and (moment).position is null),
  constraint dry_run_is_of_a_restore check (not dry_run or kind in ('backup', 'pitr'))
);
create unique index restore_work_tenant on m23.restore_work (tenant_id) where kind <> 'test';
select m23.close_table('m23.restore_work');

-- Work to begin, by its fields: what makes some names those that it has.
create function m23.new_work(
  p_tenant text, p_kind text, p_work uuid default gen_random_uuid(), p_job uuid default null,
  p_moment m23.moment default null, p_tables text[] default null, p_plan_hash text default null,
  p_in_chain m23.moment default null, p_dry_run boolean default false,
  p_on_blocked text default null, p_selection jsonb default null, p_undo m23.undoing default null
) returns m23.restore_work
language plpgsql volatile as $$
declare v_work m23.restore_work;
begin
  v_work.work_id := p_work;
  v_work.tenant_id := p_tenant;
  v_work.kind := p_kind;
  v_work.job_id := p_job;
  v_work.moment := p_moment;
  v_work.tables := p_tables;
  v_work.plan_hash := p_plan_hash;
  v_work.moment_in_chain := p_in_chain;
  v_work.dry_run := p_dry_run;
  v_work.detached := false;
  v_work.on_blocked := coalesce(p_on_blocked, 'refuse');
  v_work.caller := auth.uid();
  v_work.selection := p_selection;
  v_work.undo := p_undo;
  return v_work;
end $$;

create table m23.staged_tables (
  restore_id uuid not null references m23.restore_work (work_id) on delete cascade,
  ordinal    int not null,
  table_id   int not null,
  staging    text not null,
  fields     text[] not null,   -- the archive's columns, in the order of its lines
  types      text[] not null,   -- that they had then
  columns    text[] not null,   -- those that the live table has too
  rows       bigint not null,   -- lines that the manifests promise
  standing   bigint not null default 0,  -- rows that are there by now
  altered    bigint not null default 0,  -- of a test: chunks that do not hold the lines which were backed up
  history    text,              -- a relation with what the log says since the parent, to go back by
  groups     jsonb,             -- of that: the columns that each bit of `unchanged` stands for
  primary key (restore_id, ordinal),
  constraint columns_are_fields check (columns <@ fields),
  constraint no_negative_counts check (rows >= 0 and standing >= 0 and altered >= 0)
);
select m23.close_table('m23.staged_tables');

create table m23.staged_chunks (
  restore_id uuid not null,
  ordinal    int not null,
  seq        int not null,
  rows       int not null,
  primary key (restore_id, ordinal, seq),
  foreign key (restore_id, ordinal) references m23.staged_tables (restore_id, ordinal) on delete cascade,
  constraint counts_from_one check (seq >= 1 and rows >= 0)
);
select m23.close_table('m23.staged_chunks');

-- Takes work away, with what it has staged, its lease and a wish to cancel it.
create function m23.end_work(p_work uuid) returns void
language plpgsql as $$
declare v_staging text;
begin
  for v_staging in
    select r from m23.staged_tables s, unnest(array[s.staging, s.history]) r
     where s.restore_id = p_work and r is not null
  loop
    execute format('drop table if exists %s', v_staging);
  end loop;
  delete from m23.restore_work where work_id = p_work;
  delete from m23.leases where work_id = p_work;
  delete from m23.cancellations where work_id = p_work;
end $$;

-- Ends a restore or rollback as failed, or as cancelled where somebody wished that.
create function m23.fail_restore(p_work uuid, p_error text) returns void
language plpgsql as $$
declare v_status text := case when exists (select from m23.cancellations where work_id = p_work) then 'cancelled'
                              else 'failed' end;
begin
  update public.restore_logs set status = v_status, error_message = left(p_error, 2000),
         completed_at = clock_timestamp(),
         warnings = warnings || m23.staging_warnings(p_work),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_work and status in ('pending', 'in_progress');
  update public.pitr_rollbacks set status = v_status, error_message = left(p_error, 2000),
         completed_at = clock_timestamp()
   where id = p_work and status in ('pending', 'in_progress');
  perform m23.end_work(p_work);
end $$;

-- Whether somebody drives a restore. p_is_wanted: another one of the tenant waits for it, and need not wait for one
-- whose backend is known to be dead. From the log, a restore is two calls, with nothing between them.
create function m23.is_driven(p_work m23.restore_work, p_is_wanted boolean) returns boolean
language plpgsql volatile as $$
begin
  return exists (select from m23.leases l where l.work_id = p_work.work_id and l.until > clock_timestamp()
                    and not (p_is_wanted and m23.holder_is_dead(l, p_work.job_id is null)));
end $$;

-- What a worker needs for work that it holds the lease of: for work on an archive also what
-- to read.
create function m23.order_of(p_work m23.restore_work, p_lease uuid) returns json
language plpgsql stable as $$
begin
  return (select json_build_object('work_id', p_work.work_id, 'lease', p_lease, 'tenant_id', p_work.tenant_id,
                                   'backup_id', p_work.job_id, 'manifest', b.manifest,
                                   'manifest_sha256', b.manifest_sha256, 'tables', p_work.tables,
                                   'rewind', (p_work.moment_in_chain).taken is not null, 'dry_run', p_work.dry_run)
      from (select) one left join m23.backup_work b on b.job_id = p_work.job_id);
end $$;

-- Notes work, and takes its lease; gives its order. Refused while other work of the tenant is running.
create function m23.begin_work(p_work m23.restore_work) returns json
language plpgsql as $$
begin
  perform m23.sweep_restores(p_work.tenant_id);
  begin
    insert into m23.restore_work select (p_work).*;
  exception when unique_violation then
    perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
  end;
  return m23.order_of(p_work, (m23.take_lease(p_work.work_id)).token);
end $$;

-- The row of restore_logs that stands for a restore, and its work.
create function m23.log_restore(
  p_tenant text, p_work m23.restore_work, p_target timestamptz, p_schema text
) returns json
language plpgsql as $$
declare v_begun json := m23.begin_work(p_work);
begin
  insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, target_schema, tables,
                                   status, started_at)
    values (p_work.work_id, p_tenant, p_work.kind, p_work.job_id, p_target, p_schema, p_work.tables, 'in_progress',
            clock_timestamp());
  return v_begun;
end $$;
