-- Tenancy: who belongs where. An existing project keeps its own membership table
-- and replaces the body of m23.memberships_of; nothing else knows the table.

create table public.tenant_members (
  tenant_id  text not null,
  user_id    uuid not null,
  role       text not null check (role in ('owner', 'admin', 'operator', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, user_id)
);
create index tenant_members_user on public.tenant_members (user_id);
comment on table public.tenant_members is
  'Who belongs to which tenant, in which role. Written with the service key or in SQL, read by the members.';

-- replaceable: the application may have its own
create function m23.memberships_of(p_user uuid) returns table (tenant_id text, role text)
language sql stable security definer rows 3 set row_security = off as
$$ select m.tenant_id, m.role from public.tenant_members m where m.user_id = p_user $$;
comment on function m23.memberships_of(uuid) is
  'The tenants of a user with the role in each. Replace this function to use your own membership table.';

-- Who calls ---------------------------------------------------------------------------

create function m23.is_service() returns boolean
language plpgsql stable as
$$ begin return coalesce(auth.jwt() ->> 'role' = 'service_role', false); end $$;
comment on function m23.is_service() is 'Whether the call is made with the service key.';

-- Somebody who has signed in without saying who they are. The edge functions refuse such a token, so the API does.
create function m23.is_anonymous() returns boolean
language plpgsql stable as
$$ begin return coalesce(auth.jwt() -> 'is_anonymous', 'false') not in ('false', 'null'); end $$;

-- Refuses an anonymous sign-in.
create function m23.refuse_anonymous() returns void
language plpgsql stable as $$
begin
  if m23.is_anonymous() then
    perform m23.refuse('AUTH_REQUIRED', 'this is an anonymous sign-in: sign in as a user first');
  end if;
end $$;

-- What the caller belongs to; an anonymous sign-in to nothing.
create function m23.caller_memberships() returns table (tenant_id text, role text)
language plpgsql stable security definer rows 3 set row_security = off as $$
begin
  if not m23.is_anonymous() then
    return query select m.tenant_id, m.role from m23.memberships_of(auth.uid()) m;
  end if;
end $$;

-- The tenant that a user with several has picked: a claim that only the server can
-- write (app_metadata). A value that names none of the user's picks nothing.
-- open to: authenticated, service_role
create function m23.picked_tenant() returns text
language plpgsql stable as $$ begin return nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', ''); end $$;

-- open to: authenticated, service_role
create function m23.caller_membership() returns table (tenant_id text, role text)
language plpgsql stable security definer rows 1 set row_security = off as $$
#variable_conflict use_column
declare v_picked text := m23.tenant_key(m23.picked_tenant());
begin
  return query
  with mine as (
    select m.tenant_id, m.role from m23.caller_memberships() m where v_picked is null or m.tenant_id = v_picked)
  select mine.tenant_id, mine.role from mine where (select count(*) from mine) = 1;
end $$;
comment on function m23.caller_membership() is
  'The caller''s tenant and role: the one picked in app_metadata.tenant_id, else the only one; no row otherwise.';

-- open to: authenticated, service_role
create function m23.caller_tenants(p_roles text[] default array['owner', 'admin', 'operator', 'viewer'])
returns setof text
language sql stable security definer rows 3 set row_security = off as
$$ select m.tenant_id from m23.caller_memberships() m where m.role = any (p_roles) $$;
comment on function m23.caller_tenants(text[]) is
  'The tenants in which the caller has one of the roles. The row-level policies are written with it.';

-- The same in one query: the first write of a session asks for it. It says whose rows an anonymous user writes, too.
-- open to: authenticated, service_role
create function m23.caller_tenant() returns text
language plpgsql stable security definer set row_security = off as $$
begin
  return (select case when count(*) = 1 then min(m.tenant_id) end
            from (select auth.uid() as id,
                         m23.tenant_key(nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', '')) as picked) caller,
                 lateral m23.memberships_of(caller.id) m
           where caller.picked is null or m.tenant_id = caller.picked);
end $$;
alter table public.tenant_members enable row level security;

create policy members_read on public.tenant_members for select to authenticated
  using (tenant_id in (select m23.caller_tenants()));
revoke all on public.tenant_members from anon, authenticated;
grant select on public.tenant_members to authenticated;
grant all on public.tenant_members to service_role;
