-- It waits for no lock: what somebody alters meanwhile is searched the next time. What takes longer than the call may,
-- as the log of a long outage could, is passed over: it would keep all others from being searched.
create function m23.search_part(p_part m23.grown_part, p_now pg_snapshot) returns boolean
language plpgsql volatile set lock_timeout = '200ms' as $$
declare
  v_log    text := p_part.relid::regclass::text;
  v_from   pg_snapshot := m23.look_from(p_part.look);
  v_minute record;
  v_gone   bigint;
begin
  for v_minute in execute m23.deletes_query(v_log) using v_from, coalesce((p_part.look).seen, '1:1:'), p_now loop
    execute m23.gone_query(p_part.tbl, v_log)
      into v_gone using v_minute.tenant_id, v_minute.since, p_now, pg_snapshot_xmin(v_from);
    if m23.is_mass(p_part.tbl, v_minute.tenant_id, v_gone) then
      perform m23.note_mass_delete(p_part, v_minute.tenant_id, v_minute.first_xid, v_minute.since, v_minute.until,
                                   v_gone);
    end if;
  end loop;
  return true;
exception when undefined_table or undefined_column or lock_not_available or query_canceled then
  raise log 'm23: a log was not searched for mass deletes: % (%)', sqlerrm, sqlstate;
  return sqlstate = '57014';
end $$;
