-- Parents that are not there: of tables that find their tenants by a path, whose the rows are that refer to them. A
-- parent that is deleted is noted before it goes, so that its children are the tenant's still, in whatever order a
-- statement, a foreign key's action or a deferred constraint takes them. A row that comes before its parent is noted as
-- nobody's, until the parent comes.

create table m23.absent_parents (
  table_id  int not null,     -- the children's
  parent_id int not null,     -- the table that they refer to; no foreign keys: a writer would lock catalogue rows
  key       text[] not null,  -- what they refer with (m23.path_key)
  tenant_id text,             -- null: nobody's
  noted_at  pg_lsn not null default pg_current_wal_insert_lsn(),
  xid       xid8 not null default pg_current_xact_id(),
  constraint a_key_has_no_nulls check (array_position(key, null) is null and key <> '{}')
);
select m23.close_table('m23.absent_parents');
create index absent_parents_key on m23.absent_parents (table_id, key, noted_at);
create index absent_parents_tenant on m23.absent_parents (table_id, tenant_id);
create index absent_parents_parent on m23.absent_parents (parent_id);
comment on table m23.absent_parents is
  'Keys that rows refer to and that no parent has (any more): whose those rows are. The last note of a key counts.';

-- Whether other tables find their tenants through a table.
create function m23.is_parent(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin return exists (select from m23.protected_tables c where c.parent_id = p_table.id); end $$;

-- The columns of a table by which others refer to it on their paths.
create function m23.parent_attnums(p_table m23.protected_tables) returns int2[]
language plpgsql stable as $$
begin
  return array(select distinct a from m23.protected_tables c, unnest(c.parent_attnums) a
                where c.parent_id = p_table.id order by a);
end $$;

-- The statement that notes rows of a table as absent parents: a row `old` that goes, or all of a relation.
create function m23.note_leaving(p_table m23.protected_tables, p_row text, p_rows text default null) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into m23.absent_parents (table_id, parent_id, key, tenant_id)
      select v.table_id, {id}, v.key, v.tenant_id
        from {rows}(values {values}) v (table_id, key, tenant_id) where array_position(v.key, null) is null$sql$,
    'id', p_table.id::text, 'rows', coalesce(p_rows || ' ' || p_row || ' cross join lateral ', ''),
    'values', (select string_agg(format('(%s, %s, (%s)::text)', c.id,
                                        m23.path_key(p_table.relid, c.parent_attnums, p_row),
                                        m23.row_tenant(p_table, p_row)), ', ' order by c.id)
                 from m23.protected_tables c where c.parent_id = p_table.id));
end $outer$;

-- The statement that notes those parents of new rows, a relation, that are not there, as nobody's. Where the server
-- keeps the foreign key at once, only a session that silences triggers can write such rows.
create function m23.note_missing(p_table m23.protected_tables, p_rows text) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$insert into m23.absent_parents (table_id, parent_id, key)
      select distinct {id}, {parent_id}, {key} from {rows} r
       where {kept}{has_key} and not exists (select from {parent} m23_p where {is_child})
         and not exists (select from m23.absent_parents a where a.table_id = {id} and a.key = {key})$sql$,
    'id', p_table.id::text, 'parent_id', p_table.parent_id::text, 'rows', p_rows,
    'key', m23.path_key(p_table.relid, p_table.via_attnums, 'r'),
    'kept', case when m23.path_is_kept(p_table)
                 then '(select current_setting(''session_replication_role'') = ''replica'') and ' else '' end,
    'has_key', m23.has_parent_key(p_table, 'r'), 'parent', m23.qualified_name((m23.parent_of(p_table)).relid),
    'is_child', m23.is_child_of(p_table, 'r', 'm23_p'));
end $outer$;

-- Notes the parents that rows of a table lack when its history begins.
create function m23.begin_path(p_table m23.protected_tables) returns void
language plpgsql as $$
begin
  delete from m23.absent_parents where table_id = p_table.id;
  if p_table.parent_id is null or m23.path_is_kept(p_table) then return; end if;
  execute m23.note_missing(p_table, m23.qualified_name(p_table.relid));
end $$;
