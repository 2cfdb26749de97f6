-- Filters of rows: `{"column": value}`, or `{"column": {"gte": …, "lt": …, "in": […]}}`. Values are data, read by
-- the column's type, and null is IS NULL.

-- Why a JSON value is none of a type; null where it is one. The path is that of the table that has the type.
create function m23.misfit(p_relid oid, p_value jsonb, p_type text) returns text
language plpgsql stable as $$
declare v_path text := m23.path_of(p_relid);
begin
  if jsonb_typeof(p_value) in ('object', 'array') and p_type not in ('json', 'jsonb') then
    return 'must be a value, and no ' || jsonb_typeof(p_value);
  end if;
  perform set_config('search_path', v_path, true);
  execute format('select $1::%s', p_type) using p_value #>> '{}';
  return null;
exception when others then return format('"%s" is no %s', left(p_value #>> '{}', 80), p_type);
end $$;

-- A filter term by term.
create function m23.filter_terms(p_relid oid, p_filter jsonb)
returns table (column_name text, attnum int2, type_name text, comparison text, operator text, value jsonb)
language plpgsql stable rows 5 as $$
begin
  return query
  select f.key, c.attnum, m23.type_with_nulls(p_relid, c.attnum), t.comparison, o.sign, t.value
    from jsonb_each(p_filter) f
    left join m23.columns_of(p_relid) c on c.name = f.key and not c.generated
   cross join lateral (select e.key, e.value from jsonb_each(case jsonb_typeof(f.value) when 'object' then f.value
                                                             else jsonb_build_object('eq', f.value) end) e)
         t (comparison, value)
    left join (values ('eq', '='), ('gte', '>='), ('gt', '>'), ('lte', '<='), ('lt', '<'), ('in', '=')) o (name, sign)
      on o.name = t.comparison and (jsonb_typeof(f.value) <> 'object' or o.name <> 'eq')
   order by f.key, t.comparison;
end $$;

-- Whether values of a type can be compared so.
create function m23.is_comparable(p_relid oid, p_type text, p_operator text) returns boolean
language plpgsql stable as $$
declare v_path text := m23.path_of(p_relid);
begin
  perform set_config('search_path', v_path, true);
  execute format('select null::%s %s null::%1$s', p_type, p_operator);
  return true;
exception when undefined_function or ambiguous_function then return false;
end $$;

-- What is wrong with one term; null for nothing.
create function m23.term_fault(p_relid oid, p_type text, p_operator text, p_comparison text, p_value jsonb) returns text
language plpgsql stable as $$
begin
  return case
    when p_type is null then 'is no column of the table whose values are kept'
    when p_operator is null then format('%s is none of gte, gt, lte, lt, in', p_comparison)
    when not m23.is_comparable(p_relid, p_type, p_operator) then format('values of %s cannot be compared so', p_type)
    when p_comparison = 'in' and jsonb_typeof(p_value) <> 'array' then 'in: must be an array'
    when p_comparison = 'in' and jsonb_array_length(p_value) > 1000 then 'in: has more than 1,000 values'
    when p_comparison = 'in'
      then (select m23.misfit(p_relid, e, p_type) from jsonb_array_elements(p_value) e
             where m23.misfit(p_relid, e, p_type) is not null limit 1)
    when jsonb_typeof(p_value) = 'null' and p_comparison <> 'eq' then p_comparison || ': must have a value'
    when jsonb_typeof(p_value) <> 'null' then m23.misfit(p_relid, p_value, p_type) end;
end $$;

-- What is wrong with a filter.
create function m23.filter_faults(p_relid oid, p_filter jsonb, p_name text) returns text[]
language plpgsql stable as $$
begin
  if coalesce(jsonb_typeof(p_filter), 'object') <> 'object' then
    return array[p_name || ': must be an object of columns and values'];
  end if;
  return array(select format('%s.%s: %s', p_name, t.column_name, f.fault) from m23.filter_terms(p_relid, p_filter) t
                cross join lateral (
                  select m23.term_fault(p_relid, t.type_name, t.operator, t.comparison, t.value)) f (fault)
                where f.fault is not null);
end $$;

-- The condition that a value, an expression of its column's type, passes a term.
create function m23.term_condition(p_value text, p_type text, p_operator text, p_comparison text, p_operand jsonb)
returns text
language plpgsql immutable as $$
begin
  return case
    when p_comparison = 'in' then
      (select concat(format('(%s = any (array[%s]::%s[])', p_value,
                            string_agg(quote_literal(e #>> '{}'), ', ') filter (where jsonb_typeof(e) <> 'null'),
                            p_type),
                     case when bool_or(jsonb_typeof(e) = 'null') then format(' or %s is null', p_value) end, ')')
         from jsonb_array_elements(p_operand) e)
    when jsonb_typeof(p_operand) = 'null' then format('%s is null', p_value)
    else format('%s %s %L::%s', p_value, p_operator, p_operand #>> '{}', p_type) end;
end $$;

-- The condition that the image of an entry `l` passes a filter, or does not carry the column that would tell.
create function m23.image_passes(p_table m23.protected_tables, p_filter jsonb) returns text
language plpgsql stable as $$
begin
  return (select coalesce(string_agg(case b.bits when 0 then t.condition
                                     else format('(coalesce(l.unchanged, 0) & %s <> 0 or %s)', b.bits, t.condition) end,
                                     ' and '), 'true')
            from (select c.attnum, m23.term_condition(m23.log_value(p_table, c), f.type_name, f.operator, f.comparison,
                                                      f.value) as condition
                    from m23.filter_terms(p_table.relid, p_filter) f
                    join m23.columns_of(p_table.relid) c on c.attnum = f.attnum) t,
                 lateral (select m23.column_bits(p_table, t.attnum)) b (bits));
end $$;

-- Whether a filter says what the whole key is: such rows are found by the index of a part that has one.
create function m23.names_keys(p_relid oid, p_filter jsonb) returns boolean
language plpgsql stable as $$
begin
  return not exists (select from m23.columns_of(p_relid, p_of_key => true) c
                      where not exists (select from m23.filter_terms(p_relid, p_filter) t
                                         where t.attnum = c.attnum and t.comparison in ('eq', 'in')
                                           and jsonb_typeof(t.value) <> 'null'));
end $$;

-- The condition that a row as JSON, $1, passes a filter.
create function m23.json_passes(p_relid oid, p_filter jsonb) returns text
language plpgsql stable as $$
begin
  return (select coalesce(string_agg(m23.term_condition(format('($1 ->> %L)::%s', t.column_name, t.type_name),
                                                        t.type_name, t.operator, t.comparison, t.value), ' and '),
                          'true')
            from m23.filter_terms(p_relid, p_filter) t);
end $$;

-- Whether a row as JSON passes that condition; a value that does not fit its column any more does not.
create function m23.passes(p_relid oid, p_condition text, p_row jsonb) returns boolean
language plpgsql stable as $$
declare
  v_path   text := m23.path_of(p_relid);
  v_passes boolean;
begin
  perform set_config('search_path', v_path, true);
  execute format('select %s', p_condition) into v_passes using p_row;
  return coalesce(v_passes, false);
exception when data_exception then return false;
end $$;
