-- Plans a table, as m23.plan_statement says; for an undo, as m23.plan_undo does.
create function m23.plan_table(p_target m23.target, p_tenant text, p_lock boolean default false) returns void
language plpgsql as $$
begin
  perform m23.drop_plan(p_target.tbl);
  perform m23.run(p_target.path, format('create temp table m23_diff_%s on commit drop as
      select null::"char" as m23_op, null::tid as m23_place, %s from %s where false', (p_target.tbl).id,
    (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c),
    m23.qualified_name((p_target.tbl).relid)));
  if (p_target.undo).xids is not null then
    perform m23.plan_undo(p_target, p_tenant, p_lock);
  else
    perform m23.run_at(p_target, p_tenant, m23.plan_statement(p_target, p_tenant, p_lock));
  end if;
end $$;
