-- Calls the hooks of a restore that has changed rows, from what its plan came to.
create function m23.run_after_restore(p_tenant text) returns void
language plpgsql set plan_cache_mode = auto as $$
declare
  v_hook    m23.after_restore_hooks;
  v_changes jsonb;
  v_called  text[] := '{}';
begin
  for v_hook in
    select * from m23.after_restore_hooks h where coalesce(h.tenant_id, p_tenant) = p_tenant order by h.id
  loop
    select jsonb_object_agg(p.name, jsonb_build_object(
             'inserts', p.inserts, 'updates', p.updates, 'deletes', p.deletes))
      into v_changes
      from m23.plan p join m23.protected_tables t on t.id = p.table_id
     where p.inserts + p.updates + p.deletes > 0 and (v_hook.relid is null or t.relid = v_hook.relid);
    if v_changes is not null then
      v_called := v_called || m23.call_hook(v_hook, p_tenant, v_changes);
    end if;
  end loop;
  if cardinality(v_called) > 0 then
    perform m23.check_hooks(v_called);
  end if;
end $$;
