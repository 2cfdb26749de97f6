-- Point-in-time recovery: the wanted rows come from the log, as of a moment. A preview is
-- the same plan, stopped before the write.

-- Executes a statement with the parameters of m23.plan_between. Where values do not fit, it says which.
create function m23.run_between(p_target m23.target, p_tenant uuid, p_from m23.moment, p_statement text) returns void
language plpgsql volatile as $$
declare v_name text := m23.public_name((p_target.tbl).relid);
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[], p_from, (p_target.tbl).id, v_name;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(select distinct m23.unfit_columns(t, p_tenant)
                                  from unnest(array[p_target, m23.logged_target(p_target.tbl, p_from)]) t));
  raise;
end $$;
