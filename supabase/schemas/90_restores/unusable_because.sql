-- Why a snapshot is no active one of a tenant.
create function m23.unusable_because(p_tenant text, p_snapshot uuid) returns text
language plpgsql stable as $$
begin
  return coalesce((
    select case
        when s.status = 'rolled_back' then concat('this snapshot was used at ', m23.iso(s.rolled_back_at),
          (select ' by the rollback ' || r.id from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1),
          (select '; the snapshot ' || r.pre_rollback_snapshot_id || ' undoes that' from public.pitr_rollbacks r
            where r.snapshot_id = s.id and r.status = 'completed' order by r.completed_at desc limit 1))
        when s.expires_at <= clock_timestamp() then 'this snapshot expired at ' || m23.iso(s.expires_at)
        else 'this snapshot is ' || s.status end
      from public.pitr_snapshots s where s.id = p_snapshot and s.tenant_id = p_tenant),
    'no such active snapshot in this tenant');
end $$;
