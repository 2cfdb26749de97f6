-- Makes one table of a copy with the wanted rows; gives how many. Where they do not fit the rules of now, it has none.
create function m23.copy_beside(p_target m23.target, p_restore public.restore_logs) returns bigint
language plpgsql as $$
declare
  v_copy  text := (select format('%I.%I', p_restore.target_schema, c.relname) from pg_class c
                    where c.oid = (p_target.tbl).relid);
  v_count bigint;
begin
  begin
    if not m23.make_like(v_copy, (p_target.tbl).relid,
         'including generated including identity including constraints including comments', p_target.path) then
      perform m23.add_staging_warning(p_restore.id, m23.public_name((p_target.tbl).relid)
                || ': the copy has its primary key alone; the server does not find what an index of it calls');
    end if;
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  exception when integrity_constraint_violation then
    perform m23.make_bare(v_copy, (p_target.tbl).relid, p_target.path);
    perform m23.add_staging_warning(p_restore.id, m23.public_name((p_target.tbl).relid)
              || ': the copy has its primary key and no other rule; its rows do not fit those of now');
    v_count := m23.fill_copy(p_target, p_restore.tenant_id, v_copy);
  end;
  execute format('alter table %s enable row level security', v_copy);
  execute format('grant select on %s to service_role', v_copy);
  perform m23.advance_sequences(v_copy::regclass, p_target.columns, v_copy, p_target.path);
  return v_count;
end $$;
