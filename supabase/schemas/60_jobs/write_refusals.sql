-- One entry for each user, cause and minute that is over; gives how many.
create function m23.write_refusals() returns bigint
language plpgsql volatile as $$
declare
  v_refusal m23.refusals;
  v_count   bigint := 0;
begin
  for v_refusal in
    with over as (delete from m23.refusals where minute < date_trunc('minute', clock_timestamp()) returning *)
    select * from over order by tenant_id, since
  loop
    perform m23.audit(v_refusal.tenant_id, p_at => v_refusal.since,
                      p_entry => to_jsonb(v_refusal) || jsonb_build_object('detail', m23.refusal_detail(v_refusal)));
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
