-- The mark of a table's layout: another one as soon as anything is another on which statements of the table depend
-- (m23.table_statements). By what the catalogue says, not by versions of its rows: ANALYZE and GRANT change nothing.
-- Null for a table whose statements depend on more: on functions that fill its columns.
create function m23.layout_mark(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare
  v_index  oid := m23.key_index(p_table.relid);
  v_layout text;
  v_types  oid[];
  v_more   text := '';
begin
  if exists (select from m23.fills f where f.table_id = p_table.id) then return null; end if;
  select row(m23.version(), m23.commit_times_are_native(), p_table.id, p_table.relid, p_table.tenant_attnum,
             p_table.tenant_type, p_table.key_attnums, p_table.parent_id, p_table.via_attnums, p_table.parent_attnums,
             n.nspname, c.relname, c.relkind, c.relnatts, i.indkey, i.indnkeyatts, i.indclass)::text
           || (select string_agg(row(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated,
                                     a.attidentity, a.attcollation)::text, '' order by a.attnum)
                 from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
         -- What the server does not bring along can be renamed, and moved to another schema.
         array(select a.atttypid from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and (a.atttypid >= 16384 or a.attcollation >= 16384))
           || array(select u.class from unnest(i.indclass) u (class) where u.class >= 16384)
    into v_layout, v_types
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_index i on i.indexrelid = v_index
   where c.oid = p_table.relid;
  if v_types <> '{}' then
    v_more := m23.types_mark(p_table.relid, v_index);
  end if;
  if p_table.parent_id is not null then
    v_more := v_more || m23.path_mark(p_table) || m23.path_layout(p_table.relid);
  end if;
  return md5(v_layout || m23.log_mark(p_table) || v_more);
end $$;

-- What statements depend on in a table's path, besides m23.path_layout: what pairs of its columns are compared with.
create function m23.path_mark(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select string_agg(coalesce(row(o.oid, n.nspname, o.oprname)::text, ''), ',' order by u.n)
            from unnest(m23.path_operators(p_table)) with ordinality u (operator, n)
            left join pg_operator o on o.oid = u.operator left join pg_namespace n on n.oid = o.oprnamespace);
end $$;

-- What statements depend on in a table's log: which column holds what, the groups, and what columns had before they
-- were logged: as an expression without columns, for which the server locks no table.
create function m23.log_mark(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return concat(
    (select string_agg(row(l.attnum, l.name, l.type_name, l.since)::text, '' order by l.name)
       from m23.log_columns l where l.table_id = p_table.id),
    (select string_agg(row(g.bit, g.attnums)::text, '' order by g.bit)
       from m23.log_groups g where g.table_id = p_table.id),
    (select string_agg(row(d.adnum, pg_get_expr(d.adbin, 0))::text, '' order by d.adnum)
       from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = p_table.relid and a.attgenerated = ''
        and d.adnum not in (select l.attnum from m23.log_columns l where l.table_id = p_table.id
                             group by l.attnum having count(*) = 1 and min(l.since) = '0/0')));
end $$;

-- What statements depend on in types, collations and operators that the server does not bring along.
create function m23.types_mark(p_relid oid, p_index oid) returns text
language plpgsql stable as $$
declare
  v_types oid[] := array(select a.atttypid from pg_attribute a
                          where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped);
begin
  return concat(
    (select string_agg(row(t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, t.typnotnull, t.typtypmod,
                           m23.is_citext(t.oid))::text, '' order by t.oid)
       from m23.types_within(v_types) u join pg_type t on t.oid = u.type join pg_namespace n on n.oid = t.typnamespace),
    (select string_agg(m23.logged_words('', u.type), ',' order by u.type) from unnest(v_types) u (type)
      where u.type >= 16384),
    (select string_agg(row(a.attnum, n.nspname, o.collname)::text, '' order by a.attnum)
       from pg_attribute a join pg_collation o on o.oid = a.attcollation join pg_namespace n on n.oid = o.collnamespace
      where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped),
    (select string_agg(row(m23.comparison(p_index, n, 3), m23.comparison(p_index, n, 5))::text, '' order by n)
       from generate_series(1, (select i.indnkeyatts from pg_index i where i.indexrelid = p_index)) n));
end $$;
