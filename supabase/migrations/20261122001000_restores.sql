-- Restores: an archive is first read into staging, every hash checked by the worker;
-- live data is touched only by the one transaction at the end.

-- Restores and rollbacks that are under way: one for a tenant at a time. A test that restores
-- touches no live data, and stands in nobody's way.
create table m23.restore_work (
  work_id   uuid primary key,
  tenant_id uuid not null,
  kind      text not null check (kind in ('backup', 'pitr', 'rollback', 'test')),
  job_id    uuid,         -- the backup to read from
  moment    m23.moment,   -- of the log; with a backup too: what changed since is taken from the log
  tables    text[],       -- schema.table; null: all of the backup
  plan_hash text,
  inside    m23.moment,   -- a moment between the backup and its parent: the staged rows are taken back to it
  mode      text not null default 'exact' check (mode in ('exact', 'missing_only', 'overwrite_existing')),
  dry_run   boolean not null default false,
  detached  boolean not null default false  -- nobody waits for its answer: any worker may go on with it
);
create unique index restore_work_tenant on m23.restore_work (tenant_id) where kind <> 'test';
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
  primary key (restore_id, ordinal)
);
create table m23.staged_chunks (
  restore_id uuid not null,
  ordinal    int not null,
  seq        int not null,
  rows       int not null,
  primary key (restore_id, ordinal, seq),
  foreign key (restore_id, ordinal) references m23.staged_tables (restore_id, ordinal) on delete cascade
);
-- What the staging of an archive has found, for whoever is told how the work ends; a dry run too.
create table m23.staging_warnings (
  work_id uuid not null references m23.restore_work (work_id) on delete cascade,
  said    text not null,
  n       bigint generated always as identity,
  primary key (work_id, said)
);
select m23.close_table('m23.restore_work');
select m23.close_table('m23.staging_warnings');
select m23.close_table('m23.staged_tables');
select m23.close_table('m23.staged_chunks');

create function m23.staging_warnings(p_work uuid) returns text[]
language plpgsql stable set search_path = '' as $$ begin return array(select w.said from m23.staging_warnings w where w.work_id = p_work order by w.n); end $$;

-- Ending ---------------------------------------------------------------------------

create function m23.end_work(p_work uuid) returns void
language plpgsql set search_path = '' as $$
declare v_staging text;
begin
  for v_staging in select r from m23.staged_tables s, unnest(array[s.staging, s.history]) r where s.restore_id = p_work and r is not null loop
    execute format('drop table if exists %s', v_staging);
  end loop;
  delete from m23.restore_work where work_id = p_work;
  delete from m23.leases where work_id = p_work;
  delete from m23.cancellations where work_id = p_work;
end $$;

create function m23.fail_restore(p_work uuid, p_error text) returns void
language plpgsql set search_path = '' as $$
declare v_status text := case when exists (select from m23.cancellations where work_id = p_work) then 'cancelled' else 'failed' end;
begin
  update public.restore_logs set status = v_status, error_message = left(p_error, 2000), completed_at = clock_timestamp(),
         warnings = warnings || m23.staging_warnings(p_work),
         duration_seconds = round(extract(epoch from clock_timestamp() - coalesce(started_at, created_at)), 3)
   where id = p_work and status in ('pending', 'in_progress');
  update public.pitr_rollbacks set status = v_status, error_message = left(p_error, 2000), completed_at = clock_timestamp()
   where id = p_work and status in ('pending', 'in_progress');
  perform m23.end_work(p_work);
end $$;

-- Whether somebody drives a restore. p_is_wanted: another one of the tenant waits for it, and need not wait for one
-- whose backend is known to be dead. From the log, a restore is two calls, with nothing between them.
create function m23.is_driven(p_work m23.restore_work, p_is_wanted boolean) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return exists (select from m23.leases l where l.work_id = p_work.work_id and l.until > clock_timestamp()
                    and not (p_is_wanted and m23.holder_is_dead(l, p_work.job_id is null)));
end $$;

-- A restore whose worker has died before it wrote has changed nothing. One that is
-- writing holds its lock, however long it takes. One that was answered with 202 is taken up again.
create function m23.sweep_restores(p_tenant uuid default null) returns int
language plpgsql set search_path = '' as $$
declare
  v_work  m23.restore_work;
  v_swept int := 0;
begin
  for v_work in
    select w.* from m23.restore_work w
     where (p_tenant is null or w.tenant_id = p_tenant) and w.kind <> 'test' and not w.detached
       and not m23.is_driven(w, p_tenant is not null)
  loop
    if pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.fail_restore(v_work.work_id, 'the worker stopped before anything was changed; start again');
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end $$;

-- Its caller was told that it goes on (202). A dry run has a row to follow it by from then on.
create function public.m23_detach_restore(p_restore_id uuid, p_lease uuid) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
declare v_work m23.restore_work;
begin
  perform m23.check_lease(p_restore_id, p_lease);
  update m23.restore_work set detached = true where work_id = p_restore_id returning * into v_work;
  if v_work.dry_run then
    insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, tables, status, started_at, metadata)
      values (v_work.work_id, v_work.tenant_id, v_work.kind, v_work.job_id, (v_work.inside).taken, v_work.tables, 'in_progress', clock_timestamp(), '{"dry_run": true}');
  end if;
end $$;

-- How a dry run that nobody waited for has ended. Its rows are in the preview's pages.
create function m23.note_preview(p_work m23.restore_work, p_seen jsonb) returns json
language plpgsql set search_path = '' as $$
begin
  update public.restore_logs r set status = 'completed', completed_at = clock_timestamp(), stats = p_seen -> 'stats', warnings = coalesce(m23.list_of(p_seen -> 'warnings'), '{}'),
         duration_seconds = round(extract(epoch from clock_timestamp() - started_at), 3),
         metadata = r.metadata || jsonb_build_object('preview', p_seen - '{stats,warnings,previewChanges}'::text[])
   where r.id = p_work.work_id;
  return p_seen;
end $$;

-- Takes up a detached restore that nobody drives or writes; null when there is none.
create function public.m23_claim_restore() returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_work  m23.restore_work;
  v_lease m23.leases;
begin
  for v_work in
    select w.* from m23.restore_work w
     where w.detached and not exists (select from m23.leases l where l.work_id = w.work_id and l.until > clock_timestamp())
     order by w.work_id
  loop
    continue when not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id));
    v_lease := m23.take_lease(v_work.work_id);
    if v_lease.taken > 5 then
      perform m23.fail_restore(v_work.work_id, 'five workers have taken this restore up without getting further; nothing was changed');
    elsif v_lease.token is not null then
      return m23.order_of(v_work, v_lease.token);
    end if;
  end loop;
  return null;
end $$;
comment on function public.m23_claim_restore() is
  'For the workers: takes the lease of a restore that goes on without its caller and lost its worker, and gives its order.';

-- Beginning -------------------------------------------------------------------------

create function m23.restorable_backup(p_tenant uuid, p_job uuid, p_needs_key boolean default true) returns public.backup_jobs
language plpgsql set search_path = '' as $$
declare
  v_job   public.backup_jobs;
  v_fault text;
begin
  select * into v_job from public.backup_jobs where id = p_job and tenant_id = p_tenant;
  if v_job.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  v_fault := m23.chain_fault(v_job, p_needs_key);
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', v_fault);
  end if;
  return v_job;
end $$;

-- Names in backups ------------------------------------------------------------------
-- A backup has the names that tables had then. What a table is called now is known where it has been protected ever
-- since.

-- The table that a backup's is now. One that has taken its name since, and is protected, stands for it: that is how an
-- exchange for a copy is meant. No such table has been in the backup itself: two have only exchanged their names then.
create function m23.table_now(p_part m23.backup_tables) returns m23.protected_tables
language plpgsql volatile set search_path = '' as $$
declare
  v_life  uuid := m23.incarnation();
  v_named m23.protected_tables := m23.find_table(p_part.schema_name || '.' || p_part.table_name);
  v_known m23.protected_tables;
begin
  select t.* into v_known from m23.protected_tables t join pg_class c on c.oid = t.relid
   where t.id = p_part.table_id and t.incarnation = v_life;
  return case when v_known.id is null then v_named
              when v_named.id is null then v_known
              when exists (select from m23.backup_tables o where o.job_id = p_part.job_id and o.table_id = v_named.id)
              then v_known
              else v_named end;
end $$;

-- The parts of a backup (`schema.table`, as it has them) by the names that a caller can mean them by: what is called so
-- now goes before what was called so then.
create function m23.parts_called(p_job uuid) returns table (name text, part_name text)
language plpgsql volatile rows 20 set search_path = '' as $$
begin
  return query
  select distinct on (c.name) c.name, k.part_name
    from (select b.ordinal, b.schema_name, b.table_name, b.schema_name || '.' || b.table_name as part_name, n.relid
            from m23.backup_tables b cross join lateral (select (m23.table_now(b)).relid offset 0) n (relid)
           where b.job_id = p_job) k
   cross join lateral (values (m23.public_name(k.relid), true), (m23.raw_name(k.relid), true), (k.part_name, false),
                              (case k.schema_name when 'public' then k.table_name end, false)) c (name, is_now)
   where c.name is not null order by c.name, c.is_now desc, k.ordinal;
end $$;

-- The present names, `schema.table`, of a backup's tables, given by the names that it has for them; null for all that
-- are still protected.
create function m23.names_now(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return array(select m23.raw_name((n.t).relid) from m23.backup_tables b
                cross join lateral (select m23.table_now(b) as t offset 0) n
                where b.job_id = p_job and (n.t).id is not null
                  and (p_tables is null or b.schema_name || '.' || b.table_name = any (p_tables)) order by b.ordinal);
end $$;

-- What to say of a table that is called otherwise now; null for nothing.
create function m23.renamed_sentence(p_part m23.backup_tables, p_now m23.protected_tables) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_then  text := case p_part.schema_name when 'public' then '' else p_part.schema_name || '.' end || p_part.table_name;
  v_known text := (select m23.public_name(t.relid) from m23.protected_tables t where t.id = p_part.table_id);
begin
  return case
    when p_now.id is null then null
    when p_now.id <> p_part.table_id and v_known <> v_then
      then format('%1$s was another table then, which is called %2$s now; the rows went to the present %1$s', v_then, v_known)
    when m23.public_name(p_now.relid) = v_then then null
    when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
      then format('%s is called %s now', v_then, m23.public_name(p_now.relid))
    else format('%1$s was another table then, which is called %2$s now; the present %1$s is left as it is', v_then,
                m23.public_name(p_now.relid)) end;
end $$;

-- Why a table of a backup is left out.
create function m23.left_out_sentence(p_part m23.backup_tables) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format(case when to_regclass(format('%I.%I', p_part.schema_name, p_part.table_name)) is null
                     then '%s.%s does not exist any more and was left out; make it again and protect it'
                     else '%s.%s is not protected any more and was left out' end, p_part.schema_name, p_part.table_name);
end $$;

-- The names of a caller's tables as a backup has them, `schema.table`; null stays null.
create function m23.tables_in_backup(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare
  v_names  text[];
  v_faults text[];
begin
  select array_agg(b.part_name order by n.ord),
         array_agg(format('tables: "%s" is not in this backup', n.name) order by n.ord) filter (where b.part_name is null)
    into v_names, v_faults
    from unnest(p_tables) with ordinality n (name, ord) left join m23.parts_called(p_job) b on b.name = n.name;
  if v_faults is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
  return v_names;
end $$;

create function m23.list_of(p_json jsonb) returns text[]
language plpgsql immutable set search_path = '' as $$ begin return (select array_agg(t) from jsonb_array_elements_text(case jsonb_typeof(p_json) when 'array' then p_json end) t); end $$;

-- What a worker needs for work that it holds the lease of: for work on an archive also what
-- to read.
create function m23.order_of(p_work m23.restore_work, p_lease uuid) returns json
language plpgsql stable set search_path = '' as $$
begin
  return (select json_build_object('work_id', p_work.work_id, 'lease', p_lease, 'tenant_id', p_work.tenant_id, 'backup_id', p_work.job_id,
                             'manifest', b.manifest, 'manifest_sha256', b.manifest_sha256, 'tables', p_work.tables,
                             'rewind', (p_work.inside).taken is not null, 'dry_run', p_work.dry_run)
      from (select) one left join m23.backup_work b on b.job_id = p_work.job_id);
end $$;

create function m23.begin_work(p_work m23.restore_work) returns json
language plpgsql set search_path = '' as $$
begin
  perform m23.sweep_restores(p_work.tenant_id);
  begin
    insert into m23.restore_work select (p_work).*;
  exception when unique_violation then
    perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
  end;
  return m23.order_of(p_work, (m23.take_lease(p_work.work_id)).token);
end $$;

create function m23.begin_restore(p_tenant uuid, p_restore jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_job   public.backup_jobs := m23.restorable_backup(p_tenant, (p_restore ->> 'backupJobId')::uuid);
  v_work  m23.restore_work;
  v_begun json;
begin
  v_work := row(gen_random_uuid(), p_tenant, 'backup', v_job.id, null,
                m23.tables_in_backup(v_job.id, m23.list_of(p_restore -> 'tables')),
                p_restore ->> 'planHash', null, coalesce(p_restore ->> 'mode', 'exact'), coalesce((p_restore ->> 'dryRun')::boolean, false), false)::m23.restore_work;
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  if v_job.job_type = 'snapshot' then
    v_work := m23.from_snapshot(v_work);
  end if;
  if v_work.dry_run then
    return m23.begin_work(v_work);
  end if;
  v_begun := m23.log_restore(p_tenant, v_work, null, p_restore ->> 'targetSchema');
  update public.restore_logs set backup_job_id = v_job.id, metadata = metadata || jsonb_build_object('mode', v_work.mode) where id = v_work.work_id;
  return v_begun;
end $$;

create function public.m23_begin_restore(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'backup-restore');
  v_detail  text;
begin
  perform m23.refuse_body('backup-restore', p_restore);
  return m23.begin_restore(v_request.tenant_id, p_restore);
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_restore(uuid, jsonb) is
  'For backup-restore: accepts a restore under an admitted request, and gives what the worker has to read.';

create function m23.refuse_restore_faults(p_work m23.restore_work, p_schema text) returns void
language plpgsql set search_path = '' as $$
declare v_faults text[] := m23.schema_faults(p_schema);
begin
  if p_schema is not null then
    v_faults := v_faults || array(select format('tables: %s are called "%s"; restore them one at a time', string_agg(schema_name || '.' || table_name, ' and ' order by schema_name), table_name)
      from m23.backup_tables where job_id = p_work.job_id and (p_work.tables is null or schema_name || '.' || table_name = any (p_work.tables)) group by table_name having count(*) > 1);
    v_faults := v_faults || case when p_work.mode <> 'exact' then array['mode: is for live tables, not for targetSchema'] end
                         || case when p_work.dry_run then array['dryRun: is for live tables, not for targetSchema'] end;
  else
    v_faults := v_faults || m23.obstacle_faults(m23.names_now(p_work.job_id, p_work.tables));
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_faults);
  end if;
end $$;

-- Work on a backup that is a position: its rows come from the log.
create function m23.from_snapshot(p_work m23.restore_work) returns m23.restore_work
language plpgsql volatile set search_path = '' as $$
declare
  v_backup m23.backup_work;
  v_fault  text;
begin
  select * into v_backup from m23.backup_work where job_id = p_work.job_id;
  p_work.tables := m23.names_now(p_work.job_id, p_work.tables);  -- from here on they are those of live tables
  p_work.moment := m23.moment_of(v_backup.position, v_backup.position_at);
  select coalesce(min(m23.moment_fault(t, p_work.moment)), m23.tenant_fault(p_work.tenant_id, p_work.moment)) into v_fault
    from m23.tables_named(p_work.tables) t;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'this snapshot can no longer be restored: ' || v_fault);
  end if;
  p_work.job_id := null;
  return p_work;
end $$;

-- The row of restore_logs that stands for a restore, and its work.
create function m23.log_restore(p_tenant uuid, p_work m23.restore_work, p_target timestamptz, p_schema text) returns json
language plpgsql set search_path = '' as $$
declare v_begun json := m23.begin_work(p_work);
begin
  insert into public.restore_logs (id, tenant_id, restore_type, backup_job_id, target_timestamp, target_schema, tables, status, started_at)
    values (p_work.work_id, p_tenant, p_work.kind, p_work.job_id, p_target, p_schema, p_work.tables, 'in_progress', clock_timestamp());
  return v_begun;
end $$;

select m23.open_to('{authenticated, service_role}', 'public.m23_begin_restore(uuid, jsonb)');
select m23.open_to('{service_role}', 'public.m23_detach_restore(uuid, uuid)', 'public.m23_claim_restore()');
select m23.close_functions();
