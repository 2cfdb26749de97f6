-- A tenant's transactions from the one that began last to the first, a stretch of the logs at a time. It begins with a
-- small one, and goes on until there are enough, all were looked at, or it has taken its time: then the last row has
-- the transaction that it came to, and nothing else but how far back that is.
create function m23.newest_transactions(p_tenant text, p_wanted m23.transaction_filter)
returns setof m23.told_transaction
language plpgsql stable as $$
declare
  v_until  timestamptz := clock_timestamp() + m23.search_time();
  v_tables int[] := array(select t.id from m23.tables_with_entries(null, p_tenant, p_wanted.first) t);
  v_step   int := 1000;
  v_to     xid8 := least(p_wanted.beyond, p_wanted.before_xid);
  v_from   xid8;
  v_count  int;
begin
  if p_wanted.sources = '{}' then return; end if;
  loop
    v_from := greatest(p_wanted.first, m23.step_back(v_tables, p_tenant, p_wanted.first, v_to, v_step));
    return query
      select t.* from m23.timed_transactions(array(
        select j from m23.joined_changes(m23.wanted_changes(array(
            select c from m23.protected_tables p, m23.changes_within(p, p_tenant, v_from, v_to) c
             where p.id = any (v_tables)), p_wanted)) j order by j.xid desc), p_wanted) t;
    get diagnostics v_count = row_count;
    p_wanted.most := p_wanted.most - v_count;
    exit when p_wanted.most <= 0 or v_from <= p_wanted.first;
    if clock_timestamp() > v_until then
      return query select v_from, m23.time_of(v_from), null::uuid, null::text, null::bigint, null::bigint, null::bigint,
                          null::text[];
      return;
    end if;
    v_to := v_from;
    v_step := least(v_step * 4, m23.setting('search_step')::int);
  end loop;
end $$;

-- The transaction at which so many entries of one of these tables lie, looked at from p_to (null: the end) backwards;
-- no table has more of them from there on, but for that transaction's own.
create function m23.step_back(p_tables int[], p_tenant text, p_from xid8, p_to xid8, p_step int) returns xid8
language plpgsql stable as $$
declare
  v_table m23.protected_tables;
  v_there xid8;
  v_last  xid8 := '0';
begin
  for v_table in select t.* from m23.protected_tables t where t.id = any (p_tables) loop
    begin
      execute format('select l.xid from %s l where l.tenant_id = %s and l.xid >= $2 and ($3 is null or l.xid < $3)
                       order by l.xid desc offset $4 limit 1',
                     m23.log_of(v_table.id, p_tenant, p_from), m23.tenant_value(v_table, '$1'))
        into v_there using p_tenant, p_from, p_to, p_step;
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then v_last := greatest(v_last, v_there);
    end;
  end loop;
  return v_last;
end $$;
