-- The condition that a row `r` of an archive is another tenant's. p_parents: what the archive has of the table that a
-- path leads to. A row whose parent is not there, and is another tenant's now, does not belong to the archive: a
-- foreign key has kept its parent. Without these the parent of now says nothing of then. A plan sees to it anyway that
-- no row comes to hang on another tenant's (m23.path_at_risk).
create function m23.is_foreign(p_table m23.protected_tables, p_tenant text, p_parents text default null) returns text
language plpgsql stable as $outer$
declare v_parent m23.protected_tables := m23.parent_of(p_table);
begin
  if m23.tenant_column(p_table) is not null then
    return format('%s is distinct from %s', m23.row_tenant(p_table, 'r'),
                  m23.tenant_value(p_table, quote_literal(p_tenant)));
  elsif p_table.parent_id is null or p_parents is null or not m23.path_is_enforced(p_table) then
    return 'false';
  end if;
  return m23.fill($sql$not exists (select from {parents} p where {is_in_archive})
      and exists (select from {live} l where {is_there} and ({is_its}) is not true)$sql$,
    'parents', p_parents, 'is_in_archive', m23.is_child_of(p_table, 'r', 'p'),
    'live', m23.qualified_name(v_parent.relid), 'is_there', m23.is_child_of(p_table, 'r', 'l'),
    'is_its', m23.is_tenants(v_parent, 'l', quote_literal(p_tenant)));
end $outer$;

-- What an archive has of the table that a staged one finds its tenants through; null where that is not staged, or one
-- of both lacks a column of the path.
create function m23.staged_parents(p_staged m23.staged_tables, p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return (select s.staging from m23.staged_tables s join m23.protected_tables p on p.id = s.table_id
           where s.restore_id = p_staged.restore_id and s.table_id = p_table.parent_id
             and s.columns @> m23.column_names(p.relid, p_table.parent_attnums)
             and p_staged.columns @> m23.column_names(p_table.relid, p_table.via_attnums));
end $$;

-- The rows of a staged table: all that the manifest promises (staging does not survive a
-- crash of the server), and this tenant's. An archive holds no others; should one do so
-- all the same, the restore is refused.
create function m23.staged_query(p_staged m23.staged_tables, p_table m23.protected_tables, p_tenant text) returns text
language plpgsql as $$
declare
  v_rows    bigint;
  v_foreign bigint;
begin
  execute format('select count(*) from %s', p_staged.staging) into v_rows;
  if v_rows <> p_staged.standing then
    perform m23.refuse('UNAVAILABLE',
                       'the database was restarted while the archive was read back; start the restore again');
  end if;
  execute format('select count(*) from %s r where %s', p_staged.staging,
                 m23.is_foreign(p_table, p_tenant, m23.staged_parents(p_staged, p_table))) into v_foreign;
  if v_foreign > 0 then
    perform m23.refuse('BACKUP_UNUSABLE', format('the archive holds %s row(s) of another tenant', v_foreign));
  end if;
  return format('select * from %s', p_staged.staging);
end $$;
