-- A restore whose worker has died before it wrote has changed nothing. One that is
-- writing holds its lock, however long it takes. One that was answered with 202 is taken up again.
create function m23.sweep_restores(p_tenant text default null) returns int
language plpgsql as $$
declare
  v_work  m23.restore_work;
  v_swept int := 0;
begin
  for v_work in
    select w.* from m23.restore_work w
     where (p_tenant is null or w.tenant_id = p_tenant) and w.kind <> 'test' and not w.detached
       and not m23.is_driven(w, p_tenant is not null)
  loop
    if pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.fail_restore(v_work.work_id, 'the worker stopped before anything was changed; start again');
      v_swept := v_swept + 1;
    end if;
  end loop;
  return v_swept;
end $$;
