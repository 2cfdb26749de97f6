-- Refuses a moment that the log does not reach. That of a backup has no time: its rows do not
-- come from the log.
create function m23.refuse_unreached(p_tenant text, p_targets m23.target[]) returns void
language plpgsql volatile as $$
declare
  v_moment m23.moment;
  v_fault  text;
begin
  for v_moment in
    select distinct on ((t).moment::text) (t).moment.* from unnest(p_targets) t where ((t).moment).position is not null
  loop
    v_fault := least(v_fault, coalesce(m23.tenant_fault(p_tenant, v_moment), (
      select min(f.fault) from m23.moment_faults(array(
        select (t).tbl.id from unnest(p_targets) t
         where (t).moment::text = v_moment::text and ((t).wanted is null or v_moment.taken is not null)),
         v_moment) f)));
  end loop;
  if v_fault is not null then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to',
                       array['targetTimestamp: ' || v_fault]);
  end if;
end $$;
