-- Staging: what an archive holds, verified by the worker, beside the live tables.

-- What the columns of an archive are called now. Where they were renamed in this life of the
-- database, it knows them by their numbers; a name that another one of them has by now is none of them.
create function m23.present_names(p_work uuid, p_table m23.protected_tables, p_fields text[]) returns text[]
language sql stable set search_path = '' as $$
  with backup as (
    select b.attnums, array(select c ->> 'name' from jsonb_array_elements(b.columns) c) as names
      from m23.restore_work r join m23.backup_work w on w.job_id = r.job_id join m23.backup_tables b on b.job_id = w.job_id
     where r.work_id = p_work and b.table_id = p_table.id and w.incarnation = (select m23.incarnation()))
  select array_agg(coalesce(a.attname, f.name || case when exists (
             select from backup b, pg_attribute o where o.attrelid = p_table.relid and o.attname = f.name and o.attnum = any (b.attnums)) then ' (as it was)' else '' end) order by f.n)
    from unnest(p_fields) with ordinality f (name, n)
    left join (backup b cross join unnest(b.names, b.attnums) o (name, attnum)) on o.name = f.name
    left join pg_attribute a on a.attrelid = p_table.relid and a.attnum = o.attnum and not a.attisdropped
$$;

-- Makes room for one table of the archive: `{"ordinal", "schema", "name", "columns": [name…], "groups": [[name…]…], "rows", "rewind"}`,
-- and with `rewind` for what the log says of it. Gives which chunk is the first that is not staged yet, from 1 on;
-- null for a table that is no longer there to be restored.
create function public.m23_stage_table(p_restore_id uuid, p_lease uuid, p_table jsonb) returns int
language plpgsql security definer set search_path = '' set row_security = off as $$
declare
  v_name    text := (p_table ->> 'schema') || '.' || (p_table ->> 'name');
  v_part    m23.backup_tables;
  v_table   m23.protected_tables;
  v_staging text := format('m23_staging.s_%s_%s', replace(p_restore_id::text, '-', ''), (p_table ->> 'ordinal')::int);
  v_fields  text[];
  v_types   text[];
  v_columns text[];
  v_list    text;
  v_history text;
  v_groups  jsonb;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  if exists (select from m23.staged_tables where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int) then
    return (with staged as (select seq from m23.staged_chunks where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int)
      select min(n) from generate_series(1, (select coalesce(max(seq), 0) + 1 from staged)) n where n not in (select seq from staged));
  end if;
  select b.* into v_part from m23.restore_work r join m23.backup_tables b on b.job_id = r.job_id
   where r.work_id = p_restore_id and b.schema_name || '.' || b.table_name = v_name;
  v_table := m23.table_now(v_part);
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, s from unnest(array[case when v_table.id is null then m23.left_out_sentence(v_part) end,
                                             m23.renamed_sentence(v_part, v_table)]) s
     where s is not null on conflict do nothing;
  if v_table.id is null then return null; end if;
  v_name := m23.raw_name(v_table.relid);
  v_fields := m23.present_names(p_restore_id, v_table, m23.list_of(p_table -> 'columns'));
  v_types := array(select c.facts ->> 'type' from jsonb_array_elements(v_part.columns) with ordinality c (facts, n)
                    order by c.n);
  select array_agg(c.name order by c.attnum) into v_columns from m23.columns_of(v_table.relid) c where c.name = any (v_fields) and not c.generated;
  if not m23.key_of(v_table.relid) <@ v_columns or m23.tenant_column(v_table) <> all (v_columns) then
    perform m23.refuse('BACKUP_UNUSABLE', format('%s has another primary key or tenant column than when it was backed up', v_name));
  end if;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w.said from (
        select format('%s.%s no longer exists; its values were left out', v_name, f) from unnest(v_fields) f where f <> all (v_columns)
        union all
        select format(case when exists (
                             select from m23.log_columns l join m23.backup_work b on b.job_id = v_part.job_id
                              where l.table_id = v_table.id and l.attnum = c.attnum and l.generated
                                and b.incarnation = m23.incarnation() and not pg_visible_in_snapshot(l.since_xid, b.position))
                           then '%s.%s was generated then, and has no values in the backup; it was left as it is'
                           else '%s.%s is newer than the backup; rows that are there keep theirs, and those that come back get its default' end, v_name, c.name)
          from m23.columns_of(v_table.relid) c
         where not c.generated and c.name <> all (v_columns)) w (said)
     where (select kind from m23.restore_work where work_id = p_restore_id) = 'backup'  -- a moment has them from the log
    on conflict do nothing;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w from m23.restore_work r
      join m23.backup_work b on b.job_id = r.job_id and b.incarnation = m23.incarnation()
     cross join unnest(m23.type_warnings(v_table, m23.moment_of(b.position))) w
     where r.work_id = p_restore_id and r.kind = 'backup' on conflict do nothing;
  v_list := (select string_agg(format('%I %s', c.name, m23.type_with_nulls(v_table.relid, c.attnum)), ', ' order by c.attnum)
               from m23.columns_of(v_table.relid) c where c.name = any (v_columns));
  execute format('create unlogged table if not exists %s (%s)', v_staging, v_list);
  execute format('alter table %s enable row level security', v_staging);
  if (p_table ->> 'rewind')::boolean then
    v_history := v_staging || '_history';
    execute format('create unlogged table if not exists %s (m23_op "char", m23_change_id bigint, m23_xid xid8, m23_at timestamptz, m23_unchanged int, %s)', v_history, v_list);
    execute format('alter table %s enable row level security', v_history);
  end if;
  v_groups := (select jsonb_agg((select coalesce(jsonb_agg(v_fields[array_position(m23.list_of(p_table -> 'columns'), n)]), '[]') from jsonb_array_elements_text(g.names) n) order by g.ord)
                 from jsonb_array_elements(coalesce(nullif(p_table -> 'groups', 'null'), '[]')) with ordinality g (names, ord));
  insert into m23.staged_tables (restore_id, ordinal, table_id, staging, fields, types, columns, rows, history, groups)
    values (p_restore_id, (p_table ->> 'ordinal')::int, v_table.id, v_staging, v_fields, v_types, v_columns, (p_table ->> 'rows')::bigint, v_history,
            coalesce(v_groups, '[]'))
    on conflict do nothing;
  return 1;
end $$;

create function m23.copy_unescape(p_field text) returns text
language sql immutable strict set search_path = '' as $$
  select array_to_string(array(
    select replace(replace(replace(part, '\t', chr(9)), '\n', chr(10)), '\r', chr(13))
      from unnest(string_to_array(p_field, '\\')) with ordinality p (part, n) order by n), '\')
$$;
comment on function m23.copy_unescape(text) is 'A field of a COPY line without its escapes.';

-- One verified chunk: a first line of JSON `{"restore_id", "lease", "ordinal", "seq", "rows", "kind"}`, then its
-- lines: `rows`, or the `history` of keys whose rows so far are no longer theirs; of `rewind` the entries are kept.
-- `"from"` is `{"backup_id", "ordinal", "seq", "history"}`, the chunk's place in its backup, and `"fingerprint"` what the
-- archive says of its lines.
create function public.m23_stage_chunk(bytea) returns int
language plpgsql security definer set search_path = '' set row_security = off
set statement_timeout = '60s' as $$
declare
  v_end    int := position('\x0a'::bytea in $1);  -- bytes are cut faster than characters
  v_head   jsonb := convert_from(substring($1 from 1 for v_end - 1), 'UTF8')::jsonb;
  v_id     uuid := (v_head ->> 'restore_id')::uuid;
  v_kind   text := coalesce(v_head ->> 'kind', 'rows');
  v_staged m23.staged_tables;
  v_table  m23.protected_tables;
  v_then   pg_snapshot;
  v_lines  text;
  v_rows   bigint;
begin
  perform m23.check_lease(v_id, (v_head ->> 'lease')::uuid);
  select * into v_staged from m23.staged_tables where restore_id = v_id and ordinal = (v_head ->> 'ordinal')::int;
  select * into v_table from m23.protected_tables where id = v_staged.table_id;
  insert into m23.staged_chunks (restore_id, ordinal, seq, rows)
    values (v_id, v_staged.ordinal, (v_head ->> 'seq')::int, (v_head ->> 'rows')::int) on conflict do nothing;
  if not found then return (v_head ->> 'rows')::int; end if;  -- said twice
  begin
    v_lines := convert_from(substring($1 from v_end + 1 for greatest(octet_length($1) - v_end - 1, 0)), 'UTF8');
  exception when character_not_in_repertoire then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds bytes that are no text',
                                                 v_head ->> 'seq', v_table.relid::regclass));
  end;
  v_then := (select w.position from m23.backup_work w
              where w.job_id = (v_head -> 'from' ->> 'backup_id')::uuid and w.incarnation = m23.incarnation());
  begin
    v_rows := case when v_kind = 'rows' then m23.stage_rows(v_staged, v_table, v_then, v_lines)
                   else m23.stage_history(v_staged, v_table, v_then, v_lines, v_kind = 'rewind') end;
  exception when data_exception or check_violation or not_null_violation or cannot_coerce then
    perform m23.refuse_rows(m23.unfit_fields(v_staged, v_table, v_then, v_lines, v_kind));
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds values of %s that its columns cannot have had',
                                                 v_table.relid::regclass));
  end;
  if v_rows <> (v_head ->> 'rows')::int then
    perform m23.refuse('BACKUP_UNUSABLE', format('chunk %s of %s holds %s whole lines, not %s', v_head ->> 'seq', v_table.relid::regclass, v_rows, v_head ->> 'rows'));
  end if;
  update public.restore_logs set metadata = jsonb_set(metadata, '{progress,rows}',
      to_jsonb((select sum(c.rows) from m23.staged_chunks c where c.restore_id = v_id))) where id = v_id and metadata ? 'progress';
  if exists (select from m23.restore_work w where w.work_id = v_id and w.kind = 'test') then
    perform m23.examine_chunk(v_staged, v_head, v_lines);
  end if;
  -- Last: whoever stages another chunk meanwhile would wait for the row of the lease.
  perform m23.keep_lease(v_id, (v_head ->> 'lease')::uuid);
  update m23.leases set taken = 1 where work_id = v_id;
  return v_rows;
end $$;
comment on function public.m23_stage_chunk(bytea) is 'For the workers: one verified chunk of an archive, into staging.';

-- The value of a field of a line, in the type that its column has now. A text of another type, or of before a type was
-- altered, is read as what it was then: p_type is the column's type then, by name, and p_then the backup's position,
-- where that is of this life.
create function m23.field_value(
  p_table m23.protected_tables, p_column m23.column_shape, p_field text, p_type text, p_then pg_snapshot)
returns text
language plpgsql stable set search_path = '' as $$
declare
  v_type oid := (select a.atttypid from pg_attribute a where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_now  text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_text text := format('(case when pg_catalog.strpos(%1$s, ''\'') = 0 then %1$s else m23.copy_unescape(%1$s) end)',
                        p_field);
begin
  return case
    when p_column.plain and p_type = v_now then format('%s::%s', p_field, v_now)
    -- a cast from text would not know "-", nor the number of what has been dropped
    when p_column.type_name = 'regclass' then format('regclassin(textout(%s))', p_field)
    when v_now in ('json', 'jsonb') and to_regtype(p_type) is not null
    then m23.converted(format('(%s)::%s', v_text, to_regtype(p_type)), p_type, v_now)
    else format('(%s)::%s', m23.present_words(v_text, v_type, case when p_then is null then '{}'
                                                                   else m23.former_words(v_type, null, p_then) end),
                v_now) end;
end $$;

-- The values of a line `f` in the columns that are staged; p_skip fields come before them.
create function m23.line_values(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_skip int)
returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s as %I', m23.field_value(p_table, c, format('f[%s]', f.place + p_skip),
                                                       p_staged.types[f.place], p_then), c.name),
                    ', ' order by c.attnum)
    from m23.columns_of(p_table.relid) c cross join lateral (select array_position(p_staged.fields, c.name)) f (place)
   where c.name = any (p_staged.columns)
$$;

-- Lines with as many fields as there should be, as arrays `f`; cut once, and not for each field.
create function m23.whole_lines(p_staged m23.staged_tables, p_skip int) returns text
language sql immutable set search_path = '' as $q$
  select format($$(select * from (
      select pg_catalog.string_to_array(line, chr(9), '\N') as f from string_to_table($1, chr(10)) line offset 0) x
      where pg_catalog.cardinality(f) = %s) whole$$,
                cardinality(p_staged.fields) + p_skip)
$q$;

-- Executes a statement that takes lines, under the path of their table: casts to domains are checked. Gives how many
-- rows it took.
create function m23.take_lines(p_path text, p_statement text, p_lines text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_path, true);
  execute p_statement using p_lines;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;

-- The same with a statement that says itself how many lines it took, and how many rows went.
create function m23.take_entries(p_path text, p_statement text, p_lines text, out taken bigint, out gone bigint)
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('search_path', p_path, true);
  execute p_statement into taken, gone using p_lines;
end $$;

create function m23.stage_rows(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text)
returns bigint
language plpgsql set search_path = '' as $$
declare v_rows bigint;
begin
  v_rows := m23.take_lines(m23.path_of(p_table.relid), format('insert into %s (%s) select %s from %s',
    p_staged.staging, (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c),
    m23.line_values(p_staged, p_table, p_then, 0), m23.whole_lines(p_staged, 0)), p_lines);
  update m23.staged_tables set standing = standing + v_rows where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
exception when unique_violation then
  perform m23.refuse('BACKUP_UNUSABLE', format('the archive has a row of %s twice', p_table.relid::regclass));
end $$;

-- How many fields stand before a line's columns. In an archive of version 1 an entry of the log has no field for the
-- groups that its image does not carry: it carries all. A chain can have members of both.
create function m23.fields_before(p_staged m23.staged_tables, p_lines text, p_kind text) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_kind = 'rows' then 0
    when cardinality(string_to_array(split_part(p_lines, chr(10), 1), chr(9))) - cardinality(p_staged.fields) = 4 then 4
    else 5 end;
end $$;

-- The columns whose fields do not fit their types, in words: those whose types can have been others.
create function m23.unfit_fields(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_kind text)
returns text[]
language plpgsql set search_path = '' as $$
declare
  v_skip   int := m23.fields_before(p_staged, p_lines, p_kind);
  v_path   text := m23.path_of(p_table.relid);
  v_column m23.column_shape;
  v_place  int;
  v_said   text[] := '{}';
  v_constraint text;
begin
  for v_column in
    select c.* from m23.columns_of(p_table.relid) c where c.name = any (p_staged.columns) order by c.attnum
  loop
    v_place := array_position(p_staged.fields, v_column.name);
    continue when v_column.native and v_column.type_name = p_staged.types[v_place];
    begin
      perform m23.take_lines(v_path, m23.fill('select pg_catalog.count(v.v) from (select {value} as v from {lines}) v',
        'value', m23.field_value(p_table, v_column, format('f[%s]', v_place + v_skip), p_staged.types[v_place], p_then),
        'lines', m23.whole_lines(p_staged, v_skip)), p_lines);
    exception when data_exception or check_violation or not_null_violation or cannot_coerce then
      get stacked diagnostics v_constraint = constraint_name;
      v_said := v_said || m23.unfit_sentence(p_table, v_column, p_staged.types[v_place], sqlerrm, v_constraint);
    end;
  end loop;
  return v_said;
end $$;

-- The keys of these entries have no row any more, until the next rows bring one.
create function m23.stage_history(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_keep boolean)
returns bigint
language plpgsql set search_path = '' as $$
declare
  v_list  text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
  v_skip  int := m23.fields_before(p_staged, p_lines, 'history');
  v_rows  bigint;
  v_gone  bigint;
begin
  execute format('create unique index if not exists s_%s_%s on %s (%s)', replace(p_staged.restore_id::text, '-', ''), p_staged.ordinal, p_staged.staging,
                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_table.relid)) k));
  select taken, gone into v_rows, v_gone from m23.take_entries(m23.path_of(p_table.relid), format('
      with entries as materialized (select f[1]::"char" as m23_op, f[2]::bigint as m23_change_id, f[3]::xid8 as m23_xid, f[4]::timestamptz as m23_at, %7$s as m23_unchanged, %1$s from %2$s),
           gone as (delete from %3$s r using (select distinct %4$s from entries e) k where %5$s returning 1),
           kept as (%6$s)
      select (select count(*) from entries), (select count(*) from gone)',
    m23.line_values(p_staged, p_table, p_then, v_skip), m23.whole_lines(p_staged, v_skip), p_staged.staging, m23.key_list(p_table.relid, 'e'), m23.key_match(p_table.relid, 'k', 'r'),
    case when p_keep then format('insert into %s (m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s) select m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s from entries', p_staged.history, v_list)
         else 'select' end, case v_skip when 4 then '0' else 'f[5]::int' end), p_lines);
  update m23.staged_tables set standing = standing - v_gone where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
end $$;

-- Progress of a restore, for restore_logs.metadata.
create function public.m23_note_restore(p_restore_id uuid, p_lease uuid, p_progress jsonb) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  update public.restore_logs set metadata = metadata || jsonb_build_object('progress', p_progress) where id = p_restore_id;
end $$;

create function public.m23_fail_restore(p_restore_id uuid, p_lease uuid, p_error text) returns void
language plpgsql security definer set search_path = '' set row_security = off as $$
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  perform m23.fail_restore(p_restore_id, p_error);
end $$;

select m23.open_to('{service_role}', 'public.m23_stage_table(uuid, uuid, jsonb)', 'public.m23_stage_chunk(bytea)',
  'public.m23_note_restore(uuid, uuid, jsonb)', 'public.m23_fail_restore(uuid, uuid, text)');
select m23.close_functions();
