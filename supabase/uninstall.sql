-- Takes M23 out of a database and leaves it as it was before the migrations: one statement, by the role
-- that pushed them. History, snapshots and records of backups are gone with it; archives stay in the
-- bucket, copies (targetSchema) in their schemas. Rows of the application are not touched.
-- Refused, naming them, while objects of the application depend on M23's (a policy that uses
-- m23.caller_tenants, say).
do $$
declare
  v_tables   constant text[] := m23.own_tables();
  v_table    regclass;
  v_function regprocedure;
  v_others   text;
  v_about    constant text := 'Made by M23 in the place of Supabase''s.';
  v_made     record;
begin
  perform set_config('search_path', '', true), set_config('client_min_messages', 'warning', true);
  if exists (select from m23.leases where until > clock_timestamp()) then
    raise exception 'a backup, a restore or a recovery test is running; wait for its end';
  end if;
  for v_table in select t.relid from m23.protected_tables t join pg_class c on c.oid = t.relid loop
    perform m23.unprotect_table(v_table);
  end loop;
  drop event trigger if exists m23_foresee_drop;
  drop event trigger if exists m23_follow_ddl;
  drop event trigger if exists m23_follow_drop;

  -- The calls of the edge functions, the API (with its arguments: the application may have functions of the
  -- same names) and its view.
  for v_function in select p.oid from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname like 'm23\_%' loop
    execute format('drop function %s', v_function);
  end loop;
  drop function if exists
    public.adopt_backup(jsonb, text, text),
    public.calculate_health_score(text, int),
    public.calculate_pitr_stats(text, timestamptz, timestamptz),
    public.cancel_backup(uuid),
    public.cancel_restore(uuid),
    public.create_pitr_snapshot(text, text, text[], uuid, uuid),
    public.delete_backup(uuid),
    public.drop_restore_copy(uuid),
    public.erase_archive_key(text),
    public.execute_pitr_rollback(uuid, uuid, text),
    public.forget_tenant(text),
    public.find_rows(text, text, jsonb, text, timestamptz, timestamptz, int, jsonb),
    public.get_active_pitr_snapshots(text),
    public.get_audit_log(text, bigint, int),
    public.get_backup_chain(uuid),
    public.get_backup_statistics(text, int),
    public.get_change_histogram(text, timestamptz, timestamptz, int, text[], uuid),
    public.get_current_tenant(),
    public.get_doctor(),
    public.get_events(text, timestamptz, timestamptz),
    public.get_fleet(),
    public.get_health(text, int),
    public.get_pitr_preview(text, timestamptz, text[], jsonb),
    public.get_pitr_preview_page(uuid, text, int, int, text, text, text),
    public.get_pitr_rollback_history(text, int),
    public.get_recovery_window(text),
    public.get_row_history(text, text, jsonb, int, jsonb),
    public.get_rows_as_of(text, timestamptz, jsonb, int, text),
    public.get_transaction(text, text, int, jsonb),
    public.get_transaction_logs(text, text, text, uuid, timestamptz, timestamptz, jsonb, int),
    public.get_transactions(text, timestamptz, timestamptz, text, uuid, text, int, jsonb),
    public.keep_backup(uuid),
    public.plan_retention(text),
    public.verify_audit(text);
  drop view public.transaction_logs;

  -- Whatever of the application still depends on our schemas would be dropped with them.
  select string_agg(distinct pg_describe_object(d.classid, d.objid, d.objsubid), ', ') into v_others
    from pg_depend d
    join (select 'pg_proc'::regclass as class, oid, pronamespace as schema from pg_proc
          union all select 'pg_class'::regclass, oid, relnamespace from pg_class
          union all select 'pg_type'::regclass, oid, typnamespace from pg_type) o on o.class = d.refclassid and o.oid = d.refobjid
    join pg_namespace n on n.oid = o.schema and n.nspname in ('m23', 'm23_log', 'm23_staging')
    cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) i
   where d.deptype in ('n', 'a') and i.identity !~ '(^|\W)m23(_log|_staging)?\.'
     and i.identity !~ format('(^| )public\.(%s)(\.|$)', array_to_string(v_tables, '|'));
  if v_others is not null then
    raise exception 'these depend on M23; change or drop them first: %', v_others;
  end if;
  drop schema m23_staging, m23_log, m23 cascade;
  execute (select 'drop table ' || string_agg('public.' || t, ', ') from unnest(v_tables) t);

  -- What the migrations made where Supabase was not, unless something uses it now. Roles are the whole server's.
  for v_made in
    select format('function %s', p.oid::regprocedure) as object from pg_proc p where p.pronamespace = to_regnamespace('auth') and obj_description(p.oid, 'pg_proc') = v_about
    union all select format('schema %I', n.nspname) from pg_namespace n where obj_description(n.oid, 'pg_namespace') = v_about
    union all select format('role %I', r.rolname) from pg_roles r where shobj_description(r.oid, 'pg_authid') = v_about
  loop
    begin
      execute 'drop ' || v_made.object;
    exception when dependent_objects_still_exist then null;
    end;
  end loop;
end $$;
