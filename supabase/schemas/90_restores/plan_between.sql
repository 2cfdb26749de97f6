-- m23.plan for the way from one moment to another: the rows as of both are compared.
create function m23.plan_between(p_tenant text, p_targets m23.target[], p_from m23.moment) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_from   xid8 := least(((p_targets[1]).moment).floor, p_from.floor);
  v_logged int[];
  v_log    text;
begin
  perform m23.end_plan();  -- one that was given up
  v_logged := m23.logged_tables(array(select (t).tbl.id from unnest(p_targets) t), p_tenant, v_from);
  p_targets := array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                      where ((p_targets[n]).tbl).id = any (v_logged) order by n);
  perform m23.lock_tables(array(select (t).tbl.relid from unnest(p_targets) t));
  foreach v_target in array m23.complete_targets(p_targets) loop
    v_log := m23.log_of((v_target.tbl).id, p_tenant, v_from);
    perform m23.run_between(v_target, p_tenant, p_from, m23.fill($sql$
        insert into m23.plan (table_id, name, inserts, updates, deletes)
        select $5, $6, count(*) filter (where l.m23_there is null),
               count(*) filter (where l.m23_there and w.m23_there), count(*) filter (where w.m23_there is null)
          from (select true as m23_there, w.* from ({wanted}) w) w
          full join (select true as m23_there, l.* from ({from}) l) l on {same_key}
         where w.m23_there is null or l.m23_there is null or {differs}$sql$,
      'wanted', m23.statement(v_target.tbl, 'as_of', 'log', v_log),
      'from', m23.as_of_query(v_target.tbl, m23.touched_since(v_target.tbl, v_log, p_moment => '$4')),
      'same_key', m23.key_match((v_target.tbl).relid, 'w', 'l'),
      'differs', m23.differs(v_target.tbl, v_target.columns,
                             array(select format('w.%I', c) from unnest(v_target.columns) c))));
  end loop;
end $$;

-- Executes a statement with the parameters of m23.plan_between. Where values do not fit, it says which.
create function m23.run_between(p_target m23.target, p_tenant text, p_from m23.moment, p_statement text) returns void
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
