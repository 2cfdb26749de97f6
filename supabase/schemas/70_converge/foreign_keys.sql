-- Foreign keys: a restore that silences triggers has to keep them by itself. A key over partitioned tables has
-- constraints for their partitions as well, which are parts of its own (conparentid): the root's says it all. A key
-- that is a partition's alone is one in its own right.

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
