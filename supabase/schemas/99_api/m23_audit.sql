-- open to: service_role
create function public.m23_audit(p_entry jsonb) returns void
language plpgsql volatile security definer set row_security = off as $$
declare v_tenant text := p_entry ->> 'tenant_id';
begin
  if p_entry ->> 'event' = 'ended' then
    perform m23.audit_end(v_tenant, p_entry);
  else
    perform m23.note_refusal(v_tenant, p_entry);
  end if;
end $$;
comment on function public.m23_audit(jsonb) is
  'For the edge functions, with the service key: how a call ended, or why it was refused.';
