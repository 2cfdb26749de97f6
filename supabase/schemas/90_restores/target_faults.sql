-- Why a tenant's tables cannot be gone back with to a time; empty when they can. A backup that is
-- named may reach further back than the log.
create function m23.target_faults(
  p_tenant text, p_at timestamptz, p_tables text[], p_base uuid default null
) returns text[]
language plpgsql volatile security definer set row_security = off as $$
declare
  v_window record;
  v_range  text;
  v_fault  text;
begin
  if p_at is null then return '{}'; end if;
  select * into v_window from m23.common_window(p_tenant, p_tables);
  v_range := format('it can be from %s to %s', m23.iso(v_window.earliest), m23.iso(clock_timestamp()));
  v_fault := case
    when p_at > clock_timestamp()
      then concat('is in the future; it can be ', 'from ' || m23.iso(v_window.earliest) || ' ', 'to ',
                  m23.iso(clock_timestamp()))
    when p_base is null and v_window.closed is not null then format('cannot be gone back to (%s)', v_window.closed)
    when p_base is null and v_window.earliest is null then 'cannot be gone back to: no table is protected'
    when p_base is null and p_at < v_window.earliest
      then 'is before the history begins' || m23.reason_before(p_tenant, p_tables, p_at) || '; ' || v_range
    else m23.clock_fault(p_at) || '; ' || v_range || ', but for these' end;
  return case when v_fault is null then '{}' else array['targetTimestamp: ' || v_fault] end;
end $$;
