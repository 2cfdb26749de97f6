-- Makes room for one table of the archive: `{"ordinal", "schema", "name", "columns": [name…], "groups": [[name…]…],
-- "rows", "rewind"}`, and with `rewind` for what the log says of it. Gives which chunk is the first that is not staged
-- yet, from 1 on; null for a table that is no longer there to be restored.
-- open to: service_role
create function public.m23_stage_table(p_restore_id uuid, p_lease uuid, p_table jsonb) returns int
language plpgsql security definer set row_security = off as $$
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
  if exists (select from m23.staged_tables
              where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int) then
    return (with staged as (select seq from m23.staged_chunks
                             where restore_id = p_restore_id and ordinal = (p_table ->> 'ordinal')::int)
      select min(n) from generate_series(1, (select coalesce(max(seq), 0) + 1 from staged)) n
       where n not in (select seq from staged));
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
  select array_agg(c.name order by c.attnum) into v_columns from m23.columns_of(v_table.relid) c
   where c.name = any (v_fields) and not c.generated;
  if not m23.key_of(v_table.relid) || m23.tenancy_columns(v_table) <@ v_columns then
    perform m23.refuse('BACKUP_UNUSABLE',
                       format('%s has another primary key, tenant column or path than when it was backed up', v_name));
  end if;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w.said from (
        select format('%s.%s no longer exists; its values were left out', v_name, f) from unnest(v_fields) f
         where f <> all (v_columns)
        union all
        select format(case when exists (
                             select from m23.log_columns l join m23.backup_work b on b.job_id = v_part.job_id
                              where l.table_id = v_table.id and l.attnum = c.attnum and l.generated
                                and b.incarnation = m23.incarnation()
                                and not pg_visible_in_snapshot(l.since_xid, b.position))
                           then '%s.%s was generated then, and has no values in the backup; it was left as it is'
                           else '%s.%s is newer than the backup; '
                                'rows that are there keep theirs, and those that come back get its default' end,
                      v_name, c.name)
          from m23.columns_of(v_table.relid) c
         where not c.generated and c.name <> all (v_columns)) w (said)
     -- a moment has them from the log
     where (select kind from m23.restore_work where work_id = p_restore_id) = 'backup'
    on conflict do nothing;
  insert into m23.staging_warnings (work_id, said)
    select p_restore_id, w from m23.restore_work r
      join m23.backup_work b on b.job_id = r.job_id and b.incarnation = m23.incarnation()
     cross join unnest(m23.type_warnings(v_table, m23.moment_of(b.position))) w
     where r.work_id = p_restore_id and r.kind = 'backup' on conflict do nothing;
  v_list := (select string_agg(format('%I %s', c.name, m23.type_with_nulls(v_table.relid, c.attnum)),
                               ', ' order by c.attnum)
               from m23.columns_of(v_table.relid) c where c.name = any (v_columns));
  execute format('create unlogged table if not exists %s (%s)', v_staging, v_list);
  execute format('alter table %s enable row level security', v_staging);
  if (p_table ->> 'rewind')::boolean then
    v_history := v_staging || '_history';
    execute format('create unlogged table if not exists %s (m23_op "char", m23_change_id bigint, m23_xid xid8,
                      m23_at timestamptz, m23_unchanged int, %s)', v_history, v_list);
    execute format('alter table %s enable row level security', v_history);
  end if;
  v_groups := (select jsonb_agg((
                   select coalesce(jsonb_agg(v_fields[array_position(m23.list_of(p_table -> 'columns'), n)]), '[]')
                     from jsonb_array_elements_text(g.names) n) order by g.ord)
                 from jsonb_array_elements(coalesce(nullif(p_table -> 'groups', 'null'), '[]'))
                   with ordinality g (names, ord));
  insert into m23.staged_tables (restore_id, ordinal, table_id, staging, fields, types, columns, rows, history, groups)
    values (p_restore_id, (p_table ->> 'ordinal')::int, v_table.id, v_staging, v_fields, v_types, v_columns,
            (p_table ->> 'rows')::bigint, v_history, coalesce(v_groups, '[]'))
    on conflict do nothing;
  return 1;
end $$;
