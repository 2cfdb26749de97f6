-- The functions of one table's capture: written from templates for its present layout. Its rows are noted by
--   m23_log.insert_<id>, update_<id>, delete_<id>   after each statement, from its transition tables
--   m23_log.row_<id>                                after each updated row: has its key, its tenant or a group changed?
--   m23_log.leaving_<id>                            before each deleted row that others find their tenants through
--   m23_log.truncate_<id>                           before TRUNCATE, which fires no others
--   m23_log.replicated_<id>                         after each row that comes by no statement, under a subscription
--   m23_log.layout_<id>                             whether all this is still the table's layout

-- What makes sure that values kept as text do not depend on the writer's settings.
create function m23.text_settings(p_table m23.protected_tables) returns text
language sql stable as $$
  select case when exists (select from m23.columns_of(p_table.relid) c where not c.native)
    then (select string_agg(format('set %s = %L', s.name, s.value), ' ') from m23.text_settings() s where s.prints)
    else '' end
$$;

-- Looks at the clock at every statement where commit times are not native: the moments to come back to are the ticks
-- then.
create function m23.tick_statement() returns text
language sql stable as $outer$
  select case when m23.commit_times_are_native() then '' else
    $$if current_setting('m23.ticked', true) is distinct from floor(date_part('epoch', clock_timestamp()))::bigint::text
  then perform m23.tick(); end if;$$ end
$outer$;

-- Whether the table has the layout that a function of its capture knows: else no query of it can be trusted to fit. It
-- names that layout: another session may have written all functions anew since this one was called.
create function m23.layout_check(p_table m23.protected_tables) returns text
language sql stable as $$
  select format(case when p_table.parent_id is null then '%s' else '(%s and %s)' end,
                format('m23_log.layout_%s(%L, %L)', p_table.id, p_table.relid, m23.layout_of(p_table.relid)),
                m23.path_check(p_table))
$$;

-- The same for the steps of its path; null where it has none.
create function m23.path_check(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
declare
  v_parent  m23.protected_tables;
  v_attnums int2[];
begin
  if p_table.parent_id is null then return null; end if;
  v_parent := m23.parent_of(p_table);
  v_attnums := m23.step_attnums(p_table, v_parent);
  return concat_ws(' and ', format('m23.has_path_step(%L, %L, %L)', v_parent.relid, v_attnums,
                                   m23.path_step(v_parent.relid, v_attnums)), m23.path_check(v_parent));
end $outer$;

-- What an update does with keys that have moved. In a partitioned table it always looks for them: a row that goes to
-- another partition fires no trigger for updated rows.
create function m23.moves_branch(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($body$if v_known and {moved} then
    {statements};{paths}
  end if;$body$,
    'paths', m23.path_branch(p_table, 'update'),
    'moved', case when (select relkind from pg_class where oid = p_table.relid) = 'p' then 'true'
                  else format('current_setting(%L, true) <> ''''', m23.moved_flag(p_table.id)) end,
    'statements', array_to_string(m23.move_statements(p_table), ';
    '));
end $outer$;

-- What others have logged between two change ids comes after what was logged since: for a table whose present shape is
-- not that of the statements that could tell.
create function m23.log_after(p_log regclass, p_start pg_lsn, p_first pg_lsn) returns void
language plpgsql as $$
begin
  execute format('update %1$s l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from (select o.ctid as place, row_number() over (order by o.change_id) as n from %1$s o
             where o.xid = pg_current_xact_id() and o.change_id >= $1 and o.change_id < $2) later
     where l.ctid = later.place', p_log) using p_start, p_first;
end $$;

-- What an update that others can have preceded has made of the keys of the entries `o`. Of how many rows there are
-- nothing is known when the query is planned, and pairs found one by one would take the square of them: both sides are
-- called many.
create function m23.new_rows_of_key(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$
                  left join (select r.*, true as m23_there from new_rows r cross join m23.called_many() offset 0) r
                    on {tenant} = o.m23_tenant and {same_key}$sql$,
    'tenant', m23.row_tenant(p_table, 'r'), 'same_key', m23.key_match(p_table.relid, 'r', 'o'));
end $outer$;

-- One row, which the planner takes for a hundred.
create function m23.called_many() returns setof boolean
language plpgsql immutable rows 100 as $$ begin return next true; end $$;

-- The condition that an entry `o` of others is the first that comes after this statement's update of its key, for a
-- table whose foreign keys can update it; `r` is a row that the statement has made of this key.
create function m23.follows_update(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$case when r.m23_there then o.m23_op in ('U', 'D') and {is_image}
                     else o.m23_op in ('I', 'n', 'a') and o.m23_balance >= 0 end$sql$,
    'is_image', (select string_agg(format('(%srow(o.m23_%s)::record operator(pg_catalog.*=) row(%s)::record)',
                    case when b.bits <> 0 then format('coalesce(o.m23_unchanged, 0) & %s <> 0 or ', b.bits) else '' end,
                    f.name, case when c.native then format('r.%I', c.name) else m23.text_of(c, 'r') end),
                    ' and ' order by c.attnum)
       from m23.columns_of(p_table.relid) c
       join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null,
            lateral (select m23.column_bits(p_table, c.attnum)) b (bits)
      where not c.generated));
end $outer$;

-- The setting by which the function after a row tells the one after the statement that a group or a key was changed.
create function m23.changed_flag(p_table_id int) returns text
language sql immutable as $$ select 'm23.changed_' || p_table_id $$;

-- The setting by which it tells that a key was; `both`: a row has changed its key and its tenant.
create function m23.moved_flag(p_table_id int) returns text
language sql immutable as $$ select 'm23.moved_' || p_table_id $$;

-- The functions of a table by their signatures, as `drop function` takes them.
create function m23.capture_functions(p_table_id int) returns text
language sql immutable as $$
  select string_agg(format('m23_log.%s_%s(%s)', f.name, p_table_id, f.arguments), ', ')
    from (values ('insert', ''), ('update', ''), ('delete', ''), ('row', ''), ('truncate', ''), ('replicated', ''),
                 ('leaving', ''),
                 ('layout', 'regclass, text')) f (name, arguments)
$$;
