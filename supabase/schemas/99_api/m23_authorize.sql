-- open to: authenticated, service_role
create function public.m23_authorize(p_function text, p_dry_run boolean default false, p_tables text[] default null,
                                     p_target_schema text default null, p_target_timestamp timestamptz default null,
                                     p_base_backup_id uuid default null, p_tenant_id text default null) returns json
language plpgsql volatile security definer set row_security = off as $$
declare
  v_tenant  text;
  v_role    text;
  v_window  record;
  v_allowed boolean;
begin
  perform m23.refuse_other_versions();
  if m23.is_service() then
    v_role := 'owner';
    v_tenant := case when m23.knows_tenant(p_tenant_id) then p_tenant_id end;
  elsif p_tenant_id is not null then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'only the service key may name a tenant');
  else
    perform m23.refuse_anonymous();
    select m.tenant_id, m.role into v_tenant, v_role from m23.caller_membership() m;
  end if;
  if v_tenant is null then
    return json_build_object('tenant_id', null, 'role', null, 'allowed', false, 'used', 0,
                             'reset', floor(extract(epoch from clock_timestamp()))::bigint, 'faults', '[]'::json);
  end if;
  select * into v_window from m23.window_of(v_tenant, p_function);
  v_allowed := m23.may_call(p_function, v_role, coalesce(p_dry_run, false));
  return json_build_object(
    'tenant_id', v_tenant, 'role', v_role, 'allowed', v_allowed,
    'used', v_window.used, 'reset', v_window.reset, 'raised', m23.raised_limit(v_tenant, p_function),
    'faults', array_to_json(m23.table_faults(p_tables)
                            || case when v_allowed then m23.schema_faults(p_target_schema) else '{}' end
                            || m23.target_faults(v_tenant, p_target_timestamp, p_tables, p_base_backup_id)));
end $$;
comment on function public.m23_authorize(text, boolean, text[], text, timestamptz, uuid, text) is
  'For the edge functions: the caller''s tenant and role (the service names one, as its owner), whether it may call, '
  'its rate window, and the faults that only the database sees.';
