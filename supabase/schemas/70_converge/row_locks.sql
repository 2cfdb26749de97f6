-- The rows that a restore will change are taken without waiting: whoever holds one may wait for the fence.

-- How a row that may change is taken. Where others refer to it, whoever inserts one of them holds it
-- against deletion, and may wait for the fence: only what is to be deleted is taken from them, too.
create function m23.lock_to_change(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return case when exists (select from pg_constraint where contype = 'f' and confrelid = p_table.relid)
                then 'no key update' else 'update' end;
end $$;

-- The rows to be changed are taken without waiting: a writer that holds one may itself
-- be waiting for the fence. p_rows is a relation that finds those of p_ops as p_match says. The plan of a
-- moment has taken its rows already, as rows that may change. Gives how many were there.
create function m23.lock_rows(
  p_target m23.target, p_tenant text, p_rows text, p_match text, p_ops "char"[], p_lock text
) returns bigint
language plpgsql as $$
begin
  return m23.number_of(p_target.path, format('
      select count(*) from (
        select 1 from %s d join %s l on %s where d.m23_op = any (%L) and %s for %s of l nowait) locked',
    p_rows, m23.qualified_name((p_target.tbl).relid), p_match, p_ops,
    m23.is_planned(p_target.tbl, p_tenant), p_lock));
end $$;

-- Notes which rows a plan would change, as pg_temp.m23_early_<id>.
-- Made without the fence, it may be wrong: it only says which rows are worth taking first. Gives the targets that have
-- some.
create function m23.plan_early(p_tenant text, p_targets m23.target[], p_on_blocked text) returns m23.target[]
language plpgsql as $$
declare
  v_plan   record := m23.plan_targets(p_tenant, p_targets, p_on_blocked);
  v_target m23.target;
begin
  foreach v_target in array v_plan.targets loop
    execute format('drop table if exists pg_temp.m23_early_%s', (v_target.tbl).id);
    execute format('create temp table m23_early_%s on commit drop as select m23_op, %s from %s d where m23_op <> ''I''',
                   (v_target.tbl).id, m23.key_list((v_target.tbl).relid, 'd'), m23.diff_name(v_target.tbl));
  end loop;
  return v_plan.targets;
end $$;

-- Takes the rows that m23.plan_early has found, without waiting for any.
create function m23.lock_early(p_tenant text, p_targets m23.target[]) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_early  text;
  v_match  text;
begin
  foreach v_target in array p_targets loop
    v_early := 'pg_temp.m23_early_' || (v_target.tbl).id;
    v_match := m23.key_match((v_target.tbl).relid, 'l', 'd');
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{U,T}', m23.lock_to_change(v_target.tbl));
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{D,R}', 'update');
  end loop;
end $$;
