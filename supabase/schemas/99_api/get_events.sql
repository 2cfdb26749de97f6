-- open to: authenticated, service_role
create function public.get_events(p_tenant_id text, p_since timestamptz, p_until timestamptz)
returns table (at timestamptz, kind text, id text, summary text)
language plpgsql volatile security definer set row_security = off as $$
declare v_faults text[] := m23.range_faults(p_since, p_until, true);
begin
  p_tenant_id := m23.require_role(p_tenant_id, array['owner', 'admin', 'operator']);
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'the events cannot be listed', v_faults);
  end if;
  return query select e.* from m23.events(p_tenant_id, p_since, p_until) e;
end $$;
comment on function public.get_events(text, timestamptz, timestamptz) is
  'Backups, snapshots, restores, rollbacks, recovery tests, gaps of the history and schema changes from p_since on and '
  'before p_until, newest first, at most 1,000. Owner, admin and operator.';
