-- The transactions of a tenant's that are M23's own: a restore, or a rollback. Each has left a snapshot of before.
create function m23.own_transactions(p_tenant text)
returns table (xid xid8, restore_log_id uuid, source text)
language plpgsql stable rows 10 as $$
begin
  return query
  select (s.snapshot_data ->> 'transaction')::xid8, s.restore_log_id,
         coalesce('restore ' || s.restore_log_id, 'rollback ' || r.id)
    from public.pitr_snapshots s left join public.pitr_rollbacks r on r.pre_rollback_snapshot_id = s.id
   where s.tenant_id = p_tenant and s.snapshot_type = 'pre_restore'
     and s.snapshot_data ->> 'incarnation' = (select m23.present_life())::text;
end $$;
