-- Snapshots and rollbacks: a snapshot is a position, made in constant time; a rollback is a
-- restore to it, which leaves a snapshot of its own, so that it can be rolled back as well.

create function public.create_pitr_snapshot(p_tenant_id uuid, p_snapshot_name text, p_affected_tables text[], p_created_by uuid,
                                            p_restore_log_id uuid default null) returns uuid
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_faults text[];
  v_id     uuid;
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  perform m23.require_self(p_created_by, 'p_created_by');
  v_faults := m23.table_faults(p_affected_tables) || case when p_affected_tables = '{}' then array['p_affected_tables: is empty; leave it out for all tables'] else '{}' end;
  if p_restore_log_id is not null and not exists (select from public.restore_logs where id = p_restore_log_id and tenant_id = p_tenant_id) then
    v_faults := v_faults || 'p_restore_log_id: no such restore in this tenant'::text;
  end if;
  if coalesce(char_length(p_snapshot_name), 0) not between 1 and 200 then
    v_faults := v_faults || 'p_snapshot_name: must have 1 to 200 characters'::text;
  end if;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the snapshot cannot be made as asked', v_faults);
  end if;
  v_id := m23.new_snapshot(p_tenant_id, p_snapshot_name, 'manual', m23.public_names(m23.chosen_tables(p_affected_tables, false)), p_created_by, p_restore_log_id);
  perform m23.audit_done(p_tenant_id, 'create_pitr_snapshot', jsonb_build_object('id', v_id));
  return v_id;
end $$;
comment on function public.create_pitr_snapshot(uuid, text, text[], uuid, uuid) is
  'A manual snapshot of this moment, for pitr-rollback; p_affected_tables null means every protected table. Owner, admin, operator.';

create function m23.public_names(p_tables text[]) returns text[]
language sql stable set search_path = '' as
$$ select array_agg(m23.public_name(t.relid) order by 1) from m23.tables_named(p_tables) t $$;

-- Only the service key may name somebody else.
create function m23.require_self(p_user uuid, p_name text) returns void
language plpgsql stable set search_path = '' as $$
begin
  if not m23.is_service() and p_user is distinct from auth.uid() then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', format('%s must be yourself', p_name));
  end if;
end $$;

create function public.get_active_pitr_snapshots(p_tenant_id uuid)
returns table (snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz, created_by uuid, expires_at timestamptz,
               affected_tables text[], restore_log_id uuid)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select s.id, s.snapshot_name, s.snapshot_type, s.created_at, s.created_by, s.expires_at, s.affected_tables, s.restore_log_id
    from public.pitr_snapshots s
   where s.tenant_id = p_tenant_id and s.status = 'active' and (s.expires_at is null or s.expires_at > clock_timestamp())
     and s.snapshot_data ->> 'incarnation' = (select m23.incarnation())::text
     and not exists (select from m23.protected_tables t join pg_class c on c.oid = t.relid
                      where s.snapshot_data -> 'table_ids' @> to_jsonb(t.id) and not pg_visible_in_snapshot(t.xid, (s.snapshot_data ->> 'position')::pg_snapshot))
   order by s.created_at desc, s.id;
end $$;
comment on function public.get_active_pitr_snapshots(uuid) is 'The snapshots that can be rolled back to, newest first.';

-- Rollback ------------------------------------------------------------------------------

-- Why a snapshot is no active one of a tenant.
create function m23.unusable_because(p_tenant uuid, p_snapshot uuid) returns text
language plpgsql stable set search_path = '' as $$
begin
  return coalesce((
    select case
        when s.status = 'rolled_back' then concat('this snapshot was used at ', m23.iso(s.rolled_back_at),
          (select ' by the rollback ' || r.id from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1),
          (select '; the snapshot ' || r.pre_rollback_snapshot_id || ' undoes that' from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1))
        when s.expires_at <= clock_timestamp() then 'this snapshot expired at ' || m23.iso(s.expires_at)
        else 'this snapshot is ' || s.status end
      from public.pitr_snapshots s where s.id = p_snapshot and s.tenant_id = p_tenant),
    'no such active snapshot in this tenant');
end $$;

create function m23.usable_snapshot(p_tenant uuid, p_snapshot uuid) returns public.pitr_snapshots
language plpgsql volatile set search_path = '' as $$
declare v_snapshot public.pitr_snapshots;
begin
  select * into v_snapshot from public.pitr_snapshots s
   where s.id = p_snapshot and s.tenant_id = p_tenant and s.status = 'active' and (s.expires_at is null or s.expires_at > clock_timestamp());
  if v_snapshot.id is null then
    perform m23.refuse('SNAPSHOT_NOT_FOUND', m23.unusable_because(p_tenant, p_snapshot));
  end if;
  if v_snapshot.snapshot_data ->> 'incarnation' <> m23.incarnation()::text then
    perform m23.refuse('SNAPSHOT_NOT_FOUND', 'this snapshot is of another life of the database, which was restored or copied since');
  end if;
  return v_snapshot;
end $$;

create function m23.snapshot_moment(p_snapshot public.pitr_snapshots) returns m23.moment
language sql stable set search_path = '' as $$
  select m23.moment_of((p_snapshot.snapshot_data ->> 'position')::pg_snapshot, (p_snapshot.snapshot_data ->> 'taken_at')::timestamptz)
$$;

-- The tables of a snapshot by the names that they have now. Those that are no longer protected cannot come back: said, not passed over.
create function m23.rollback_tables(p_snapshot public.pitr_snapshots, out tables text[], out warnings text[])
language sql stable set search_path = '' as $$
  select array_agg(coalesce(c.name, s.name) order by s.n) filter (where c.name is not null or t.id is null and (m23.find_table(s.name)).id is not null),
         coalesce(array_agg(case
             when c.name <> s.name then format('%s is called %s now', s.name, c.name)
             when t.id is not null then format('%s was dropped since and was left out; its rows cannot come back', s.name)
             else format('%s is not protected any more and was left out', s.name) end order by s.n)
           filter (where c.name is distinct from s.name and (t.id is not null or (m23.find_table(s.name)).id is null)), '{}')
    from rows from (unnest(p_snapshot.affected_tables), jsonb_array_elements_text(p_snapshot.snapshot_data -> 'table_ids'))
         with ordinality s (name, id, n)
    left join m23.protected_tables t on t.id = s.id::int
   cross join lateral (select m23.public_name(t.relid)) c (name)
$$;

-- Refuses a snapshot that the log does not reach any more.
create function m23.refuse_unreached_snapshot(p_snapshot public.pitr_snapshots, p_tables text[]) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment := m23.snapshot_moment(p_snapshot);
  v_faults text[] := array(select 'snapshotId: ' || f.fault from m23.moment_faults(p_tables, v_moment) f);
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'that snapshot cannot be gone back to', v_faults);
  end if;
end $$;

-- Rows that others have changed since the restore which a snapshot preceded: undoing the
-- restore undoes them, too.
create function m23.changed_since_restore(p_snapshot public.pitr_snapshots, p_tables text[]) returns text[]
language plpgsql volatile set search_path = '' as $$
declare
  v_restore text := (select r.metadata ->> 'transaction' from public.restore_logs r where r.id = p_snapshot.restore_log_id);
  v_moment  m23.moment := m23.snapshot_moment(p_snapshot);
  v_table   m23.protected_tables;
  v_count   bigint;
  v_said    text[] := '{}';
begin
  if v_restore is null then return v_said; end if;
  for v_table in
    select t.* from m23.tables_with_entries(p_tables, p_snapshot.tenant_id, v_restore::xid8) t order by t.id
  loop
    execute format('select count(*) from (select distinct %s from %s l where l.tenant_id = $1 and %s and l.xid > $3) changed',
        (select string_agg('l.' || m23.log_field(v_table, c.attnum), ', ' order by c.key_ord) from m23.columns_of(v_table.relid, p_of_key => true) c),
        m23.log_of(v_table.id, p_snapshot.tenant_id, v_restore::xid8), m23.lies_after('l.xid')) into v_count
      using p_snapshot.tenant_id, v_moment, v_restore::xid8;
    if v_count > 0 then
      v_said := v_said || format('%s: %s row(s) were changed after the restore; the rollback takes those changes back, too', m23.public_name(v_table.relid), v_count);
    end if;
  end loop;
  return v_said;
end $$;

create function m23.begin_rollback(p_tenant uuid, p_snapshot uuid, p_by uuid, p_reason text, p_plan_hash text) returns json
language plpgsql volatile set search_path = '' as $$
declare
  v_snapshot public.pitr_snapshots := m23.usable_snapshot(p_tenant, p_snapshot);
  v_id       uuid := gen_random_uuid();
  v_chosen   record;
  v_begun    json;
begin
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  v_begun := m23.begin_work(row(v_id, p_tenant, 'rollback', null, m23.snapshot_moment(v_snapshot), v_chosen.tables, p_plan_hash, null, 'exact', false, false)::m23.restore_work);
  insert into public.pitr_rollbacks (id, tenant_id, created_by, snapshot_id, reason, status, affected_tables, warnings)
    values (v_id, p_tenant, p_by, v_snapshot.id, p_reason, 'in_progress', v_chosen.tables,
            v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
  return v_begun;
end $$;

create function public.m23_begin_rollback(p_request_id uuid, p_rollback jsonb) returns json
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-rollback');
  v_detail  text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, false);
  return m23.begin_rollback(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid, auth.uid(), p_rollback ->> 'reason', p_rollback ->> 'planHash');
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_rollback(uuid, jsonb) is 'For pitr-rollback: accepts a rollback under an admitted request.';

create function public.m23_preview_rollback(p_request_id uuid, p_rollback jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '60s' as $$
declare
  v_request  m23.requests := m23.use_request(p_request_id, 'pitr-rollback', true);
  v_snapshot public.pitr_snapshots;
  v_chosen   record;
  v_detail   text;
begin
  perform m23.refuse_body('pitr-rollback', p_rollback, true);
  perform m23.begin_heavy_read(v_request.tenant_id, 'preview');
  v_snapshot := m23.usable_snapshot(v_request.tenant_id, (p_rollback ->> 'snapshotId')::uuid);
  select * into v_chosen from m23.rollback_tables(v_snapshot);
  perform m23.refuse_unreached_snapshot(v_snapshot, v_chosen.tables);
  return m23.preview(v_request.tenant_id, m23.snapshot_moment(v_snapshot), v_chosen.tables,
                     v_chosen.warnings || m23.changed_since_restore(v_snapshot, v_chosen.tables));
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_preview_rollback(uuid, jsonb) is 'For pitr-rollback: what a rollback would do, and has not done.';

-- The log row of a rollback that is done. The snapshot that it used is used up.
create function m23.finish_rollback(p_rollback public.pitr_rollbacks, p_outcome jsonb) returns json
language plpgsql set search_path = '' as $$
declare v_done public.pitr_rollbacks;
begin
  update public.pitr_snapshots set status = 'rolled_back', is_rolled_back = true, rolled_back_at = clock_timestamp() where id = p_rollback.snapshot_id;
  update public.pitr_rollbacks r set status = 'completed', completed_at = clock_timestamp(),
         rows_restored = (p_outcome -> 'stats' ->> 'totalOperations')::bigint,
         affected_tables = coalesce(m23.list_of(p_outcome -> 'stats' -> 'affectedTables'), '{}'), pre_rollback_snapshot_id = (p_outcome ->> 'snapshot_id')::uuid,
         warnings = r.warnings || coalesce(m23.list_of(p_outcome -> 'warnings'), '{}')
   where r.id = p_rollback.id returning * into v_done;
  return json_build_object('restored_tables', v_done.affected_tables, 'rows_restored', v_done.rows_restored,
    'duration', round(extract(epoch from v_done.completed_at - v_done.created_at), 3), 'snapshot_id', v_done.pre_rollback_snapshot_id,
    'warnings', v_done.warnings, 'stats', p_outcome -> 'stats');
end $$;

-- The rollback in one call, for supabase.rpc. It is counted in the window of pitr-rollback.
create function public.execute_pitr_rollback(p_snapshot_id uuid, p_initiated_by uuid, p_reason text default null) returns uuid
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as $$
declare
  v_tenant  uuid := (select s.tenant_id from public.pitr_snapshots s where s.id = p_snapshot_id);
  v_begun   json;
  v_outcome json;
begin
  if not m23.is_service() then
    perform m23.refuse_anonymous();
    if not m23.is_member(v_tenant) then
      perform m23.refuse('SNAPSHOT_NOT_FOUND', 'no such active snapshot in this tenant');
    end if;
    perform m23.require_role(v_tenant, array['owner', 'admin']);
    perform m23.require_self(p_initiated_by, 'p_initiated_by');
    if char_length(p_reason) > 2000 then
      perform m23.refuse('VALIDATION_FAILED', 'the request is invalid',
                         array['p_reason: must have at most 2000 characters']);
    end if;
    perform m23.count_call(v_tenant, auth.uid(), 'pitr-rollback');
  end if;
  v_begun := m23.begin_rollback(v_tenant, p_snapshot_id, p_initiated_by, p_reason, null);
  v_outcome := public.m23_execute_restore((v_begun ->> 'work_id')::uuid, (v_begun ->> 'lease')::uuid);
  if v_outcome -> 'error' is not null then
    perform m23.refuse(v_outcome -> 'error' ->> 'code', v_outcome -> 'error' ->> 'message', m23.list_of((v_outcome -> 'error' -> 'details')::jsonb));
  end if;
  perform m23.audit_done(v_tenant, 'execute_pitr_rollback', jsonb_build_object('id', v_begun ->> 'work_id', 'snapshot_id', p_snapshot_id));
  return (v_begun ->> 'work_id')::uuid;
end $$;
comment on function public.execute_pitr_rollback(uuid, uuid, text) is
  'Rolls back to a snapshot and gives the rollback''s id. Owner and admin; counted with pitr-rollback.';

create function public.get_pitr_rollback_history(p_tenant_id uuid, p_limit int default 50)
returns table (rollback_id uuid, snapshot_id uuid, snapshot_name text, snapshot_type text, created_at timestamptz, completed_at timestamptz, created_by uuid,
               reason text, status text, error_message text, affected_tables text[], rows_restored bigint, warnings text[], pre_rollback_snapshot_id uuid)
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
begin
  perform m23.require_role(p_tenant_id, array['owner', 'admin', 'operator', 'viewer']);
  return query select r.id, r.snapshot_id, s.snapshot_name, s.snapshot_type, r.created_at, r.completed_at, r.created_by, r.reason, r.status,
                      r.error_message, r.affected_tables, r.rows_restored, r.warnings, r.pre_rollback_snapshot_id
    from public.pitr_rollbacks r join public.pitr_snapshots s on s.id = r.snapshot_id
   where r.tenant_id = p_tenant_id order by r.created_at desc, r.id limit greatest(p_limit, 0);
end $$;
comment on function public.get_pitr_rollback_history(uuid, int) is 'The rollbacks of a tenant, newest first.';

-- Cancel --------------------------------------------------------------------------------

create function public.cancel_restore(p_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_tenant uuid := (select w.tenant_id from m23.restore_work w where w.work_id = p_id);
begin
  perform m23.refuse_anonymous();
  if v_tenant is null then return false; end if;
  perform m23.require_role(v_tenant, array['owner', 'admin']);
  insert into m23.cancellations (work_id, by) values (p_id, coalesce(auth.uid(), '00000000-0000-0000-0000-000000000000')) on conflict do nothing;
  perform m23.audit_done(v_tenant, 'cancel_restore', jsonb_build_object('id', p_id));
  return true;
end $$;
comment on function public.cancel_restore(uuid) is
  'Asks a running restore or rollback to stop before its commit; true if it was running. Its log row ends as cancelled. Owner and admin.';

select m23.open_to('{authenticated, service_role}', 'public.create_pitr_snapshot(uuid, text, text[], uuid, uuid)',
  'public.get_active_pitr_snapshots(uuid)', 'public.m23_begin_rollback(uuid, jsonb)', 'public.m23_preview_rollback(uuid, jsonb)',
  'public.execute_pitr_rollback(uuid, uuid, text)', 'public.get_pitr_rollback_history(uuid, int)', 'public.cancel_restore(uuid)');
select m23.close_functions();
