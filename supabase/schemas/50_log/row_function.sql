-- The function after an updated row: it has no column in its definition, which would keep the application from altering
-- it. It has its writer's rights and no path of its own, as m23_log.before(). The first row of a statement is looked at
-- with care: where nobody has followed an ALTER TABLE, a column may have gone.
create function m23.row_function(p_table m23.protected_tables) returns text
language plpgsql stable as $outer$
declare
  v_set    constant text := 'perform pg_catalog.set_config(%L, ''yes'', true);';
  v_tenancy text[] := m23.tenancy_columns(p_table);
  v_keys   text[] := array(select c.name from m23.columns_of(p_table.relid) c
                            where c.key_ord is not null or c.name = any (v_tenancy)
                               or c.attnum = any (m23.parent_attnums(p_table)));
  v_key    text[] := array(select c.name from m23.columns_of(p_table.relid, p_of_key => true) c
                            where c.name <> all (v_tenancy));
  v_wide   text[] := array(select c.name from m23.log_groups g
                             join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums)
                            where g.table_id = p_table.id and g.in_use and g.wide);
  v_rest   text[] := array(select c.name from m23.log_groups g
                             join m23.groupable_columns(p_table) c on c.attnum = any (g.attnums)
                            where g.table_id = p_table.id and g.in_use and not g.wide);
  v_all    text;
  v_each   text;
begin
  select concat_ws(' ', string_agg(format(v_set, m23.group_flag(p_table.id, g.bit)), ' ' order by g.bit),
                   format(v_set, m23.changed_flag(p_table.id)),
                   m23.fill($body$perform pg_catalog.set_config({moved},
          case when pg_catalog.current_setting({moved}, true) operator(pg_catalog.=) 'both'
                    or ({tenant_differs}) and ({key_differs}) then 'both' else 'yes' end, true);$body$,
                     'moved', quote_literal(m23.moved_flag(p_table.id)),
                     'tenant_differs', m23.columns_differ(v_tenancy),
                     'key_differs', coalesce(nullif(m23.columns_differ(v_key), ''), 'false'))),
         concat_ws(' ', string_agg(format('if (case when %s then false else %s end) then %s %s end if;',
                                          m23.has_changed_group(p_table.id, g.bit), m23.columns_differ(d.names, v_wide),
                                          format(v_set, m23.group_flag(p_table.id, g.bit)),
                                          format(v_set, m23.changed_flag(p_table.id))),
                                   ' ' order by g.bit))
    into v_all, v_each
    from m23.log_groups g,
         lateral (select array_agg(c.name order by c.attnum)
                    from m23.groupable_columns(p_table) c where c.attnum = any (g.attnums)) d (names)
   where g.table_id = p_table.id and g.in_use;
  return m23.fill($body$
declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('{seen}', true) operator(pg_catalog.=) 'yes' then
    {look}
  else
    begin
    {look}
      perform pg_catalog.set_config('{seen}', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('{changed}', 'yes', true);
    end;
  end if;
  return v_null;
end $body$,
    'seen', 'm23.seen_' || p_table.id, 'changed', m23.changed_flag(p_table.id),
    'look', m23.fill($body$if ({differ}) then
      if ({key_differs}) then
        {all_changed}
      else
        {each_changed}
      end if;
    end if;$body$, 'differ', m23.columns_differ(v_keys || v_rest || v_wide, v_wide),
      'key_differs', m23.columns_differ(v_keys), 'all_changed', v_all,
      'each_changed', coalesce(nullif(v_each, ''), 'null;')));
end $outer$;
