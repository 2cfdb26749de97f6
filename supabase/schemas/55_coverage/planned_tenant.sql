-- Whose a row is by what the plan knows, as an expression: for tables that are not protected yet, too.

-- The tenant of a row, as text: as it is declared, else by its tenant column, else by the one reference between the
-- table and the one that it hangs on. Null where there is no such way, or several.
create function m23.planned_tenant(
  p_relid oid, p_known m23.belonging[], p_ties m23.tie[], p_row text
) returns text
language plpgsql stable as $$
declare
  v_declared m23.protected_tables := (select t from m23.protected_tables t where t.relid = p_relid);
  v_this     m23.belonging := (select k from unnest(p_known) k where k.relid = p_relid);
  v_ties     m23.tie[];
begin
  if v_declared.id is not null then
    return case when (m23.obstacle_of(v_declared)).kind is null
                then format('(%s)::text', m23.row_tenant(v_declared, p_row)) end;
  elsif v_this.attnum is not null then
    return m23.column_as_tenant(p_relid, v_this.attnum, p_row);
  end if;
  v_ties := array(select t from unnest(p_ties) t
                   where (t.relid, t.parent) in ((p_relid, v_this.parent), (v_this.parent, p_relid)));
  return case when cardinality(v_ties) = 1 then m23.tenant_by_tie(v_ties[1], p_relid, p_known, p_ties, p_row) end;
end $$;

-- The tenant that a column names, as text; null where it cannot be a tenant column.
create function m23.column_as_tenant(p_relid oid, p_attnum int2, p_row text) returns text
language plpgsql stable as $$
begin
  return (select format(case when m23.is_citext(m23.base_type(a.atttypid)) then 'lower(%s.%I::text)'
                             else '%s.%I::text' end, p_row, a.attname)
            from pg_attribute a
           where a.attrelid = p_relid and a.attnum = p_attnum and m23.tenant_type(a.atttypid) is not null);
end $$;

-- The tenant of the row that a reference ties to a row of one of its two tables.
create function m23.tenant_by_tie(
  p_tie m23.tie, p_relid oid, p_known m23.belonging[], p_ties m23.tie[], p_row text
) returns text
language plpgsql stable as $outer$
declare
  v_points  boolean := p_tie.parent = p_relid;
  v_other   oid := case when v_points then p_tie.relid else p_tie.parent end;
  v_mine    int2[] := case when v_points then p_tie.parent_attnums else p_tie.attnums end;
  v_theirs  int2[] := case when v_points then p_tie.attnums else p_tie.parent_attnums end;
  v_alias   text := 'm23_w' || v_other;
  v_tenant  text := m23.planned_tenant(v_other, p_known, p_ties, v_alias);
  v_equal   oid[] := m23.equalities(v_other, v_theirs, p_relid, v_mine);
begin
  if v_tenant is null or array_position(v_equal, null) is not null then return null; end if;
  return m23.fill('(select {tenant} from {other} {alias} where {are_tied} limit 1)',
    'tenant', v_tenant, 'other', m23.qualified_name(v_other), 'alias', v_alias,
    'are_tied', m23.columns_agree(v_equal, v_alias, v_other, v_theirs, p_row, p_relid, v_mine));
end $outer$;

-- The operators by which columns of two tables are equal, pair by pair; one is null where there is none.
create function m23.equalities(p_left oid, p_left_attnums int2[], p_right oid, p_right_attnums int2[]) returns oid[]
language plpgsql stable as $$
begin
  return array(
    select m23.equality_of(l.atttypid, r.atttypid)
      from unnest(p_left_attnums, p_right_attnums) with ordinality u (left_num, right_num, n)
      join pg_attribute l on l.attrelid = p_left and l.attnum = u.left_num
      join pg_attribute r on r.attrelid = p_right and r.attnum = u.right_num order by u.n);
end $$;
