-- Removal: what a restore leaves to be tidied up. Hooks for what hangs on the rows that came
-- back (counters, search indexes, outboxes), copies that expire, tenants that are forgotten.

-- Hooks ---------------------------------------------------------------------------------
-- A hook is a function of the application, (tenant uuid, changes jsonb). It is kept by name,
-- so that one which is dropped and made again is still the hook.

create table m23.after_restore_hooks (
  id            bigint primary key generated always as identity,
  relid         oid,   -- of the table; null: the restore as a whole
  tenant_id     uuid,  -- null: every tenant
  schema_name   text not null,
  function_name text not null,
  unique nulls not distinct (relid, tenant_id, schema_name, function_name)
);
select m23.close_table('m23.after_restore_hooks');
comment on table m23.after_restore_hooks is 'Functions to call at the end of a restore or rollback; see m23.set_after_restore.';

-- Why a function cannot be called as a hook; null when it can. Called plainly from M23's
-- functions, one that is not SECURITY DEFINER runs with the rights of M23's owner, so nobody
-- with fewer may be able to replace it.
create function m23.hook_fault(p_schema text, p_function text) returns text
language sql stable set search_path = '' as $$
  select case
      when p.oid is null then 'does not exist with the arguments (tenant uuid, changes jsonb)'
      when p.prokind <> 'f' then 'is not a plain function'
      when not p.prosecdef and not pg_has_role(p.proowner, n.nspowner, 'member')
        then format('belongs to %s and would run with the rights of %s; make it SECURITY DEFINER', p.proowner::regrole, n.nspowner::regrole)
      when not has_function_privilege(n.nspowner, p.oid, 'execute') then format('may not be executed by %s', n.nspowner::regrole) end
    from pg_namespace n left join pg_proc p on p.oid = to_regprocedure(format('%I.%I(uuid, jsonb)', p_schema, p_function))
   where n.nspname = 'm23'
$$;

create function m23.set_after_restore(p_table regclass, p_function regprocedure, p_tenant uuid default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_schema name;
  v_name   name;
  v_fault  text;
  v_pinned boolean;
begin
  select n.nspname, p.proname, exists (select from unnest(p.proconfig) c where c like 'search_path=%') into v_schema, v_name, v_pinned
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = p_function;
  v_fault := m23.hook_fault(v_schema, v_name);
  if v_fault is null and p_function <> to_regprocedure(format('%I.%I(uuid, jsonb)', v_schema, v_name)) then
    v_fault := 'must take (tenant uuid, changes jsonb)';
  end if;
  if v_fault is not null then
    raise exception '% cannot be an after_restore hook: it %', coalesce(p_function::text, 'null'), v_fault using errcode = 'invalid_function_definition';
  end if;
  if p_table is not null and not exists (select from m23.protected_tables where relid = p_table) then
    raise exception '% is not protected, so no restore changes it', p_table using errcode = 'object_not_in_prerequisite_state';
  end if;
  if not v_pinned then
    raise warning '% has no search_path of its own: it is called with an empty one, and finds only qualified names', p_function;
  end if;
  insert into m23.after_restore_hooks (relid, tenant_id, schema_name, function_name) values (p_table, p_tenant, v_schema, v_name) on conflict do nothing;
end $$;
comment on function m23.set_after_restore(regclass, regprocedure, uuid) is
  'Has p_function(tenant uuid, changes jsonb) called at the end of every restore and rollback that changes p_table (null: any table), '
  'of p_tenant (null: any tenant), in the same transaction. A hook that fails takes the restore back.';

create function m23.drop_after_restore(p_table regclass, p_function regprocedure, p_tenant uuid default null) returns void
language plpgsql set search_path = '' as $$
begin
  delete from m23.after_restore_hooks h using pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where p.oid = p_function and h.schema_name = n.nspname and h.function_name = p.proname
     and h.relid is not distinct from p_table and h.tenant_id is not distinct from p_tenant;
  if not found then
    raise exception '% is no such after_restore hook', p_function using errcode = 'undefined_object', hint = 'See m23.after_restore_hooks.';
  end if;
end $$;
comment on function m23.drop_after_restore(regclass, regprocedure, uuid) is 'Takes back what m23.set_after_restore has set with the same arguments.';

-- Fails in words that name the hook. What it said itself is for the log: it may tell more
-- than the caller may know.
create function m23.refuse_hook(p_hook text, p_state text, p_message text) returns void
language plpgsql set search_path = '' as $$
begin
  raise log 'm23: the after_restore hook % failed: % (%)', p_hook, p_message, p_state;
  perform m23.refuse('UNAVAILABLE', format('the after_restore hook %s failed, so the restore was taken back; nothing was changed', p_hook),
                     array[format('hook: %s; its message is in the database''s log', p_hook)]);
end $$;

-- A lock that a hook did not get is not its failure: the restore holds the fence, waits for
-- nobody and tries again.
create function m23.call_hook(p_hook m23.after_restore_hooks, p_tenant uuid, p_changes jsonb) returns text
language plpgsql set search_path = '' as $$
declare
  v_name    text := format('%I.%I', p_hook.schema_name, p_hook.function_name);
  v_fault   text := m23.hook_fault(p_hook.schema_name, p_hook.function_name);
  v_state   text;
  v_message text;
begin
  if v_fault is not null then
    perform m23.refuse_hook(v_name, 'no hook', 'it ' || v_fault);
  end if;
  begin
    execute format('select %s($1, $2)', v_name) using p_tenant, p_changes;
    return v_name;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(v_name, v_state, v_message);
end $$;

-- Constraints that wait for the commit are checked now, while a hook can still be named.
create function m23.check_hooks(p_called text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_state   text;
  v_message text;
begin
  begin
    set constraints all immediate;
    return;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  perform m23.refuse_hook(array_to_string(p_called, ', '), v_state, v_message);
end $$;

-- Calls the hooks of a restore that has changed rows, from what its plan came to.
create function m23.run_after_restore(p_tenant uuid) returns void
language plpgsql set search_path = '' set plan_cache_mode = auto as $$
declare
  v_hook    m23.after_restore_hooks;
  v_changes jsonb;
  v_called  text[] := '{}';
begin
  for v_hook in select * from m23.after_restore_hooks h where coalesce(h.tenant_id, p_tenant) = p_tenant order by h.id loop
    select jsonb_object_agg(p.name, jsonb_build_object('inserts', p.inserts, 'updates', p.updates, 'deletes', p.deletes)) into v_changes
      from m23.plan p join m23.protected_tables t on t.id = p.table_id
     where p.inserts + p.updates + p.deletes > 0 and (v_hook.relid is null or t.relid = v_hook.relid);
    if v_changes is not null then
      v_called := v_called || m23.call_hook(v_hook, p_tenant, v_changes);
    end if;
  end loop;
  if cardinality(v_called) > 0 then
    perform m23.check_hooks(v_called);
  end if;
end $$;

-- Copies ----------------------------------------------------------------------------------
-- A restore beside the live data makes a copy, which expires. Dropping takes away what M23
-- made and nothing else: whatever somebody has added keeps the whole copy.

insert into m23.settings (name, value, about) values ('copy_days', '7', 'how long a restore into a schema of its own is kept');

create table m23.copies (
  restore_log_id uuid primary key references public.restore_logs (id),
  tenant_id      uuid not null,
  schema_name    text not null,
  made           boolean not null,  -- the schema, too: it was not there before
  contents       text[] not null default '{}',
  created_by     uuid,
  created_at     timestamptz not null default clock_timestamp(),
  expires_at     timestamptz not null
);
select m23.close_table('m23.copies');
create index copies_tenant on m23.copies (tenant_id);
comment on table m23.copies is 'Restores beside the live data: which schema, whose, and until when.';

-- A schema with everything that hangs on it, wherever it is, and the columns of its tables.
create function m23.schema_contents(p_schema text) returns table (object text, description text)
language sql stable set search_path = '' as $$
  with recursive found (classid, objid) as (
    select 'pg_namespace'::regclass::oid, n.oid from pg_namespace n where n.nspname = p_schema
    union
    select d.classid, d.objid from found f join pg_depend d on d.refclassid = f.classid and d.refobjid = f.objid
     where not exists (select from pg_class c where d.classid = 'pg_class'::regclass and c.oid = d.objid and c.relnamespace = 'pg_toast'::regnamespace))
  select concat_ws('.', o.classid, o.objid, o.part), pg_describe_object(o.classid, o.objid, o.part)
    from (select classid, objid, 0 as part from found
          union all
          select f.classid, f.objid, a.attnum from found f join pg_class c on f.classid = 'pg_class'::regclass and c.oid = f.objid and c.relkind = 'r'
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) o
$$;

create function m23.begin_copy(p_restore public.restore_logs) returns void
language plpgsql set search_path = '' as $$
declare v_made boolean := not exists (select from pg_namespace where nspname = p_restore.target_schema);
begin
  if v_made then
    execute format('create schema %I', p_restore.target_schema);
  end if;
  insert into m23.copies (restore_log_id, tenant_id, schema_name, made, created_by, expires_at)
    values (p_restore.id, p_restore.tenant_id, p_restore.target_schema, v_made, p_restore.created_by,
            clock_timestamp() + make_interval(days => m23.setting('copy_days')::int));
end $$;

create function m23.end_copy(p_restore public.restore_logs) returns void
language sql set search_path = '' as $$
  update m23.copies set contents = array(select object from m23.schema_contents(schema_name)) where restore_log_id = p_restore.id;
  update public.restore_logs r set metadata = r.metadata || jsonb_build_object('copy', jsonb_build_object('expires_at', c.expires_at))
    from m23.copies c where r.id = p_restore.id and c.restore_log_id = r.id;
$$;

create function m23.added_to_copy(p_copy m23.copies) returns text[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(c.description order by c.description), '{}') from m23.schema_contents(p_copy.schema_name) c where c.object <> all (p_copy.contents)
$$;

create function m23.tables_of_copy(p_copy m23.copies) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%I.%I', n.nspname, c.relname), ', ')
    from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind = 'r' where n.nspname = p_copy.schema_name
     and concat_ws('.', 'pg_class'::regclass::oid, c.oid, 0) = any (p_copy.contents)
$$;

-- Drops a copy, or says what keeps it: looked at once more when nobody can add to it.
create function m23.drop_copy(p_copy m23.copies) returns text[]
language plpgsql volatile set search_path = '' set lock_timeout = '1s' as $$
declare
  v_tables text := m23.tables_of_copy(p_copy);
  v_added  text[] := m23.added_to_copy(p_copy);
begin
  if cardinality(v_added) > 0 then return v_added; end if;
  begin
    if v_tables is not null then
      execute format('lock table %s in access exclusive mode', v_tables);
    end if;
    v_added := m23.added_to_copy(p_copy);
    if cardinality(v_added) > 0 then return v_added; end if;
    if v_tables is not null then
      execute format('drop table %s', v_tables);
    end if;
    if p_copy.made then
      execute format('drop schema if exists %I', p_copy.schema_name);
    end if;
  exception
    when lock_not_available or deadlock_detected then return array['somebody is using it'];
    when insufficient_privilege then return array['it belongs to another role now'];
    when dependent_objects_still_exist or undefined_table then return array['it is being changed'];
  end;
  delete from m23.copies where restore_log_id = p_copy.restore_log_id;
  update public.restore_logs set metadata = jsonb_set(metadata, '{copy,dropped_at}', to_jsonb(clock_timestamp())) where id = p_copy.restore_log_id;
  return '{}';
end $$;

create function public.drop_restore_copy(p_restore_log_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare
  v_copy m23.copies;
  v_kept text[];
begin
  perform m23.refuse_anonymous();
  select * into v_copy from m23.copies where restore_log_id = p_restore_log_id for update;
  if v_copy.tenant_id is null or not m23.is_member(v_copy.tenant_id) then
    perform m23.refuse('VALIDATION_FAILED', 'the copy cannot be dropped', array['p_restore_log_id: no such copy in this tenant']);
  end if;
  perform m23.require_role(v_copy.tenant_id, array['owner', 'admin']);
  v_kept := m23.drop_copy(v_copy);
  perform m23.audit_done(v_copy.tenant_id, 'drop_restore_copy', jsonb_build_object('id', p_restore_log_id, 'dropped', v_kept = '{}'));
  return jsonb_build_object('dropped', v_kept = '{}', 'schema', v_copy.schema_name, 'kept_by', to_jsonb(v_kept));
end $$;
comment on function public.drop_restore_copy(uuid) is
  'Drops the copy that a restore with targetSchema has made. Gives {"dropped", "schema", "kept_by"}: what others have added keeps the copy. Owner and admin.';

create function m23.sweep_copies() returns int
language plpgsql volatile set search_path = '' as $$
declare
  v_until   timestamptz := clock_timestamp() + interval '1 second';  -- the rest in a minute
  v_copy    m23.copies;
  v_dropped int := 0;
begin
  for v_copy in select * from m23.copies where expires_at < clock_timestamp() order by expires_at for update skip locked loop
    exit when clock_timestamp() > v_until;
    begin
      if m23.drop_copy(v_copy) = '{}' then v_dropped := v_dropped + 1; end if;
    exception when others then
      raise log 'm23: the copy % could not be dropped: % (%)', v_copy.schema_name, sqlerrm, sqlstate;
    end;
  end loop;
  return v_dropped;
end $$;

-- Forgetting a tenant -------------------------------------------------------------------------

-- Why a tenant cannot be forgotten now; null when it can.
create function m23.busy(p_tenant uuid) returns text
language sql volatile set search_path = '' as $$
  select case
    when exists (select from m23.restore_work where tenant_id = p_tenant) then 'a restore or rollback of this tenant is running'
    when exists (select from public.backup_jobs j join m23.backup_work w on w.job_id = j.id
                  where j.tenant_id = p_tenant and j.status in ('pending', 'in_progress')) then 'a backup of this tenant is running' end
$$;

create function m23.refuse_busy(p_tenant uuid) returns void
language plpgsql volatile set search_path = '' as $$
declare v_busy text := m23.busy(p_tenant);
begin
  if v_busy is not null then
    raise exception '%', v_busy using errcode = 'object_in_use', hint = 'Wait for its end, or cancel it.';
  end if;
end $$;

-- Has the tenant to itself until the end of the transaction: no backup, restore or writer of
-- it is under way, and none begins.
create function m23.seize_tenant(p_tenant uuid) returns void
language plpgsql volatile set search_path = '' as $$
declare v_deadline timestamptz := clock_timestamp() + make_interval(secs => m23.setting('restore_wait_seconds')::int);
begin
  perform m23.sweep_restores(p_tenant);
  perform m23.refuse_busy(p_tenant);
  -- Work begins under a request: those that are beginning are waited for, no new one is admitted.
  perform pg_advisory_xact_lock(m23.window_key(p_tenant, 'backup-create'));
  perform from m23.requests where tenant_id = p_tenant for update;
  perform m23.refuse_busy(p_tenant);
  insert into m23.restore_work (work_id, tenant_id, kind) values (gen_random_uuid(), p_tenant, 'rollback');
  loop
    begin
      perform m23.take_fence(p_tenant);
      exit;
    exception when lock_not_available then
      if clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
exception
  when unique_violation then raise exception 'a restore or rollback of this tenant is running' using errcode = 'object_in_use';
  when lock_not_available then raise exception 'other transactions are at work on this tenant' using errcode = 'object_in_use', hint = 'Try again.';
end $$;

create function m23.forget_copies(p_tenant uuid) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_copy    m23.copies;
  v_kept    text[];
  v_dropped bigint := 0;
begin
  for v_copy in select * from m23.copies where tenant_id = p_tenant for update loop
    v_kept := m23.drop_copy(v_copy);
    if v_kept <> '{}' then
      raise exception 'the copy "%" of this tenant cannot be dropped: %', v_copy.schema_name, array_to_string(v_kept, ', ')
        using errcode = 'dependent_objects_still_exist', hint = 'Move or drop what was added to it, then forget the tenant.';
    end if;
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end $$;

create function m23.forget_log(p_tenant uuid) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
  v_table   int;
  v_part    int;
  v_count   bigint;
  v_removed bigint := 0;
begin
  foreach v_table in array m23.logged_tables(array(select t.id from m23.protected_tables t), p_tenant, '0') loop
    foreach v_part in array m23.parts_of(v_table, p_tenant, '0') loop
      execute format('delete from %s where tenant_id = $1', m23.part_name(v_table, v_part)) using p_tenant;
      get diagnostics v_count = row_count;
      v_removed := v_removed + v_count;
    end loop;
  end loop;
  delete from m23.log_tenants where tenant_id = p_tenant;
  return v_removed;
end $$;

-- Children before parents. Another tenant's job may name one of these as its base: it could
-- never be run, and lets go.
create function m23.forget_records(p_tenant uuid) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_table   text;
  v_count   bigint;
  v_removed jsonb := '{}';
begin
  update public.restore_logs set snapshot_id = null where tenant_id = p_tenant;
  update public.backup_jobs set base_backup_id = null, parent_backup_id = null
   where tenant_id <> p_tenant and (base_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant)
                                    or parent_backup_id in (select id from public.backup_jobs where tenant_id = p_tenant));
  delete from m23.leases where work_id in (select id from public.backup_jobs where tenant_id = p_tenant union all select id from public.recovery_tests where tenant_id = p_tenant);
  perform set_config('m23.forgetting', p_tenant::text, true);
  foreach v_table in array array['public.audit_log', 'm23.audit_heads', 'm23.audit_checkpoints', 'm23.refusals', 'm23.requests',
      'm23.raised_limits', 'm23.previews', 'public.pitr_rollbacks', 'public.pitr_snapshots', 'public.recovery_tests',
      'public.restore_logs', 'public.dr_plans', 'public.health_snapshots', 'm23.backup_work', 'public.backup_jobs',
      'm23.archive_keys', 'm23.after_restore_hooks', 'm23.seen_tenants', 'm23.round_tenants', 'm23.alerts'] loop
    execute format('delete from %s where tenant_id = $1', v_table) using p_tenant;
    get diagnostics v_count = row_count;
    v_removed := v_removed || jsonb_build_object(split_part(v_table, '.', 2), v_count);
  end loop;
  return v_removed;
end $$;

create function m23.forget_tenant(p_tenant uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off as $$
declare v_removed jsonb;
begin
  if current_setting('transaction_isolation') not like 'read %' then
    raise exception 'a tenant can only be forgotten under READ COMMITTED: what others commit meanwhile must be seen' using errcode = 'invalid_transaction_state';
  end if;
  perform set_config('lock_timeout', m23.setting('restore_wait_seconds') || 's', true);
  perform m23.seize_tenant(p_tenant);
  v_removed := jsonb_build_object('copies', m23.forget_copies(p_tenant), 'log', m23.forget_log(p_tenant)) || m23.forget_records(p_tenant);
  -- History begins anew: without its log, an earlier moment would look like the present.
  insert into m23.forgotten (tenant_id, incarnation) values (p_tenant, m23.incarnation())
    on conflict (tenant_id) do update set at = excluded.at, xid = excluded.xid, incarnation = excluded.incarnation;
  delete from m23.restore_work where tenant_id = p_tenant;
  return jsonb_build_object('removed', v_removed, 'archives', jsonb_build_object('prefix', format('tenants/%s/', p_tenant),
    'note', 'archives in the bucket are not removed by the database: delete every object under the prefix'),
    'keys', jsonb_build_object('prefix', m23.keys_prefix(p_tenant),
    'note', 'nor are the keys of encrypted archives: erase_archive_key has them deleted, and what is left of the archives is unreadable at once'));
end $$;
comment on function m23.forget_tenant(uuid) is
  'Removes everything that M23 keeps of a tenant: log, snapshots, previews, restores, rollbacks, backups, requests, plans, copies. Gives the counts, and the prefixes '
  'of its archives and keys, which are to be deleted from the bucket. Live rows and memberships stay. Refused while a restore or backup of it runs.';

-- The same for supabase.rpc, with the service key alone.
create function public.forget_tenant(p_tenant_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' set row_security = off set statement_timeout = '1h' as $$
begin
  if p_tenant_id is null then
    perform m23.refuse('VALIDATION_FAILED', 'no tenant can be forgotten', array['p_tenant_id: is required']);
  end if;
  return m23.forget_tenant(p_tenant_id);
exception
  when object_in_use then perform m23.refuse('UNAVAILABLE', sqlerrm || '; nothing was removed, try again');
  when dependent_objects_still_exist then perform m23.refuse('VALIDATION_FAILED', 'the tenant cannot be forgotten; nothing was removed', array['p_tenant_id: ' || sqlerrm]);
end $$;
comment on function public.forget_tenant(uuid) is
  'Removes everything that M23 keeps of a tenant, for good; see m23.forget_tenant. Service key only.';

select m23.open_to('{authenticated, service_role}', 'public.drop_restore_copy(uuid)');
select m23.open_to('{service_role}', 'm23.forget_tenant(uuid)', 'public.forget_tenant(uuid)');
select m23.open_to('{authenticated}', 'm23.transaction_log()');
select m23.close_functions();
