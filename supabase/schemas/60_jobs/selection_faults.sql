-- The fields of a body that choose rows: `rows`, `exceptRows` and `where` are objects by table. Their outer shape is a
-- matter of m23.value_fault; here each table, key and filter in them is looked at.

-- The table that a caller's name means: one of now, or what a backup's is now.
create function m23.table_called(p_name text, p_job uuid) returns m23.protected_tables
language plpgsql volatile as $$
begin
  return coalesce(m23.find_table(p_name), (
    select m23.find_table((m23.names_now(p_job, array[c.part_name]))[1]) from m23.parts_called(p_job) c
     where c.name = p_name));
end $$;

-- What is wrong with the outer shape of an object by table, of lists (`array`) or objects; null for nothing. most: keys
-- or values in all.
create function m23.by_table_fault(p_value jsonb, p_inner text, p_most int) returns text
language plpgsql immutable as $$
begin
  if jsonb_typeof(p_value) <> 'object' then return 'must be an object'; end if;
  if p_value = '{}' then return 'must name at least one table'; end if;
  if (select sum(m23.count_of(e.value)) from jsonb_each(p_value) e) > p_most then
    return format('has more than %s %s', p_most, case p_inner when 'array' then 'keys' else 'values' end);
  end if;
  return null;
end $$;

-- How many keys a list has, or values a filter.
create function m23.count_of(p_value jsonb) returns bigint
language plpgsql immutable as $$
begin
  return case jsonb_typeof(p_value)
    when 'array' then jsonb_array_length(p_value)
    when 'object' then coalesce((select sum(m23.count_of(e.value)) from jsonb_each(p_value) e), 0)
    else 1 end;
end $$;

-- Why a number may be another than the caller's: a reader of JSON may have made a double of it. Null for nothing.
create function m23.number_fault(p_value jsonb) returns text
language plpgsql immutable as $$
begin
  if jsonb_typeof(p_value) = 'number' and abs(p_value::numeric) >= 9007199254740992 then
    return 'is a number of 2^53 or more: write it as a string';
  end if;
  return null;
end $$;

-- The names of a JSON object's fields; none of what is no object.
create function m23.names_in(p_object jsonb) returns text[]
language plpgsql immutable as $$
begin
  return array(select jsonb_object_keys(case jsonb_typeof(p_object) when 'object' then p_object else '{}' end));
end $$;

-- What is wrong with a table's list of keys.
create function m23.keys_faults(p_relid oid, p_keys jsonb, p_name text) returns text[]
language plpgsql stable as $$
begin
  if jsonb_typeof(p_keys) <> 'array' or p_keys = '[]' then
    return array[p_name || ': must be a list of keys, such as [{"id": 1}]'];
  end if;
  return array(
    select f.fault
      from jsonb_array_elements(p_keys) with ordinality e (key, n)
     cross join lateral (select format('%s[%s]', p_name, e.n - 1)) p (name)
     cross join lateral (
       select u.fault from unnest(m23.key_faults(p_relid, e.key, p.name)) u (fault)
       union all
       select format('%s.%s: %s', p.name, v.key, m23.number_fault(v.value))
         from jsonb_each(case jsonb_typeof(e.key) when 'object' then e.key else '{}' end) v
        where m23.number_fault(v.value) is not null) f
     order by e.n limit 50);
end $$;

-- What is wrong with a table's filter.
create function m23.where_faults(p_relid oid, p_filter jsonb, p_name text) returns text[]
language plpgsql stable as $$
begin
  if jsonb_typeof(p_filter) <> 'object' or p_filter = '{}' then
    return array[p_name || ': must be an object of columns and values'];
  end if;
  return m23.filter_faults(p_relid, p_filter, p_name)
    || array(select format('%s.%s: must have at least one of gte, gt, lte, lt, in', p_name, e.key)
               from jsonb_each(p_filter) e where e.value = '{}')
    || array(select format('%s.%s: %s', p_name, t.column_name, m23.number_fault(v.value))
               from m23.filter_terms(p_relid, p_filter) t
              cross join lateral (
                select t.value where jsonb_typeof(t.value) <> 'array'
                union all
                select a from jsonb_array_elements(case jsonb_typeof(t.value) when 'array' then t.value end) a) v
              where m23.number_fault(v.value) is not null);
end $$;

-- What is wrong with the fields that choose rows, each table, key and filter of them. A table that says who has access
-- is chosen by `tables` or `rows`.
create function m23.selection_faults(p_body jsonb) returns text[]
language plpgsql volatile as $$
declare
  v_job    uuid := coalesce(p_body ->> 'backupJobId', p_body ->> 'baseBackupId')::uuid;
  v_faults text[] := '{}';
  v_named  record;
begin
  for v_named in
    select f.field, e.key, e.value, format('%s.%s', f.field, e.key) as name, m23.table_called(e.key, v_job) as tbl
      from unnest('{rows,exceptRows,where}'::text[]) with ordinality f (field, n)
     cross join lateral jsonb_each(case jsonb_typeof(p_body -> f.field) when 'object' then p_body -> f.field
                                        else '{}' end) e
     order by f.n, e.key
  loop
    v_faults := v_faults || case
      when (v_named.tbl).id is null
        then array[format('%s: "%s" is not a protected table', v_named.field, v_named.key)]
      when exists (select from unnest(m23.names_in(p_body -> v_named.field)) k (name)
                    where k.name < v_named.key and (m23.table_called(k.name, v_job)).id = (v_named.tbl).id)
        then array[v_named.name || ': is named twice']
      when v_named.field <> 'where' then m23.keys_faults((v_named.tbl).relid, v_named.value, v_named.name)
      when m23.is_access_table((v_named.tbl).relid) and not (v_named.tbl).relid = any (m23.tables_named_by(v_job,
             m23.list_of(p_body -> 'tables') || m23.names_in(p_body -> 'rows')))
        then array[v_named.name || ': says who has access: name its rows in rows, or the table in tables']
      else m23.where_faults((v_named.tbl).relid, v_named.value, v_named.name) end;
  end loop;
  return v_faults;
end $$;
