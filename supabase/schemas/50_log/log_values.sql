-- Values of the log in the table's present names and types.

-- A value of one type as one of another: as its text would be read, but for what becomes JSON.
create function m23.converted(p_value text, p_from text, p_to text) returns text
language plpgsql immutable as $$
begin
  return case
    when p_from = p_to then p_value
    when p_from = 'text' then format('(%s)::%s', p_value, p_to)
    when p_to in ('json', 'jsonb')
         and p_from not in ('json', 'jsonb', 'character varying', 'character', 'bpchar', 'name')
    then format('pg_catalog.to_jsonb(%s)::%s', p_value, p_to)
    else format('(case when %1$s is not null then concat(%1$s) end)::%2$s', p_value, p_to) end;
end $$;

-- The column `l.<p_name>` of a log, which has the type p_type, in the type that the table has now.
-- p_shown: as JSON, or as it was logged where it does not fit.
create function m23.log_cast(p_table m23.protected_tables, p_column m23.column_shape, p_name text, p_type text,
                             p_shown boolean)
returns text
language plpgsql stable as $$
declare
  v_now    text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_type   oid := (select a.atttypid from pg_attribute a
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_logged text := format('l.%I', p_name);
begin
  if p_type = 'text' and v_now <> 'text' then v_logged := m23.logged_words(v_logged, v_type); end if;
  return case
    when p_shown then format('m23.json_of(%s, %L)', m23.converted(v_logged, p_type, 'text'),
                             m23.converted('$1::' || p_type, p_type, v_now))
    else format('(%s)', m23.converted(v_logged, p_type, v_now)) end;
end $$;

-- The value of an expression of a text, $1, as JSON; the text where it fails.
create function m23.json_of(p_value text, p_expression text) returns jsonb
language plpgsql stable as $$
declare v_json jsonb;
begin
  execute format('select pg_catalog.to_jsonb(%s)', p_expression) into v_json using p_value;
  return v_json;
exception when others then return to_jsonb(p_value);
end $$;

-- The value of a column in rows of the log from before the column was there: its default, or nothing where a function
-- fills it.
create function m23.value_before(p_table m23.protected_tables, p_column m23.column_shape, p_shown boolean) returns text
language plpgsql stable as $$
declare
  v_now     text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_default text := (select format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), v_now) from pg_attrdef d
                      where d.adrelid = p_table.relid and d.adnum = p_column.attnum
                        and p_column.name <> all (m23.filled_columns(p_table)));
begin
  return case when not p_shown then coalesce(v_default, 'null::' || v_now)
              when v_default is null then 'null::jsonb' else format('m23.json_of(null, %L)', v_default) end;
end $$;

-- A column's value in a row `l` of the log, in the table's present type and collation: keys are
-- told apart and ordered by it.
create function m23.log_value(p_table m23.protected_tables, p_column m23.column_shape, p_shown boolean default false)
returns text
language plpgsql stable as $$
begin
  return (select (
        case when count(*) = 1 and min(f.since) = '0/0'
             then m23.log_cast(p_table, p_column, max(f.name), max(f.type_name), p_shown)
             -- None: it was added, and nothing has told of it yet.
             else format(case when count(*) = 0 then '%2$s' else '(case %s else %s end)' end,
                         string_agg(format('when l.change_id >= %L then %s', f.since,
                                           m23.log_cast(p_table, p_column, f.name, f.type_name, p_shown)),
                                    ' ' order by f.since desc),
                         m23.value_before(p_table, p_column, p_shown)) end)
      || coalesce((select format(' collate %I.%I', n.nspname, o.collname)
                     from pg_attribute a
                     join pg_collation o on o.oid = a.attcollation
                     join pg_namespace n on n.oid = o.collnamespace
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum
                      and o.collname <> 'default' and not p_shown), '')
      from m23.log_columns f where f.table_id = p_table.id and f.attnum = p_column.attnum);
end $$;

-- The log's columns of a row `l`, in the table's names and types.
create function m23.log_images(p_table m23.protected_tables, p_shown boolean default false) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s as %I', case when f.is_plain then 'l.' || f.name
                                                    else m23.log_value(p_table, c, p_shown) end, c.name),
                            ', ' order by c.attnum)
      from m23.columns_of(p_table.relid) c
      left join lateral (
           select min(l.name) as name,
                  min(l.since) = '0/0' and count(*) = 1 and min(l.type_name) = c.type_name
                  -- That JSON shows \u0000 is not sure.
                  and not (p_shown and c.type_name in ('json', 'json[]')) as is_plain
             from m23.log_columns l where l.table_id = p_table.id and l.attnum = c.attnum) f on true
     where not c.generated);
end $$;
