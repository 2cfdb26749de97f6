-- Which role may call which function: the contract's table, as the database enforces it.
create function m23.may_call(p_function text, p_role text, p_dry_run boolean) returns boolean
language sql immutable as $$
  select coalesce(case
    when p_function in ('backup-create', 'recovery-test') then p_role in ('owner', 'admin', 'operator')
    when p_function = 'backup-restore' then p_role in ('owner', 'admin')
    when p_function in ('pitr-restore', 'pitr-rollback') then
      p_role in ('owner', 'admin') or (p_dry_run and p_role = 'operator')
  end, false)
$$;

-- Whether the caller belongs to a tenant; the service key belongs to all.
create function m23.is_member(p_tenant text) returns boolean
language plpgsql stable security definer set row_security = off as $$
begin
  return m23.is_service() or exists (select from m23.caller_memberships() m where m.tenant_id = p_tenant);
end $$;

-- Refuses a caller who is not in the tenant with one of the roles; the service key is in all. Gives the tenant as
-- records name it: a caller may write a uuid in upper case.
create function m23.require_role(p_tenant text, p_roles text[]) returns text
language plpgsql stable security definer set row_security = off as $$
declare v_tenant text := m23.tenant_key(p_tenant);
begin
  if m23.is_service() then return v_tenant; end if;
  perform m23.refuse_anonymous();
  if v_tenant is null or not exists (select from m23.caller_memberships() m where m.tenant_id = v_tenant) then
    perform m23.refuse('TENANT_NOT_FOUND', 'you do not belong to this tenant');
  elsif not exists (select from m23.caller_memberships() m where m.tenant_id = v_tenant and m.role = any (p_roles)) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'your role in this tenant does not allow it');
  end if;
  return v_tenant;
end $$;

-- Only the service key may name somebody else.
create function m23.require_self(p_user uuid, p_name text) returns void
language plpgsql stable as $$
begin
  if not m23.is_service() and p_user is distinct from auth.uid() then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', format('%s must be yourself', p_name));
  end if;
end $$;

-- Who looks after all tenants, and may read no tenant's rows for that.
create function m23.require_platform() returns void
language plpgsql stable as $$
begin
  perform m23.refuse_anonymous();
  if not coalesce(auth.jwt() ->> 'role' = 'service_role'
                  or auth.jwt() -> 'app_metadata' -> 'm23_platform' = 'true', false) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS', 'this is for the platform''s operator');
  end if;
end $$;
