-- A share of a round, until a time. Gives for how many tenants it was done; none: the round is over.
create function m23.go_round(p_name text, p_since timestamptz, p_work regprocedure, p_until timestamptz) returns int
language plpgsql volatile as $$
declare
  v_tenant text;
  v_count  int := 0;
begin
  perform m23.begin_round(p_name, p_since);
  for v_tenant in select tenant_id from m23.round_tenants where round = p_name order by tenant_id limit 200
      for update skip locked loop
    exit when clock_timestamp() > p_until;
    perform m23.do_for(p_work, v_tenant);
    delete from m23.round_tenants where round = p_name and tenant_id = v_tenant;
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
