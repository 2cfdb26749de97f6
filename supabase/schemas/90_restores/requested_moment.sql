-- The moment of a request, for tables that can answer for it. What can be gone back to is looked up where they cannot.
create function m23.requested_moment(p_tenant text, p_at timestamptz, p_tables text[]) returns m23.moment
language plpgsql volatile as $$
declare
  v_faults text[];
  v_moment m23.moment;
begin
  if p_tables <> '{}' and p_at <= clock_timestamp() and m23.clock_fault(p_at) is null then
    v_moment := m23.moment_at(p_at);
    if m23.moment_refusals(p_tenant, v_moment, p_tables) = '{}' then return v_moment; end if;
  end if;
  v_faults := m23.target_faults(p_tenant, p_at, p_tables);
  if v_faults = '{}' then
    v_moment := m23.moment_at(p_at);
    v_faults := m23.moment_refusals(p_tenant, v_moment, p_tables);
  end if;
  if v_faults <> '{}' then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', v_faults);
  end if;
  return v_moment;
end $$;
