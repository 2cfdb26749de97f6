-- Updates the live rows of the plan with one operation; gives how many are known to be stored as planned.
create function m23.update_diff(p_target m23.target, p_tenant text, p_op "char", p_quiet boolean) returns bigint
language plpgsql as $$
declare
  v_update text;
  v_set    text := (select string_agg(format('%1$I = d.%1$I', c.name), ', ') from m23.columns_of((p_target.tbl).relid) c
                     where c.name = any (p_target.columns) and c.identity <> 'a'
                       and (p_op = 'T' or c.attnum is distinct from (p_target.tbl).tenant_attnum)
                       -- equal keys of most types can be stored otherwise
                       and (c.key_ord is null or c.type_name not in ('smallint', 'integer', 'bigint', 'uuid')));
begin
  if v_set is null then return 0; end if;
  v_update := format('update %s l set %s from %s d where %s and %s and d.m23_op = %L',
                     m23.qualified_name((p_target.tbl).relid), v_set,
                     m23.diff_name(p_target.tbl), m23.live_match(p_target.tbl, p_quiet),
                     m23.is_planned(p_target.tbl, p_tenant), p_op);
  if m23.writes_as_planned(p_target.tbl, p_quiet) then
    return m23.run(p_target.path, v_update);
  elsif exists (select from pg_rewrite where ev_class = (p_target.tbl).relid) then  -- a rule may not allow RETURNING
    perform m23.run(p_target.path, v_update);
    return 0;
  end if;
  return m23.number_of(p_target.path, format('
      with written as (%s returning %s as is_as_planned) select count(*) from written where is_as_planned',
    v_update, m23.is_stored_as_planned(p_target)));
end $$;
