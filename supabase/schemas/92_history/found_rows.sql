-- Rows of a table as they were before a change that a filter lets through, newest first, a stretch of the log at a
-- time. If it has taken its time, the last row has the transaction that it came to, and no operation.
create function m23.found_rows(p_table m23.protected_tables, p_tenant text, p_pick m23.pick)
returns setof m23.told_change
language plpgsql stable as $$
declare
  v_until  timestamptz := clock_timestamp() + m23.search_time();
  v_first  xid8 := coalesce((m23.transactions_between(p_pick.since, p_pick.until)).first, '0');
  v_test   text := m23.json_passes(p_table.relid, p_pick.filter);
  v_left   int := p_pick.most;
  v_keys   boolean := m23.names_keys(p_table.relid, p_pick.filter);  -- found by an index, and so at once
  v_step   int := 1000;
  v_told   m23.told_change[];
  v_one    m23.told_change;
begin
  loop
    p_pick.from_xid := case when v_keys then v_first else greatest(
      v_first, m23.step_back(array[p_table.id], p_tenant, v_first, p_pick.before_xid, v_step)) end;
    loop
      v_told := array(select c from m23.told_changes(p_table, p_tenant, p_pick) c
                       order by c.transaction_id desc, c.id desc);
      foreach v_one in array v_told loop
        if m23.passes(p_table.relid, v_test, v_one.old_values) then
          return next v_one;
          v_left := v_left - 1;
          if v_left = 0 then return; end if;
        end if;
      end loop;
      exit when cardinality(v_told) < p_pick.most;
      p_pick.before_xid := v_one.transaction_id;
      p_pick.before_id := v_one.id;
    end loop;
    if p_pick.from_xid <= v_first then return; end if;
    p_pick.before_xid := p_pick.from_xid;
    p_pick.before_id := 0;
    if clock_timestamp() > v_until then
      v_one := null;
      v_one.transaction_id := p_pick.from_xid;
      v_one.id := 0;
      v_one.at := m23.time_of(p_pick.from_xid);
      return next v_one;
      return;
    end if;
    v_step := least(v_step * 4, m23.setting('search_step')::int);
  end loop;
end $$;
