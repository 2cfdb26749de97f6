create function m23.set_after_restore(
  p_table regclass, p_function regprocedure, p_tenant text default null
) returns void
language plpgsql as $$
declare
  v_schema name;
  v_name   name;
  v_fault  text;
  v_pinned boolean;
begin
  select n.nspname, p.proname, exists (select from unnest(p.proconfig) c where c like 'search_path=%')
    into v_schema, v_name, v_pinned
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = p_function;
  v_fault := m23.hook_fault(v_schema, v_name);
  if v_fault is null and p_function <> to_regprocedure(format('%I.%I(text, jsonb)', v_schema, v_name)) then
    v_fault := 'must take (tenant text, changes jsonb)';
  end if;
  if v_fault is not null then
    raise exception '% cannot be an after_restore hook: it %', coalesce(p_function::text, 'null'), v_fault
      using errcode = 'invalid_function_definition';
  end if;
  if p_table is not null and not exists (select from m23.protected_tables where relid = p_table) then
    raise exception '% is not protected, so no restore changes it', p_table
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  if not v_pinned then
    raise warning '% has no search_path of its own: it is called with an empty one, and finds only qualified names',
      p_function;
  end if;
  insert into m23.after_restore_hooks (relid, tenant_id, schema_name, function_name)
    values (p_table, p_tenant, v_schema, v_name) on conflict do nothing;
end $$;
comment on function m23.set_after_restore(regclass, regprocedure, text) is
  'Has p_function(tenant text, changes jsonb) called at the end of every restore and rollback that changes p_table '
  '(null: any table), of p_tenant (null: any tenant), in the same transaction. A hook that fails takes the restore '
  'back.';
