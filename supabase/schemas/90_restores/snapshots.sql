-- Snapshots: positions to come back to, made in constant time.

-- An active snapshot of a tenant, of this life of the database; refused else.
create function m23.usable_snapshot(p_tenant text, p_snapshot uuid) returns public.pitr_snapshots
language plpgsql volatile as $$
declare v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots s
   where s.id = p_snapshot and s.tenant_id = p_tenant and s.status = 'active'
     and (s.expires_at is null or s.expires_at > clock_timestamp());
  if v_snapshot.id is null then
    perform m23.refuse('SNAPSHOT_NOT_FOUND', m23.unusable_because(p_tenant, p_snapshot));
  end if;
  if v_snapshot.snapshot_data ->> 'incarnation' <> m23.incarnation()::text then
    perform m23.refuse('SNAPSHOT_NOT_FOUND',
                       'this snapshot is of another life of the database, which was restored or copied since');
  end if;
  return v_snapshot;
end $$;

-- The moment of a snapshot.
create function m23.snapshot_moment(p_snapshot public.pitr_snapshots) returns m23.moment
language sql stable as $$
  select m23.moment_of((p_snapshot.snapshot_data ->> 'position')::pg_snapshot,
                       (p_snapshot.snapshot_data ->> 'taken_at')::timestamptz)
$$;

-- Refuses a snapshot that the log does not reach any more.
create function m23.refuse_unreached_snapshot(p_snapshot public.pitr_snapshots, p_tables text[]) returns void
language plpgsql volatile as $$
declare
  v_moment m23.moment := m23.snapshot_moment(p_snapshot);
  v_faults text[] := array(select 'snapshotId: ' || f.fault from m23.moment_faults(p_tables, v_moment) f);
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'that snapshot cannot be gone back to', v_faults);
  end if;
end $$;

-- Its tables stand there by name and, as they may be called otherwise by then, by number.
create function m23.new_snapshot(
  p_tenant text, p_name text, p_type text, p_tables text[], p_by uuid, p_restore uuid
) returns uuid
language sql as $$
  insert into public.pitr_snapshots (tenant_id, restore_log_id, snapshot_name, snapshot_type, created_by, expires_at,
                                     snapshot_data, affected_tables)
  values (p_tenant, p_restore, p_name, p_type, p_by,
          clock_timestamp() + make_interval(days => m23.setting('snapshot_days')::int),
          m23.snapshot_here() || jsonb_build_object(
            'table_ids', array(select (f.tbl).id from m23.find_tables(p_tables) f order by f.n),
            'transaction', pg_current_xact_id()::text),
          p_tables)
  returning id
$$;

-- Marks snapshots that have expired, so many at a time; gives how many.
create function m23.sweep_snapshots() returns bigint
language plpgsql as $$
declare v_count bigint;
begin
  update public.pitr_snapshots set status = 'expired' where ctid = any (array(
    select ctid from public.pitr_snapshots where status = 'active' and expires_at < clock_timestamp()
     limit 1000 for update skip locked));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
