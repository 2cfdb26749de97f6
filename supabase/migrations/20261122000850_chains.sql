-- Chains: a full backup and the incrementals that build on it. An incremental holds, of each
-- table, the rows as of its own position of the keys that have changed since its parent's, and
-- what the log says of them: a moment between the two is reached backwards, from its end.

-- A chain up to one of its members, the full backup first.
create function m23.chain_of(p_job uuid) returns setof public.backup_jobs
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query
  with recursive chain as (
    select j.id, j.parent_backup_id, 0 as back from public.backup_jobs j where j.id = p_job
    union all
    select j.id, j.parent_backup_id, c.back + 1 from chain c join public.backup_jobs j on j.id = c.parent_backup_id)
  select j.* from chain c join public.backup_jobs j on j.id = c.id order by c.back desc;
end $$;

-- What keeps a backup, with all that it builds on, from being read; null when nothing does. A
-- recovery test looks at one whose key was erased all the same.
create function m23.chain_fault(p_job public.backup_jobs, p_needs_key boolean default true) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when j.id = p_job.id then 'this backup is ' else format('the chain is broken: "%s" is ', j.backup_name) end
           || case when j.deleted_at is not null then 'deleted' when j.status <> 'completed' then replace(j.status, '_', ' ') || ', not completed'
                   else 'encrypted with a key that was erased' end
      from m23.chain_of(p_job.id) j where j.deleted_at is not null or j.status <> 'completed' or p_needs_key and m23.key_is_erased(j.id)
      order by j.id <> p_job.id, j.created_at limit 1);
end $$;

-- Beginning an incremental --------------------------------------------------------------

-- The backup that an incremental names as its parent; null for none.
create function m23.parent_backup(p_tenant uuid, p_id uuid) returns public.backup_jobs
language plpgsql volatile set search_path = '' as $$
declare
  v_parent public.backup_jobs;
  v_fault  text;
begin
  if p_id is null then return null; end if;
  select * into v_parent from public.backup_jobs where id = p_id and tenant_id = p_tenant;
  if v_parent.id is null then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant to build on');
  end if;
  v_fault := case when v_parent.job_type = 'snapshot' then 'it is a snapshot, which lives inside the database; build on a full or an incremental backup'
                  else m23.chain_fault(v_parent) end;
  if v_fault is not null then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup', array['baseBackupId: ' || v_fault]);
  end if;
  return v_parent;
end $$;

-- Why the log cannot say what has changed since the parent; empty when it can.
create function m23.gaps_since(p_parent m23.backup_work, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  if p_parent.incarnation <> m23.incarnation() then
    return array['the database was restored or copied since that backup was made'];
  end if;
  return array(
    select format('the history of %s goes back to %s, and that backup is older', m23.public_name(t.relid), m23.iso(t.pruned_at))
      from m23.chosen(p_tables) t
     where pg_snapshot_xmin(p_parent.position) < t.pruned_below and not m23.is_whole(t, p_parent)
    union all
    select format('changes of %s may have gone unseen: %s', m23.public_name(t.relid), f.fault)
      from m23.chosen(p_tables) t
      join m23.capture_faults(array(select c.id from m23.chosen(p_tables) c)) f on f.table_id = t.id
     where not m23.is_whole(t, p_parent)
    union all
    select f from m23.tenant_fault(p_parent.tenant_id, m23.moment_of(p_parent.position, p_parent.position_at)) f where f is not null);
end $$;

-- The tables that a backup is of, by their present names; null for all.
create function m23.tables_of_job(p_job public.backup_jobs) returns text[]
language plpgsql volatile set search_path = '' as
$$ begin return case when p_job.tables is not null then m23.names_now(p_job.id, null) end; end $$;

-- Makes a job the next member of its parent's chain, with the parent's tables; gives the parent.
create function m23.join_chain(p_job public.backup_jobs) returns m23.backup_work
language plpgsql volatile set search_path = '' as $$
declare
  v_parent public.backup_jobs := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_work   m23.backup_work;
  v_gaps   text[];
begin
  if array(select t.id from m23.tables_named(p_job.tables) t order by 1)
       <> array(select t.id from m23.tables_named(m23.tables_of_job(v_parent)) t order by 1)
     and p_job.tables is not null then
    perform m23.refuse('VALIDATION_FAILED', 'the backup cannot be made as asked',
      array['tables: an incremental has the tables of the backup that it builds on; leave this out, or make a full backup']);
  end if;
  -- Nobody deletes it meanwhile, or has done so just now.
  perform from public.backup_jobs where id = v_parent.id for share;
  v_parent := m23.parent_backup(p_job.tenant_id, p_job.base_backup_id);
  v_parent.tables := m23.tables_of_job(v_parent);
  select * into v_work from m23.backup_work where job_id = v_parent.id;
  v_gaps := m23.gaps_since(v_work, v_parent.tables);
  if cardinality(v_gaps) > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', 'no incremental can build on that backup; make a full one',
                       array(select 'baseBackupId: ' || g from unnest(v_gaps) g));
  end if;
  update public.backup_jobs set parent_backup_id = v_parent.id, base_backup_id = coalesce(v_parent.base_backup_id, v_parent.id), tables = v_parent.tables
   where id = p_job.id;
  return v_work;
end $$;

-- Whether a member has a table whole: it is new since the parent, or has another shape, key or
-- history than it had there, or a partition was dropped with its rows.
create function m23.is_whole(p_table m23.protected_tables, p_parent m23.backup_work) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select p_parent.job_id is null or not pg_visible_in_snapshot(p_table.xid, p_parent.position)
      or m23.lost_since(p_table, p_parent.tenant_id, m23.moment_of(p_parent.position)) is not null or not exists (
    select from m23.backup_tables b
     where b.job_id = p_parent.job_id and b.table_id = p_table.id
       and b.columns = m23.shape_of(p_table.relid) and b.key = m23.key_of(p_table.relid) and b.tenant_column = m23.tenant_column(p_table)
       and format('%I.%I', b.schema_name, b.table_name) = m23.qualified_name(p_table.relid)));
end $$;

create function m23.count_changes(p_table m23.protected_tables, p_tenant uuid, p_since pg_snapshot) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_count bigint;
begin
  begin  -- which lets go of what it opens
    execute format('select count(*) from %s l where l.tenant_id = $1 and l.xid >= pg_snapshot_xmin($2)
                       and not pg_visible_in_snapshot(l.xid, $2)',
                   m23.log_of(p_table.id, p_tenant, pg_snapshot_xmin(p_since)))
      into v_count using p_tenant, p_since;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_count;
end $$;

-- The moments inside a member -----------------------------------------------------------

-- Whether the server has recorded commit times ever since.
create function m23.commit_times_since(p_at timestamptz) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select case when m23.commit_times_are_native() and not exists (
      select from m23.ticks t where t.at > p_at and not t.native) then 'native' else 'ticks' end);
end $$;

-- The transactions that have changed a tenant's rows since a position, in their order; null for none.
create function m23.changed_by(p_tables text[], p_tenant uuid, p_since pg_snapshot) returns xid8[]
language plpgsql volatile set search_path = '' as $$
declare
  v_table int;
  v_xids  xid8[] := '{}';
  v_more  xid8[];
begin
  foreach v_table in array
    m23.logged_tables(array(select t.id from m23.chosen(p_tables) t), p_tenant, pg_snapshot_xmin(p_since))
  loop
    begin  -- which lets go of what it opens
      execute format('select array_agg(distinct l.xid) from %s l where l.tenant_id = $1
                         and l.xid >= pg_snapshot_xmin($2) and not pg_visible_in_snapshot(l.xid, $2)',
                     m23.log_of(v_table, p_tenant, pg_snapshot_xmin(p_since)))
        into v_more using p_tenant, p_since;
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then null;
    end;
    v_xids := v_xids || v_more;
  end loop;
  return (select array_agg(distinct x order by x) from unnest(v_xids) x);
end $$;

-- The ticks between a parent and a position, as a manifest lists them: moments that lie between
-- the two, in their order. One that no change of the tenant's tells from its neighbours on either
-- side is left out, so that they are two for a change, and not one for each second: the state there
-- is that of the tick before. The last one before a change stays, for all until then is that state.
-- Only a transaction between the lower xmin and the higher xmax of a pair can be seen by one of it alone.
create function m23.ticks_between(p_parent m23.backup_work, p_position pg_snapshot, p_at timestamptz) returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return (with changes as materialized (
         select m23.changed_by((select m23.tables_of_job(j) from public.backup_jobs j where j.id = p_parent.job_id), p_parent.tenant_id, p_parent.position) as xids),
       paired as (
         select t.*, lag(t.position, 1, p_parent.position) over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as before
           from (select k.at, k.position, false as is_end from m23.ticks k
                  where m23.commit_times_since(p_parent.position_at) = 'ticks' and k.incarnation = (select m23.incarnation()) and k.at > p_parent.position_at and k.at < p_at
                    and m23.sees_all_of(k.position, p_parent.position) and m23.sees_all_of(p_position, k.position)
                 union all select p_at, p_position, true) t),
       told as (
         select p.*, exists (
             select from unnest((select xids from changes)[width_bucket(least(pg_snapshot_xmin(p.before), pg_snapshot_xmin(p.position)), (select xids from changes))
                                                          :width_bucket(greatest(pg_snapshot_xmax(p.before), pg_snapshot_xmax(p.position)), (select xids from changes))]) x
              where pg_visible_in_snapshot(x, p.before) <> pg_visible_in_snapshot(x, p.position)) as is_apart
           from paired p)
  select coalesce(jsonb_agg(jsonb_build_object('at', n.at, 'position', n.position::text) order by n.at, pg_snapshot_xmax(n.position)), '[]')
    from (select t.*, lead(t.is_apart) over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as is_left from told t) n
   where not n.is_end and (n.is_apart or n.is_left));
end $$;

create function m23.parent_position(p_job uuid) returns pg_snapshot
language sql stable set search_path = '' as
$$ select w.position from public.backup_jobs j join m23.backup_work w on w.job_id = j.parent_backup_id where j.id = p_job $$;

-- What a manifest says of its parent.
create function m23.parent_facts(p_parent uuid) returns json
language sql stable set search_path = '' as $$
  select json_build_object('backup_id', w.job_id, 'manifest', w.manifest, 'sha256', w.manifest_sha256, 'position', w.position::text, 'position_at', w.position_at)
    from m23.backup_work w where w.job_id = p_parent
$$;

-- Reading an incremental -----------------------------------------------------------------
-- Parameters of these queries: those of m23.touched_since for the member's own position, and
-- $4, the parent's as a moment. p_log: the log's entries since the parent, as m23.log_of() gives them.

-- The transactions that have changed a tenant's rows between the two positions.
create function m23.between_positions(p_log text) returns text
language sql stable set search_path = '' as $q$
  select format($$between_positions as materialized (
    select x.xid from (select distinct l.xid from %s l where l.tenant_id = $1 and l.xid >= ($4).floor) x
     where not pg_visible_in_snapshot(x.xid, ($4).position) and pg_visible_in_snapshot(x.xid, ($2).position))$$, p_log)
$q$;

-- The rows as of the member's position of the next keys that have changed since the parent's.
create function m23.changed_query(p_table m23.protected_tables, p_log text, p_limit int) returns text
language sql stable set search_path = '' as $q$
  select format($$with %1$s, %2$s,
      changed as materialized (
        select distinct %3$s from (select %4$s from %5$s l where l.tenant_id = $1 and l.xid >= ($4).floor and l.xid in (select xid from between_positions)) r where %6$s)
    (select %7$s from changed k join %8$s r on %9$s where r.%10$I = $1 and not %11$s order by %3$s limit %14$s)
    union all
    (select %7$s from touched r where %12$s and (exists (select from %8$s t where t.%10$I = $1 and %13$s))::int - r.m23_balance = 1 order by %3$s limit %14$s)$$,
    m23.touched_since(p_table, p_log), m23.between_positions(p_log), m23.key_list(p_table.relid, 'r'), m23.log_images(p_table), p_log,
    m23.key_after(p_table.relid), m23.select_list(p_table.relid, 'r'), m23.qualified_name(p_table.relid), m23.key_match(p_table.relid, 'k', 'r'),
    m23.tenant_column(p_table), m23.key_in(p_table.relid, 'r', 'touched'), m23.key_in(p_table.relid, 'r', 'changed'), m23.key_match(p_table.relid, 't', 'r'), p_limit)
$q$;

-- What the log says next of the changes between the two positions, with the time of each one's
-- commit where the server knows it.
create function m23.history_query(p_table m23.protected_tables, p_log text, p_limit int) returns text
language sql stable set search_path = '' as $q$
  select format($$with %s
    select l.op as m23_op, (l.change_id - '0/0')::bigint as m23_change_id, l.xid as m23_xid, %s as m23_at, coalesce(l.unchanged, 0) as m23_unchanged, %s
      from %s l where l.tenant_id = $1 and l.xid >= ($4).floor and l.xid in (select xid from between_positions)
       and ($3 is null or (l.change_id, l.xid) > ('0/0'::pg_lsn + ($3[1])::numeric, ($3[2])::xid8))
     order by l.change_id, l.xid limit %s$$,
    m23.between_positions(p_log),
    case when m23.commit_times_are_native() then 'coalesce((select c.at from m23.commit_times c where c.xid = l.xid), pg_xact_commit_timestamp(l.xid::xid))' else 'null::timestamptz' end,
    m23.log_images(p_table), p_log, p_limit)
$q$;

-- Snapshots -------------------------------------------------------------------------------

-- A backup that is a position: complete at once, inside the database, as long as the log is kept.
create function m23.make_snapshot_backup(p_job public.backup_jobs) returns json
language plpgsql volatile set search_path = '' as $$
declare
  v_names    text[] := m23.public_names(m23.chosen_tables(p_job.tables, false));
  v_id       uuid := m23.new_snapshot(p_job.tenant_id, p_job.backup_name, 'manual', v_names, p_job.created_by, null);
  v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots where id = v_id;
  perform m23.note_backup_work(p_job, null);
  update m23.backup_work set position = (v_snapshot.snapshot_data ->> 'position')::pg_snapshot, position_at = (v_snapshot.snapshot_data ->> 'taken_at')::timestamptz
   where job_id = p_job.id;
  perform m23.note_backup_tables(p_job, null);
  update m23.backup_tables set done = true, history_done = true where job_id = p_job.id;
  update public.backup_jobs set status = 'completed', started_at = clock_timestamp(), completed_at = clock_timestamp(), backup_size_bytes = 0, duration_seconds = 0,
         metadata = metadata || jsonb_build_object('snapshot_id', v_snapshot.id, 'expires_at', v_snapshot.expires_at,
           'position', v_snapshot.snapshot_data ->> 'position', 'position_at', v_snapshot.snapshot_data ->> 'taken_at',
           'note', 'lives inside the database: it is gone when the database is, and when it expires')
   where id = p_job.id;
  return json_build_object('job_id', p_job.id, 'backup_name', p_job.backup_name, 'estimated_duration', 0, 'status', 'in_progress');
end $$;

-- What clients ask ---------------------------------------------------------------------------

create function public.get_backup_chain(p_backup_id uuid) returns setof public.backup_jobs
language plpgsql stable security definer set search_path = '' set row_security = off as $$
declare v_tenant uuid := (select j.tenant_id from public.backup_jobs j where j.id = p_backup_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null or not m23.is_member(v_tenant) then
    perform m23.refuse('BACKUP_NOT_FOUND', 'no such backup in this tenant');
  end if;
  return query select * from m23.chain_of(p_backup_id);
end $$;
comment on function public.get_backup_chain(uuid) is 'The chain of a backup: the full one first, then its incrementals up to this one.';

-- Whether the caller belongs to a tenant; the service key belongs to all.
create function m23.is_member(p_tenant uuid) returns boolean
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  return m23.is_service() or exists (select from m23.caller_memberships() m where m.tenant_id = p_tenant);
end $$;

create function public.get_backup_statistics(p_tenant_id uuid, p_days_back int default 30) returns jsonb
language plpgsql stable security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return (select jsonb_build_object('total_backups', count(*), 'successful_backups', count(*) filter (where status = 'completed'),
      'failed_backups', count(*) filter (where status = 'failed'), 'total_size_bytes', coalesce(sum(backup_size_bytes) filter (where status = 'completed'), 0),
      'avg_duration_seconds', coalesce(round(avg(duration_seconds) filter (where status = 'completed'), 3), 0))
    from public.backup_jobs where tenant_id = p_tenant_id and created_at > now() - make_interval(days => greatest(0, least(p_days_back, 36500))));
end $$;
comment on function public.get_backup_statistics(uuid, int) is
  'The backups of the last days in figures: how many, how they ended, bytes stored, and seconds on average.';

select m23.open_to('{authenticated, service_role}', 'public.get_backup_chain(uuid)', 'public.get_backup_statistics(uuid, int)');
select m23.close_functions();
