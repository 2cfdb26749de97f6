-- Upkeep: looks at the newest part of the log that was looked at longest ago, for at most p_limit tenants; gives
-- how many were new.
create function m23.see_tenants(p_limit bigint default 5000) returns bigint
language plpgsql volatile as $$
declare
  v_look  m23.tenant_looks;
  v_found text[];
  v_new   bigint;
begin
  select t.id, l.reached into v_look.table_id, v_look.reached
    from m23.protected_tables t left join m23.tenant_looks l on l.table_id = t.id
   where to_regclass(m23.log_part(t.id)) is not null order by l.looked_at nulls first, t.id limit 1;
  if v_look.table_id is null then return 0; end if;
  v_found := array(select m23.tenants_in(m23.log_part(v_look.table_id)::regclass, v_look.reached, p_limit));
  insert into m23.seen_tenants (tenant_id) select unnest(v_found) on conflict do nothing;
  get diagnostics v_new = row_count;
  insert into m23.tenant_looks (table_id, reached) values (v_look.table_id, v_found[p_limit])
    on conflict (table_id) do update set reached = excluded.reached, looked_at = clock_timestamp();
  return v_new;
end $$;
comment on function m23.see_tenants(bigint) is
  'For the upkeep: notes tenants whose rows have changed, from one log at a time; gives how many were new.';
