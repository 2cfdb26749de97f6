-- What a column gets in a row that comes back without a value for it, as of a time before the column was there: from a
-- function that the project names (m23.set_fill), else the column's default.

-- By names: a function that is made anew is another object.
create table m23.fills (
  table_id      int not null references m23.protected_tables (id) on delete cascade,
  attnum        int2 not null,
  schema_name   text not null,
  function_name text not null,
  takes_row     boolean not null,
  primary key (table_id, attnum)
);
select m23.close_table('m23.fills');

-- The function of a fill; null where it is no longer there.
create function m23.fill_function(p_fill m23.fills) returns regprocedure
language plpgsql stable as $$
begin
  return to_regprocedure(format('%I.%I(%s)', p_fill.schema_name, p_fill.function_name, case when p_fill.takes_row then
    (select m23.qualified_name(t.relid) from m23.protected_tables t where t.id = p_fill.table_id) end));
end $$;

-- The call of a column's function for a wanted row `w` with some columns; null where it has none.
create function m23.fill_call(p_table m23.protected_tables, p_attnum int2, p_columns text[]) returns text
language plpgsql stable as $$
begin
  return (select format('%I.%I(%s)::%s', f.schema_name, f.function_name,
                        case when f.takes_row then m23.row_of_table(p_table.relid, p_columns) end,
                        format_type(a.atttypid, a.atttypmod))
            from m23.fills f join pg_attribute a on a.attrelid = p_table.relid and a.attnum = f.attnum
           where f.table_id = p_table.id and f.attnum = p_attnum and m23.fill_function(f) is not null);
end $$;

-- A wanted row `w`, which has some columns, as a row of its table.
create function m23.row_of_table(p_relid oid, p_columns text[]) returns text
language plpgsql stable as $$
begin
  return (select format('row(%s)::%s', string_agg(
                   case when a.attisdropped or a.attname <> all (p_columns) then 'null'
                        else format('w.%I', a.attname) end,
                   ', ' order by a.attnum) filter (where not a.attisdropped), m23.qualified_name(p_relid))
            from pg_attribute a where a.attrelid = p_relid and a.attnum > 0);
end $$;

-- What the database itself gives a column in a new row; null for nothing.
create function m23.default_of(p_relid oid, p_attnum int2) returns text
language plpgsql stable as $$
begin
  return (select case when a.attidentity <> '' then
                   format('nextval(%L::regclass)', pg_get_serial_sequence(m23.qualified_name(p_relid), a.attname))
                 else (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
                        where d.adrelid = p_relid and d.adnum = p_attnum) end
            from pg_attribute a where a.attrelid = p_relid and a.attnum = p_attnum);
end $$;

-- The value that a column gets in a wanted row `w` that has none: that of its function, else its default, where it must
-- have a value or the row comes from an archive, which cannot have said that it had none.
create function m23.filled(
  p_table m23.protected_tables, p_attnum int2, p_columns text[], p_archive boolean
) returns text
language plpgsql stable as $$
declare
  v_column pg_attribute;
  v_fill   text := m23.fill_call(p_table, p_attnum, p_columns);
begin
  if v_fill is not null then return v_fill; end if;
  select * into v_column from pg_attribute where attrelid = p_table.relid and attnum = p_attnum;
  if not (v_column.attnotnull or p_archive) then return null; end if;
  return '(' || m23.default_of(p_table.relid, p_attnum) || ')::' || format_type(v_column.atttypid, v_column.atttypmod);
end $$;

-- A value, or another one where it is null and there is another one.
create function m23.or_else(p_value text, p_other text) returns text
language plpgsql immutable as
$$ begin return case when p_other is null then p_value else format('coalesce(%s, %s)', p_value, p_other) end; end $$;

-- The columns of a table that a function fills.
create function m23.filled_columns(p_table m23.protected_tables) returns text[]
language plpgsql stable as $$
begin
  return array(select a.attname from m23.fills f
                 join pg_attribute a on a.attrelid = p_table.relid and a.attnum = f.attnum
                where f.table_id = p_table.id);
end $$;
