-- A hook is a function of the application, (tenant text, changes jsonb). It is kept by name,
-- so that one which is dropped and made again is still the hook.

create table m23.after_restore_hooks (
  id            bigint primary key generated always as identity,
  relid         oid,   -- of the table; null: the restore as a whole
  tenant_id     text,  -- null: every tenant
  schema_name   text not null,
  function_name text not null,
  unique nulls not distinct (relid, tenant_id, schema_name, function_name)
);
select m23.close_table('m23.after_restore_hooks');
comment on table m23.after_restore_hooks is
  'Functions to call at the end of a restore or rollback; see m23.set_after_restore.';

-- Why a function cannot be called as a hook; null when it can. Called plainly from M23's
-- functions, one that is not SECURITY DEFINER runs with the rights of M23's owner, so nobody
-- with fewer may be able to replace it.
create function m23.hook_fault(p_schema text, p_function text) returns text
language sql stable as $$
  select case
      when p.oid is null and to_regprocedure(format('%I.%I(uuid, jsonb)', p_schema, p_function)) is not null
        then 'takes the tenant as a uuid; tenants are named by text now: make it take (tenant text, changes jsonb)'
      when p.oid is null then 'does not exist with the arguments (tenant text, changes jsonb)'
      when p.prokind <> 'f' then 'is not a plain function'
      when not p.prosecdef and not pg_has_role(p.proowner, n.nspowner, 'member')
        then format('belongs to %s and would run with the rights of %s; make it SECURITY DEFINER', p.proowner::regrole,
                    n.nspowner::regrole)
      when not has_function_privilege(n.nspowner, p.oid, 'execute')
        then format('may not be executed by %s', n.nspowner::regrole) end
    from pg_namespace n
    left join pg_proc p on p.oid = to_regprocedure(format('%I.%I(text, jsonb)', p_schema, p_function))
   where n.nspname = 'm23'
$$;

create function m23.drop_after_restore(
  p_table regclass, p_function regprocedure, p_tenant text default null
) returns void
language plpgsql as $$
begin
  delete from m23.after_restore_hooks h using pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where p.oid = p_function and h.schema_name = n.nspname and h.function_name = p.proname
     and h.relid is not distinct from p_table and h.tenant_id is not distinct from p_tenant;
  if not found then
    raise exception '% is no such after_restore hook', p_function
      using errcode = 'undefined_object', hint = 'See m23.after_restore_hooks.';
  end if;
end $$;
comment on function m23.drop_after_restore(regclass, regprocedure, text) is
  'Takes back what m23.set_after_restore has set with the same arguments.';

-- Fails in words that name the hook. What it said itself is for the log: it may tell more
-- than the caller may know.
create function m23.refuse_hook(p_hook text, p_state text, p_message text) returns void
language plpgsql as $$
begin
  raise log 'm23: the after_restore hook % failed: % (%)', p_hook, p_message, p_state;
  perform m23.refuse('UNAVAILABLE',
    format('the after_restore hook %s failed, so the restore was taken back; nothing was changed', p_hook),
    array[format('hook: %s; its message is in the database''s log', p_hook)]);
end $$;
