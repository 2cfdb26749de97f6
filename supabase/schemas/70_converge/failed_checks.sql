-- Checks that planned rows do not pass.
create function m23.failed_checks(p_target m23.target) returns setof text
language plpgsql as $$
declare
  v_check record;
  v_rows  bigint;
begin
  for v_check in
    select k.conname, pg_get_expr(k.conbin, k.conrelid) as expression, pg_get_constraintdef(k.oid) as definition
      from pg_constraint k
     where k.conrelid = (p_target.tbl).relid and k.contype = 'c' and m23.is_enforced(k) order by k.conname
  loop
    v_rows := m23.rows_where(p_target, format('not (%s)', v_check.expression));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break the constraint "%s": %s; they can come back once it allows them',
                         m23.public_name((p_target.tbl).relid), v_rows, v_check.conname, v_check.definition);
    end if;
  end loop;
end $$;
