-- Tenancy through a parent: a table without a tenant column finds the tenant of a row by its parent's. What goes up the
-- path is an expression of the row, of one lookup by key a hop. A row whose parent is not there is whose that parent
-- was last (m23.absent_parents).

-- The parent's table on a table's path.
create function m23.parent_of(p_table m23.protected_tables) returns m23.protected_tables
language plpgsql stable as $$
begin
  return (select p from m23.protected_tables p where p.id = p_table.parent_id);
end $$;

-- The tables whose paths lead through a table, the near ones first, each once.
create function m23.path_children(p_id int) returns setof m23.protected_tables
language plpgsql stable rows 2 as $$
begin
  return query
  with recursive below (id, depth) as (
    select t.id, 1 from m23.protected_tables t where t.parent_id = p_id
    union all
    select t.id, b.depth + 1 from below b join m23.protected_tables t on t.parent_id = b.id)
  select t.* from below b join m23.protected_tables t on t.id = b.id order by b.depth, t.id;
end $$;

-- The foreign key that a path goes along: for each pair of columns the same. Null where there is none, or the server
-- does not keep it.
create function m23.path_constraint(p_table m23.protected_tables) returns pg_constraint
language plpgsql stable as $$
declare v_parent oid := (m23.parent_of(p_table)).relid;
begin
  return (select k from pg_constraint k
           where k.contype = 'f' and k.conparentid = 0 and k.conrelid = p_table.relid and k.confrelid = v_parent
             and m23.is_enforced(k)
             and cardinality(k.conkey) = cardinality(p_table.via_attnums)
             and not exists (
               select from unnest(k.conkey, k.confkey) u (mine, theirs)
                where not exists (select from unnest(p_table.via_attnums, p_table.parent_attnums) p (mine, theirs)
                                   where (p.mine, p.theirs) = (u.mine, u.theirs)))
           order by k.convalidated desc, k.condeferrable, k.oid limit 1);
end $$;

-- The operators by which a path's pairs of columns are equal: its foreign key's, else those of the types. One is null
-- where two columns cannot be compared.
create function m23.path_operators(p_table m23.protected_tables) returns oid[]
language plpgsql stable as $$
declare
  v_parent oid := (m23.parent_of(p_table)).relid;
  v_key    pg_constraint := m23.path_constraint(p_table);
begin
  return array(
    select coalesce((select k.operator from unnest(v_key.conkey, v_key.conpfeqop) k (attnum, operator)
                      where k.attnum = u.mine limit 1),
                    m23.equality_of(theirs.atttypid, mine.atttypid))
      from unnest(p_table.via_attnums, p_table.parent_attnums) with ordinality u (mine, theirs, n)
      left join pg_attribute mine on mine.attrelid = p_table.relid and mine.attnum = u.mine
      left join pg_attribute theirs on theirs.attrelid = v_parent and theirs.attnum = u.theirs
     order by u.n);
end $$;

-- The operator by which values of two types are equal, as an index of the left one has it; null where there is none.
create function m23.equality_of(p_left oid, p_right oid) returns oid
language plpgsql stable as $$
declare
  v_left  oid := m23.base_type(p_left);
  v_right oid := m23.base_type(p_right);
begin
  if v_left = 'varchar'::regtype then v_left := 'text'::regtype; end if;
  if v_right = 'varchar'::regtype then v_right := 'text'::regtype; end if;
  return (select o.amopopr
            from pg_opclass c join pg_am m on m.oid = c.opcmethod and m.amname = 'btree'
            join pg_amop o on o.amopfamily = c.opcfamily and o.amopstrategy = 3
                          and o.amoplefttype = c.opcintype and o.amoprighttype = v_right
           where c.opcintype = v_left and c.opcdefault limit 1);
end $$;

-- The condition that a row is a child of a parent's row.
create function m23.is_child_of(p_table m23.protected_tables, p_row text, p_parent text) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(m23.path_operators(p_table), p_parent, (m23.parent_of(p_table)).relid,
                           p_table.parent_attnums, p_row, p_table.relid, p_table.via_attnums);
end $$;

-- A parent's key as its children have it, text[]: of a child's row (its own columns), or of the parent's.
create function m23.path_key(p_relid oid, p_attnums int2[], p_row text) returns text
language plpgsql stable as $$
begin
  return (select format('array[%s]', string_agg(format(case when m23.is_citext(m23.base_type(a.atttypid))
                                                            then 'lower(%s.%I::text)'
                                                            when m23.base_type(a.atttypid) = 'numeric'::regtype
                                                            then 'trim_scale(%s.%I)::text' else '%s.%I::text' end,
                                                       p_row, a.attname), ', ' order by u.n))
            from unnest(p_attnums) with ordinality u (attnum, n)
            join pg_attribute a on a.attrelid = p_relid and a.attnum = u.attnum);
end $$;

-- The condition that none of a row's columns on its path is null.
create function m23.has_parent_key(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s.%I is not null', p_row, a.attname), ' and ' order by u.n)
            from unnest(p_table.via_attnums) with ordinality u (attnum, n)
            join pg_attribute a on a.attrelid = p_table.relid and a.attnum = u.attnum);
end $$;

-- The expression of the tenant of a row, by its path. The parent that is there decides, whatever its tenant is; only
-- where there is none does the note of an absent one.
create function m23.path_tenant(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as $outer$
declare
  v_parent m23.protected_tables := m23.parent_of(p_table);
  v_alias  text := 'm23_p' || v_parent.id;
begin
  return m23.fill($sql$(select m23_s.tenant from (
        select {tenant} as tenant from {parent} {alias} where {is_child}
        union all
        (select m23_a.tenant_id::{type} from m23.absent_parents m23_a
          where m23_a.table_id = {id} and m23_a.key = {key} order by m23_a.noted_at desc limit 1)) m23_s limit 1)$sql$,
    'tenant', m23.row_tenant(v_parent, v_alias), 'parent', m23.qualified_name(v_parent.relid), 'alias', v_alias,
    'is_child', m23.is_child_of(p_table, p_row, v_alias), 'type', p_table.tenant_type, 'id', p_table.id::text,
    'key', m23.path_key(p_table.relid, p_table.via_attnums, p_row));
end $outer$;

-- The condition that a live row is the tenant's, from the tenant's parents to their children: by the application's
-- index on the path's columns where it has one.
create function m23.path_belongs_to(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable as $outer$
declare
  v_parent m23.protected_tables := m23.parent_of(p_table);
  v_alias  text := 'm23_p' || v_parent.id;
  v_absent text := m23.fill($sql$select {columns} from m23.absent_parents m23_a
       where m23_a.table_id = {id} and m23_a.tenant_id = ({tenant})::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select {named}) m23_k join {parent} {alias} on {is_parent})$sql$,
    'columns', m23.absent_key(p_table), 'named', m23.absent_key(p_table), 'id', p_table.id::text,
    'tenant', m23.tenant_value(p_table, p_tenant), 'parent', m23.qualified_name(v_parent.relid), 'alias', v_alias,
    'is_parent', m23.is_child_of(p_table, 'm23_k', v_alias));
begin
  if m23.path_equality(p_table) is null then
    return m23.fill($sql$(exists (select from {parent} {alias} where {is_child} and {belongs})
      or exists (select from ({absent}) m23_k where {is_same}))$sql$,
      'parent', m23.qualified_name(v_parent.relid), 'alias', v_alias,
      'is_child', m23.is_child_of(p_table, p_row, v_alias), 'belongs', m23.belongs_to(v_parent, v_alias, p_tenant),
      'absent', v_absent, 'is_same', format('%s = %s', m23.path_key(p_table.relid, p_table.via_attnums, 'm23_k'),
                                            m23.path_key(p_table.relid, p_table.via_attnums, p_row)));
  end if;
  return m23.fill($sql$({mine}) {equals} any (
      select {theirs} from {parent} {alias} where {belongs}
      union all
      {absent})$sql$,
    'mine', m23.columns_text(p_table.relid, p_table.via_attnums, p_row),
    'theirs', m23.columns_text(v_parent.relid, p_table.parent_attnums, v_alias),
    'equals', m23.path_equality(p_table),
    'parent', m23.qualified_name(v_parent.relid), 'alias', v_alias, 'absent', v_absent,
    'belongs', m23.belongs_to(v_parent, v_alias, p_tenant));
end $outer$;

-- The columns of a path by the key of an absent parent `m23_a`, as a select list.
create function m23.absent_key(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('(m23_a.key[%s])::%s as %I', u.n, format_type(a.atttypid, null), a.attname),
                            ', ' order by u.n)
            from unnest(p_table.via_attnums) with ordinality u (attnum, n)
            join pg_attribute a on a.attrelid = p_table.relid and a.attnum = u.attnum);
end $$;

-- The one operator, by name, that compares all columns of a path; null where they need several.
create function m23.path_equality(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select case when count(distinct (o.oprnamespace, o.oprname)) = 1
                      then min(format('operator(%I.%s)', n.nspname, o.oprname)) end
            from unnest(m23.path_operators(p_table)) u (operator)
            join pg_operator o on o.oid = u.operator join pg_namespace n on n.oid = o.oprnamespace);
end $$;

-- A path for a reader: `task_id → tasks → "org_id"`.
create function m23.path_text(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  return format('%s → %s (%s)', array_to_string(m23.tenancy_columns(p_table), ', '),
                coalesce(m23.public_name(v_parent.relid), v_parent.name), m23.tenancy_text(v_parent));
end $$;

-- Whether the server sees to it that every row of a path's table has a parent, at the latest when a transaction ends.
create function m23.path_is_enforced(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin return coalesce((m23.path_constraint(p_table)).convalidated, false); end $$;

-- The same at the end of each statement.
create function m23.path_is_kept(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
declare v_key pg_constraint := m23.path_constraint(p_table);
begin
  return v_key.oid is not null and v_key.convalidated and not v_key.condeferrable;
end $$;

-- A path as an archive has it: `{"columns", "parent": {"schema", "name"}, "parent_columns"}`; null where there is none.
create function m23.path_facts(p_table m23.protected_tables) returns jsonb
language plpgsql stable as $$
declare v_parent oid := (m23.parent_of(p_table)).relid;
begin
  return (select jsonb_build_object('columns', m23.column_names(p_table.relid, p_table.via_attnums),
                                    'parent', jsonb_build_object('schema', n.nspname, 'name', c.relname),
                                    'parent_columns', m23.column_names(v_parent, p_table.parent_attnums))
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = v_parent);
end $$;

-- The names of columns by their numbers, in this order.
create function m23.column_names(p_relid oid, p_attnums int2[]) returns text[]
language plpgsql stable as $$
begin
  return array(select a.attname::text from unnest(p_attnums) with ordinality u (attnum, n)
                 join pg_attribute a on a.attrelid = p_relid and a.attnum = u.attnum order by u.n);
end $$;

-- The condition that two rows of a table refer to the same parent.
create function m23.same_path_columns(p_table m23.protected_tables, p_left text, p_right text) returns text
language plpgsql stable as $$
begin
  return m23.columns_agree(
    array(select m23.equality_of(a.atttypid, a.atttypid)
            from unnest(p_table.via_attnums) with ordinality u (attnum, n)
            join pg_attribute a on a.attrelid = p_table.relid and a.attnum = u.attnum order by u.n),
    p_left, p_table.relid, p_table.via_attnums, p_right, p_table.relid, p_table.via_attnums);
end $$;
