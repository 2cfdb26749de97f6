-- What a restore would break of foreign keys, in both directions: foreseen from the plan, which is what a dry run says
-- and what spares a restore the writing; and noted for the check after it.

-- What to say of planned rows that refer to rows which do not exist.
create function m23.needs_parent(p_key pg_constraint, p_rows bigint) returns text
language plpgsql stable as $$
begin
  return format('%s row(s) of "%s" need rows of "%s" that do not exist', p_rows, m23.public_name(p_key.conrelid),
                m23.public_name(p_key.confrelid));
end $$;

-- What to say of rows that would go and that others refer to.
create function m23.leaves_child(p_key pg_constraint, p_rows bigint) returns text
language plpgsql stable as $$
begin
  return format('%s row(s) of "%s" would go, and rows of "%s" need them', p_rows, m23.public_name(p_key.confrelid),
                m23.public_name(p_key.conrelid));
end $$;

-- The rows that the plan of a table lets go (`=`) or will be there (`<>`), as far as they are in a partition.
create function m23.planned_rows(p_table m23.protected_tables, p_partition oid, p_are_d text) returns text
language plpgsql stable strict as $$
begin
  return format('(select ctid, * from %s where m23_op %s ''D'' and %s)',
                m23.diff_name(p_table), p_are_d, m23.partition_condition(p_partition));
end $$;

-- What is about to vanish as the target of a foreign key, kept for check_children.
create function m23.note_vanishing(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
declare
  v_table m23.protected_tables := p_target.tbl;
  v_key   pg_constraint;
begin
  for v_key in select * from m23.references_to(v_table.relid) loop
    perform m23.run(p_target.path, format('create temp table m23_gone_%s on commit drop as
        select distinct %s from %s l join %s d on %s where %s and d.m23_op <> ''I''',
      v_key.oid, m23.columns_text(v_key.confrelid, v_key.confkey, 'l'), m23.qualified_name(v_key.confrelid),
      m23.diff_name(v_table), m23.key_match(v_table.relid, 'l', 'd'), m23.is_planned(v_table, p_tenant)));
  end loop;
end $$;

-- The condition that a planned row `d` goes and a row that stays needs it. The rows that go are few: from them
-- to those that refer to them.
create function m23.leaves_need(p_targets m23.target[], p_target m23.target, p_key pg_constraint) returns text
language plpgsql stable as $$
declare
  v_child m23.target := m23.planned_target(p_targets, p_key.conrelid);
begin
  return format('d.ctid in (select g.ctid from %s)', concat_ws(' and ',
    format('%s g join %s c on %s', m23.planned_rows(p_target.tbl, p_key.confrelid, '='),
           m23.qualified_name(p_key.conrelid), m23.refers(p_key, 'g', 'c')),
    'not exists (select from ' || m23.diff_name(v_child.tbl) || ' x where ' || m23.key_match(p_key.conrelid, 'x', 'c')
      || ' and (x.m23_op = ''D'' or (' || m23.alike_children(p_key, 'x', 'c') || ') is not true))',
    format('not exists (select from %s p where %s)', m23.planned_rows(p_target.tbl, p_key.confrelid, '<>'),
           m23.alike_parents(p_key, 'p', 'g'))));
end $$;

-- The foreign keys that the plan of a table may break, each with its condition: it `needs` rows of the other
-- table, or the other table needs its rows. yields: which of these rows stand back for other tenants, or hang on one
-- that does.
create function m23.references_at_risk(p_tenant text, p_targets m23.target[], p_target m23.target)
returns table (key pg_constraint, needs boolean, other oid, condition text, yields text)
language plpgsql stable rows 5 as $$
declare v_plan record;
begin
  select p.inserts + p.updates as writes, p.deletes into v_plan from m23.plan p where p.table_id = (p_target.tbl).id;
  return query
    select k, true, k.confrelid, c.lacks, c.lacks || ' and ' || m23.hangs_on_left(p_targets, p_target, k)
      from m23.references_from((p_target.tbl).relid) k,
           lateral (select m23.lacks_parent(p_tenant, p_targets, p_target, k) offset 0) c (lacks)
     where v_plan.writes > 0 and m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
    union all
    select null::pg_constraint, true, p.other, p.condition, p.condition
      from m23.path_at_risk(p_tenant, p_targets, p_target) p where v_plan.writes > 0
    union all
    select null::pg_constraint, true, s.other, s.condition, s.condition
      from m23.sharing_at_risk(p_tenant, p_target) s where v_plan.writes > 0
    union all
    select k, false, k.conrelid, c.needed, c.needed
      from m23.references_to((p_target.tbl).relid) k,
           lateral (select m23.leaves_need(p_targets, p_target, k) offset 0) c (needed)
     where v_plan.deletes > 0 and m23.columns_planned(k.confrelid, k.confkey, p_target.columns);
end $$;
