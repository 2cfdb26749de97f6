-- What the database's own triggers keep while rows are written, and a restore that silences
-- them has to keep by itself: foreign keys and deferrable constraints.

-- With triggers silenced nobody checks them, so both directions are checked here, and
-- parents are locked as the silenced checks would have locked them. A key over partitioned tables has
-- constraints for their partitions as well, which are parts of its own (conparentid): the root's says it
-- all. A key that is a partition's alone is one in its own right.

-- The foreign keys of a table, or of partitions of it, that are kept.
create function m23.references_from(p_relid oid) returns setof pg_constraint
language plpgsql stable rows 2 as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query select k.* from pg_constraint k
    where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any (v_relids) and m23.is_enforced(k);
end $$;

-- The foreign keys that refer to a table, or to partitions of it, and are kept.
create function m23.references_to(p_relid oid) returns setof pg_constraint
language plpgsql stable rows 2 as $$
declare v_relids oid[] := m23.with_partitions(p_relid);
begin
  return query select k.* from pg_constraint k
    where k.contype = 'f' and k.conparentid = 0 and k.confrelid = any (v_relids) and m23.is_enforced(k);
end $$;

-- The table that a partition is part of; another table is its own.
create function m23.root_of(p_relid oid) returns oid
language plpgsql stable strict as
$$ begin return coalesce(pg_partition_root(p_relid), p_relid); end $$;

-- The condition that a row, the only one in sight, is one of a partition: always, of another table.
create function m23.partition_condition(p_relid oid) returns text
language plpgsql stable strict as
$$ begin return coalesce(pg_get_partition_constraintdef(p_relid), 'true'); end $$;

-- Columns by their numbers, each with an alias before it, as a list.
create function m23.columns_text(p_relid oid, p_attnums int2[], p_alias text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I', p_alias, a.attname), ', ' order by n.ord)
            from unnest(p_attnums) with ordinality n (attnum, ord)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = n.attnum);
end $$;

-- The condition that the columns of two rows agree by these operators, one for each pair of columns. A foreign
-- key has its own: by name alone, `=` would compare citext as text, and for ltree there would be none.
create function m23.columns_agree(
  p_operators oid[], p_left text, p_left_relid oid, p_left_attnums int2[],
  p_right text, p_right_relid oid, p_right_attnums int2[]
) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I operator(%I.%s) %s.%I',
             p_left, l.attname, n.nspname, o.oprname, p_right, r.attname), ' and ' order by u.n)
      from unnest(p_operators, p_left_attnums, p_right_attnums) with ordinality u (operator, left_num, right_num, n)
      join pg_operator o on o.oid = u.operator join pg_namespace n on n.oid = o.oprnamespace
      join pg_attribute l on l.attrelid = p_left_relid and l.attnum = u.left_num
      join pg_attribute r on r.attrelid = p_right_relid and r.attnum = u.right_num);
end $$;

-- The condition that a child refers to a parent, each given by its alias.
create function m23.refers(k pg_constraint, p_parent text, p_child text) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(k.conpfeqop, p_parent, k.confrelid, k.confkey, p_child, k.conrelid, k.conkey);
end $$;

-- The condition that two parents are one to a child.
create function m23.alike_parents(k pg_constraint, p_left text, p_right text) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(k.conppeqop, p_left, k.confrelid, k.confkey, p_right, k.confrelid, k.confkey);
end $$;

-- The condition that two children refer to one parent.
create function m23.alike_children(k pg_constraint, p_left text, p_right text) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(k.conffeqop, p_left, k.conrelid, k.conkey, p_right, k.conrelid, k.conkey);
end $$;

-- Whether a plan has all of these columns.
create function m23.columns_planned(p_relid oid, p_attnums int2[], p_columns text[]) returns boolean
language plpgsql stable as $$
begin
  return (select bool_and(a.attname = any (p_columns)) from pg_attribute a
           where a.attrelid = p_relid and a.attnum = any (p_attnums));
end $$;

-- What to do about a table that was not chosen.
create function m23.advice_for_table(p_relid oid, p_otherwise text) returns text
language sql stable as $$
  select format(case when exists (select from m23.protected_tables t where t.relid = m23.root_of(p_relid))
                     then 'add "%s"' else '"%s" is not protected: %s' end,
                m23.public_name(m23.root_of(p_relid)), p_otherwise)
$$;

-- What to say of planned rows that refer to rows which do not exist.
create function m23.needs_parent(p_key pg_constraint, p_rows bigint) returns text
language sql stable as $$
  select format('tables: %s row(s) of "%s" need rows of "%s" that do not exist; %s', p_rows,
                m23.public_name(p_key.conrelid), m23.public_name(p_key.confrelid),
                m23.advice_for_table(p_key.confrelid, 'put them back first'))
$$;

-- What to say of rows that would go and that others refer to.
create function m23.leaves_child(p_key pg_constraint, p_rows bigint) returns text
language sql stable as $$
  select format('tables: %s row(s) of "%s" would go, and rows of "%s" need them; %s', p_rows,
                m23.public_name(p_key.confrelid), m23.public_name(p_key.conrelid),
                m23.advice_for_table(p_key.conrelid, 'take them away first'))
$$;

-- The rows that the plan of a table lets go (`=`) or will be there (`<>`), as far as they are in a partition.
create function m23.planned_rows(p_table m23.protected_tables, p_partition oid, p_are_d text) returns text
language plpgsql stable strict as $$
begin
  return format('(select ctid, * from %s where m23_op %s ''D'' and %s)',
                m23.diff_name(p_table), p_are_d, m23.partition_condition(p_partition));
end $$;

-- What is about to vanish as the target of a foreign key, kept for check_children.
create function m23.note_vanishing(p_target m23.target, p_tenant uuid) returns void
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

-- The same, foreseen from the plan, before anything is written: what a dry run says, and
-- what spares a restore the writing.

-- The search path of a statement that touches another table besides a target's.
create function m23.path_with(p_targets m23.target[], p_target m23.target, p_other oid) returns text
language plpgsql stable as $$
begin
  return case when p_target.path <> '' then p_target.path
              else coalesce((m23.planned_target(p_targets, p_other)).path, m23.path_of(p_other)) end;
end $$;

-- The target that a table is, or is a partition of.
create function m23.planned_target(p_targets m23.target[], p_relid oid) returns m23.target
language sql stable as
$$ select t from unnest(p_targets) t where (t).tbl.relid = m23.root_of(p_relid) $$;

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

-- Whether a table was chosen: it is planned, or there is nothing to do for it.
create function m23.is_among(p_targets m23.target[], p_relid oid) returns boolean
language plpgsql volatile as $$
begin
  return exists (select from unnest(p_targets) t where (t).tbl.relid = p_relid)
      or exists (select from m23.plan p join m23.protected_tables k on k.id = p.table_id
                  where k.relid = p_relid and k.id not in (select (t).tbl.id from unnest(p_targets) t));
end $$;

-- The foreign keys that the plan of a table may break, each with its condition: it `needs` rows of the other
-- table, or the other table needs its rows.
create function m23.references_at_risk(p_tenant uuid, p_targets m23.target[], p_target m23.target)
returns table (key pg_constraint, needs boolean, other oid, condition text)
language plpgsql stable rows 5 as $$
declare v_plan record;
begin
  select p.inserts + p.updates as writes, p.deletes into v_plan from m23.plan p where p.table_id = (p_target.tbl).id;
  return query
    select k, true, k.confrelid, m23.lacks_parent(p_tenant, p_targets, p_target, k)
      from m23.references_from((p_target.tbl).relid) k
     where v_plan.writes > 0 and m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
    union all
    select k, false, k.conrelid, m23.leaves_need(p_targets, p_target, k) from m23.references_to((p_target.tbl).relid) k
     where v_plan.deletes > 0 and m23.columns_planned(k.confrelid, k.confkey, p_target.columns);
end $$;

-- Triggers ----------------------------------------------------------------------------------

-- The application's triggers and foreign-key actions are silent while a restore writes:
-- the rows that they made are among the rows that come back.
create function m23.silence_triggers() returns boolean
language plpgsql as $$
begin
  perform set_config('session_replication_role', 'replica', true);
  return true;
exception when insufficient_privilege then
  return false;
end $$;

-- Whether a write to these tables sets anything off but M23's capture: triggers, those of foreign
-- keys among them, or rules. Where it does not, nothing is silenced: that would throw away every plan
-- that the session has kept.
create function m23.sets_off(p_targets m23.target[]) returns boolean
language plpgsql stable as $$
begin
  return exists (select from unnest(p_targets) t, m23.captured((t).tbl.relid) c
     where exists (select from pg_trigger g where g.tgrelid = c.relid and g.tgname !~ '^(aaa|zzz)_m23_')
        or exists (select from pg_rewrite r where r.ev_class = c.relid));
end $$;

-- Triggers that fire all the same, or that cannot be silenced on this server.
create function m23.loud_triggers(p_table m23.protected_tables, p_silenced boolean) returns text[]
language sql stable as $$
  select coalesce(array_agg(t.tgname::text order by t.tgname), '{}') from pg_trigger t
   where t.tgrelid = p_table.relid and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_'
     and case when p_silenced then t.tgenabled in ('A', 'R') else t.tgenabled in ('O', 'A') end
$$;

-- Silences triggers. Those that cannot be silenced are refused, and those that fire always are told of.
create function m23.check_triggers(p_targets m23.target[]) returns text[]
language plpgsql as $$
declare
  v_silenced boolean := m23.silence_triggers();
  v_said     text[] := m23.trigger_sentences(p_targets, v_silenced);
begin
  if not v_silenced and cardinality(v_said) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_said);
  end if;
  return v_said;
end $$;
