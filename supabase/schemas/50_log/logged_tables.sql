-- The tables among these whose logs can have changes of a tenant from a transaction on. It only says less than all
-- where there is nothing: parts that are sealed are known, and the others are looked into, some at a time. A schema
-- change of several tables is waited for while nothing is held, and under the fence nobody is.
create function m23.logged_tables(p_ids int[], p_tenant text, p_from xid8) returns int[]
language plpgsql volatile as $$
declare
  v_some  constant int := 32;
  v_found int[] := array(select distinct n.table_id from m23.log_tenants n
                          where n.tenant_id in (p_tenant, lower(p_tenant)) and n.table_id = any (p_ids)
                            and n.last_xid >= p_from);
  v_looks text[] := array(
    select format('select %s where exists (select from %s l where l.tenant_id = %s and l.xid >= $2)',
                  p.table_id, m23.part_name(p.table_id, p.part), m23.tenant_value(t, '$1'))
      from m23.log_parts p
     join m23.protected_tables t on t.id = p.table_id
     where not p.sealed and p.table_id = any (p_ids) and p.table_id <> all (v_found)
       and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) > 0);
  v_deadline timestamptz := clock_timestamp() + interval '5 seconds';
  v_first    int := 1;
begin
  while v_first <= cardinality(v_looks) loop
    begin
      v_found := v_found || m23.glance(v_looks[v_first:v_first + v_some - 1], p_tenant, p_from);
      v_first := v_first + v_some;
      continue;
    exception when lock_not_available then
      if current_setting('lock_timeout') = '200ms' or clock_timestamp() > v_deadline then raise; end if;
    end;
    perform pg_sleep(0.02);
  end loop;
  return array(select distinct f from unnest(v_found) f order by f);
end $$;
