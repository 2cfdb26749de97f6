-- Removes what is older than audit_days, so much at a time; gives how many entries. A chain that does not fit is left
-- as it is, for verify_audit to tell.
create function m23.prune_audit() returns bigint
language plpgsql volatile as $$
declare
  v_began  timestamptz := clock_timestamp();
  v_cutoff timestamptz := v_began - make_interval(days => m23.setting('audit_days')::int);
  v_tenant text;
  v_upto   bigint;
  v_count  bigint;
  v_pruned bigint := 0;
begin
  for v_tenant in
    select t.tenant_id from (select distinct a.tenant_id from public.audit_log a where a.created_at < v_cutoff) t
     order by random()  -- those that do not fit come again, and keep nobody waiting
  loop
    exit when clock_timestamp() > v_began + interval '1 second';
    perform from m23.audit_heads h where h.tenant_id = v_tenant for update;
    v_upto := (select coalesce(min(a.seq) filter (where a.created_at >= v_cutoff) - 1, max(a.seq))
                 from (select * from public.audit_log o where o.tenant_id = v_tenant order by o.seq limit 10000) a);
    continue when (m23.audit_fault(v_tenant, v_upto)).broken is not null;
    insert into m23.audit_checkpoints as c (tenant_id, seq, hash)
      select a.tenant_id, a.seq, a.hash from public.audit_log a where a.tenant_id = v_tenant and a.seq = v_upto
      on conflict (tenant_id)
      do update set seq = excluded.seq, hash = excluded.hash, created_at = excluded.created_at;
    delete from public.audit_log where tenant_id = v_tenant and seq <= v_upto;
    get diagnostics v_count = row_count;
    v_pruned := v_pruned + v_count;
  end loop;
  return v_pruned;
end $$;
