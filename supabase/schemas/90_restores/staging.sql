-- Staging: what an archive holds, verified by the worker, beside the live tables.

-- What the columns of an archive are called now. Where they were renamed in this life of the
-- database, it knows them by their numbers; a name that another one of them has by now is none of them.
create function m23.present_names(p_work uuid, p_table m23.protected_tables, p_fields text[]) returns text[]
language sql stable as $$
  with backup as (
    select b.attnums, array(select c ->> 'name' from jsonb_array_elements(b.columns) c) as names
      from m23.restore_work r join m23.backup_work w on w.job_id = r.job_id
      join m23.backup_tables b on b.job_id = w.job_id
     where r.work_id = p_work and b.table_id = p_table.id and w.incarnation = (select m23.incarnation()))
  select array_agg(coalesce(a.attname, f.name || case when exists (
             select from backup b, pg_attribute o
              where o.attrelid = p_table.relid and o.attname = f.name and o.attnum = any (b.attnums))
             then ' (as it was)' else '' end) order by f.n)
    from unnest(p_fields) with ordinality f (name, n)
    left join (backup b cross join unnest(b.names, b.attnums) o (name, attnum)) on o.name = f.name
    left join pg_attribute a on a.attrelid = p_table.relid and a.attnum = o.attnum and not a.attisdropped
$$;

create function m23.copy_unescape(p_field text) returns text
language sql immutable strict as $$
  select array_to_string(array(
    select replace(replace(replace(part, '\t', chr(9)), '\n', chr(10)), '\r', chr(13))
      from unnest(string_to_array(p_field, '\\')) with ordinality p (part, n) order by n), '\')
$$;
comment on function m23.copy_unescape(text) is 'A field of a COPY line without its escapes.';

-- The values of a line `f` in the columns that are staged; p_skip fields come before them.
create function m23.line_values(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_skip int)
returns text
language sql stable as $$
  select string_agg(format('%s as %I', m23.field_value(p_table, c, format('f[%s]', f.place + p_skip),
                                                       p_staged.types[f.place], p_then), c.name),
                    ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c cross join lateral (select array_position(p_staged.fields, c.name)) f (place)
   where c.name = any (p_staged.columns)
$$;

-- Lines with as many fields as there should be, as arrays `f`; cut once, and not for each field.
create function m23.whole_lines(p_staged m23.staged_tables, p_skip int) returns text
language sql immutable as $q$
  select format($$(select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = %s) whole$$,
                cardinality(p_staged.fields) + p_skip)
$q$;

-- Executes a statement that takes lines, under the path of their table: casts to domains are checked. Gives how many
-- rows it took.
create function m23.take_lines(p_path text, p_statement text, p_lines text) returns bigint
language plpgsql volatile as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_path, true);
  execute p_statement using p_lines;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;

-- The same with a statement that says itself how many lines it took, and how many rows went.
create function m23.take_entries(p_path text, p_statement text, p_lines text, out taken bigint, out gone bigint)
language plpgsql volatile as $$
begin
  perform set_config('search_path', p_path, true);
  execute p_statement into taken, gone using p_lines;
end $$;

-- The statement that stages the rows of lines `$1`. Where the archive has the table's columns of now, in their types,
-- it is written already (m23.table_statements).
create function m23.staging_statement(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot
) returns text
language plpgsql stable as $$
begin
  if p_staged.fields = p_staged.columns and p_staged.columns = m23.stored_columns(p_table.relid)
     and p_staged.types = m23.stored_types(p_table.relid)
     -- The words of an enum, say, can have been others at that position.
     and (p_then is null or not m23.has_own_types(p_table.relid)) then
    return m23.statement(p_table, 'staging', 'staging', p_staged.staging);
  end if;
  return m23.staging_of(p_staged, p_table, p_then);
end $$;

-- Whether a table has columns of types that the server does not bring along.
create function m23.has_own_types(p_relid oid) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_attribute a where a.attrelid = p_relid and a.attnum > 0 and a.atttypid >= 16384
                    and not a.attisdropped);
end $$;

-- The types of a table's columns that hold values of their own, as a manifest has them.
create function m23.stored_types(p_relid oid) returns text[]
language plpgsql stable as $$
begin
  return array(select c.type_name from m23.columns_of(p_relid) c where not c.generated order by c.attnum);
end $$;

-- The statement that stages the rows of lines `$1`, as far as the archive and the table have the same columns.
create function m23.staging_of(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot
) returns text
language plpgsql stable as $$
begin
  return m23.fill('insert into {staging} ({columns}) select {values} from {lines}',
    'staging', p_staged.staging, 'columns', (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c),
    'values', m23.line_values(p_staged, p_table, p_then, 0), 'lines', m23.whole_lines(p_staged, 0));
end $$;

-- The same for an archive that has the table's columns of now, in their types.
create function m23.staging_of_all(p_table m23.protected_tables, p_staging text) returns text
language plpgsql stable as $$
declare v_staged m23.staged_tables;
begin
  v_staged.staging := p_staging;
  v_staged.fields := m23.stored_columns(p_table.relid);
  v_staged.columns := v_staged.fields;
  v_staged.types := m23.stored_types(p_table.relid);
  return m23.staging_of(v_staged, p_table, null);
end $$;

-- Stages lines of an archive as rows; gives how many. p_then: the backup's position, where it is of this life.
create function m23.stage_rows(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text)
returns bigint
language plpgsql as $$
declare v_rows bigint;
begin
  v_rows := m23.take_lines(m23.path_of(p_table.relid), m23.staging_statement(p_staged, p_table, p_then), p_lines);
  update m23.staged_tables set standing = standing + v_rows
   where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
exception when unique_violation then
  perform m23.refuse('BACKUP_UNUSABLE', format('the archive has a row of %s twice', p_table.relid::regclass));
end $$;

-- How many fields stand before a line's columns. In an archive of version 1 an entry of the log has no field for the
-- groups that its image does not carry: it carries all. A chain can have members of both.
create function m23.fields_before(p_staged m23.staged_tables, p_lines text, p_kind text) returns int
language plpgsql immutable as $$
begin
  return case when p_kind = 'rows' then 0
    when cardinality(string_to_array(split_part(p_lines, chr(10), 1), chr(9))) - cardinality(p_staged.fields) = 4 then 4
    else 5 end;
end $$;

-- Refuses a restore of which not all rows were read back.
create function m23.check_staged(p_restore uuid) returns void
language plpgsql as $$
declare v_short record;
begin
  select t.staging, t.rows, coalesce(sum(c.rows), 0) as staged into v_short
    from m23.staged_tables t left join m23.staged_chunks c using (restore_id, ordinal)
   where t.restore_id = p_restore
   group by t.ordinal, t.staging, t.rows having coalesce(sum(c.rows), 0) <> t.rows limit 1;
  if found then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s of %s rows were read back', v_short.staged, v_short.rows));
  end if;
end $$;
