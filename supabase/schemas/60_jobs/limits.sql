-- Limits that the operator of the service has raised for a time, of one tenant and function.

create table m23.raised_limits (
  tenant_id text not null,
  function  text not null
            check (function in ('backup-create', 'backup-restore', 'pitr-restore', 'pitr-rollback', 'recovery-test')),
  most      int not null check (most >= 0),
  until     timestamptz not null,
  primary key (tenant_id, function)
);
select m23.close_table('m23.raised_limits');

-- Null where none is raised.
create function m23.raised_limit(p_tenant text, p_function text) returns int
language plpgsql volatile as $$
begin
  return (select l.most from m23.raised_limits l
           where l.tenant_id = p_tenant and l.function = p_function and l.until > clock_timestamp());
end $$;

-- open to: service_role
create function m23.raise_limit(p_tenant_id text, p_function text, p_limit int, p_until timestamptz) returns void
language plpgsql volatile security definer set row_security = off as $$
begin
  p_tenant_id := m23.tenant_key(p_tenant_id);
  if p_until is null or p_until <= clock_timestamp() then
    raise exception 'p_until must be a time to come' using errcode = 'invalid_parameter_value';
  end if;
  insert into m23.raised_limits values (p_tenant_id, p_function, p_limit, p_until)
    on conflict (tenant_id, function) do update set most = excluded.most, until = excluded.until;
  perform m23.audit_done(p_tenant_id, 'raise_limit',
                         jsonb_build_object('function', p_function, 'limit', p_limit, 'until', m23.iso(p_until)));
end $$;
comment on function m23.raise_limit(text, text, int, timestamptz) is
  'Lets a tenant call a function p_limit times an hour until p_until, at once. A lower one changes nothing.';
