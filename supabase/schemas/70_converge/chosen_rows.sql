-- Which rows of a table a selection chooses. Keys and values are data: they are read by the types of their columns.

-- The temporary table with the keys that a selection names: `m23_of` says by which field, `m23_n` at which place in it.
create function m23.chosen_keys_name(p_table m23.protected_tables) returns text
language plpgsql immutable as $$ begin return 'pg_temp.m23_chosen_keys_' || p_table.id; end $$;

-- Makes that table, where there are such keys.
-- runs under: text settings
create function m23.note_chosen_keys(p_target m23.target) returns void
language plpgsql as $$
declare v_relid oid := (p_target.tbl).relid;
begin
  if not p_target.selection ?| '{rows,exceptRows}' then return; end if;
  perform set_config('search_path', m23.path_of(v_relid), true);
  execute m23.fill($sql$
      create temp table {name} on commit drop as
        select null::text as m23_of, null::int as m23_n, {key} from {live} l where false$sql$,
    'name', split_part(m23.chosen_keys_name(p_target.tbl), '.', 2), 'key', m23.key_list(v_relid, 'l'),
    'live', m23.qualified_name(v_relid));
  execute m23.fill($sql$
      insert into {name}
      select f.field, k.* from (values ('rows', $1), ('exceptRows', $2)) f (field, keys)
       cross join lateral (
         select (e.n - 1)::int as m23_n, {values}
           from jsonb_array_elements(f.keys) with ordinality e (key, n)) k$sql$,
    'name', m23.chosen_keys_name(p_target.tbl),
    'values', (select string_agg(format('(e.key ->> %L)::%s as %1$I', c.name, c.type_name), ', ' order by c.key_ord)
                 from m23.columns_of(v_relid, p_of_key => true) c))
    using p_target.selection -> 'rows', p_target.selection -> 'exceptRows';
  execute format('analyze %s', m23.chosen_keys_name(p_target.tbl));
end $$;

-- The condition that a row `p_row` has a key that a field of the selection names.
create function m23.has_chosen_key(p_target m23.target, p_row text, p_field text) returns text
language plpgsql stable as $$
begin
  return m23.key_in((p_target.tbl).relid, p_row, format('(select * from %s where m23_of = %L)',
                                                        m23.chosen_keys_name(p_target.tbl), p_field));
end $$;

-- The condition that a row passes a filter.
-- runs under: text settings
create function m23.passes_filter(p_relid oid, p_row text, p_filter jsonb) returns text
language plpgsql stable as $$
begin
  return (select coalesce(string_agg(m23.term_condition(format('%s.%I', p_row, t.column_name), t.type_name, t.operator,
                                                        t.comparison, t.value), ' and '), 'true')
            from m23.filter_terms(p_relid, p_filter) t);
end $$;

-- The condition that a selection is about a row of a table, whatever has happened to it. A planned row is looked at as
-- of the moment or, where it is new since, as it is.
create function m23.is_selected(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
declare v_selection jsonb := p_target.selection;
begin
  if v_selection -> 'chosen' = 'false' then return 'false'; end if;
  return format('(%s)%s',
    coalesce(nullif(concat_ws(' or ',
      case when v_selection ? 'rows' then m23.has_chosen_key(p_target, p_row, 'rows') end,
      case when v_selection ? 'where' then '(' || m23.passes_filter((p_target.tbl).relid, p_row, v_selection -> 'where')
                                        || ')' end), ''), 'true'),
    case when v_selection ? 'exceptRows' then ' and not ' || m23.has_chosen_key(p_target, p_row, 'exceptRows')
         else '' end);
end $$;

-- The condition that a planned row is chosen.
create function m23.is_chosen(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
begin
  return format('(%s) and %s', m23.is_selected(p_target, p_row), m23.is_asked_for(p_target, p_row));
end $$;

-- The condition that a selection is about what has happened to a planned row.
create function m23.is_asked_for(p_target m23.target, p_row text) returns text
language plpgsql immutable as $$
begin
  return case when p_target.selection ? 'operations'
                then format('%s.m23_op = any (%L)', p_row, m23.planned_ops(p_target.selection -> 'operations'))
              else 'true' end;
end $$;

-- What the plan does with rows to which such things have happened since.
create function m23.planned_ops(p_operations jsonb) returns "char"[]
language plpgsql immutable as $$
begin
  return array(select o.op from (values ('delete', 'I'::"char"), ('delete', 'T'), ('update', 'U'), ('update', 'R'),
                                        ('insert', 'D')) o (operation, op)
                where p_operations ? o.operation);
end $$;
