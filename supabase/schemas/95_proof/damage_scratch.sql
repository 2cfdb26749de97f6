-- Does to the copy what a customer might: takes rows away and empties a column of others, as far
-- as foreign keys and constraints allow.
create function m23.damage_scratch(p_scratch m23.scratch) returns void
language plpgsql as $$
declare
  v_copy   text := m23.qualified_name((p_scratch.copy).relid);
  v_some   text := format('ctid in (select x.ctid from (select ctid, row_number() over () as n from %s) x
                                     where x.n %% 3 = 1)', v_copy);
  v_column text := (select c.name from m23.columns_of((p_scratch.copy).relid) c
                     where c.key_ord is null and not c.not_null and not c.generated
                       and c.name = any ((p_scratch.staged).columns) order by c.attnum desc limit 1);
begin
  begin
    perform m23.run(p_scratch.path, format('delete from %s where %s', v_copy, v_some));
  exception when foreign_key_violation then null;
  end;
  if v_column is not null then
    begin
      perform m23.run(p_scratch.path, format('update %s set %I = null where %s', v_copy, v_column, v_some));
    exception when integrity_constraint_violation then null;
    end;
  end if;
end $$;
