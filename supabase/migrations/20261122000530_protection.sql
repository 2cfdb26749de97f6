-- Protection: a table comes under capture, with its partitions, and leaves it again.

-- Partitions that were attached, with the rows that they brought, and detached, with those
-- that they took. One that was dropped has taken its rows unseen: another history begins.
create table m23.partitions (
  relid    oid primary key,
  table_id int not null references m23.protected_tables (id) on delete cascade
);
select m23.close_table('m23.partitions');
create index partitions_table on m23.partitions (table_id);

create function m23.follow_partitions(p_table m23.protected_tables, p_new boolean) returns m23.protected_tables
language plpgsql set search_path = '' as $$
declare v_relation oid;
begin
  for v_relation in select p.relid from m23.partitions p where p.table_id = p_table.id and p.relid not in (select c.relid from m23.captured(p_table.relid) c) loop
    if exists (select from pg_class where oid = v_relation) then
      perform m23.log_rows(v_relation, p_table.id, 'D');
      perform m23.drop_triggers(v_relation);
    else
      p_table := m23.begin_history(p_table, 'a partition was dropped with its rows');
      perform m23.write_log_table(p_table);
    end if;
    delete from m23.partitions where relid = v_relation;
  end loop;
  for v_relation in select c.relid from m23.captured(p_table.relid) c where c.leaf and c.partitioned and c.relid not in (select p.relid from m23.partitions p) loop
    if not p_new then
      perform m23.log_rows(v_relation, p_table.id, 'I');
    end if;
    insert into m23.partitions (relid, table_id) values (v_relation, p_table.id);
  end loop;
  return p_table;
end $$;

-- Another history: the log of the former one cannot be read together with what is logged from
-- now on. Moments before it can no longer be gone back to, for the reason given.
create function m23.begin_history(p_table m23.protected_tables, p_reason text) returns m23.protected_tables
language plpgsql set search_path = '' as $$
begin
  if p_table.xid <> pg_current_xact_id() then
    insert into m23.gaps (table_id, since, until, reason) values (p_table.id, m23.history_since(p_table), clock_timestamp(), p_reason);
  end if;
  update m23.protected_tables t set key_attnums = m23.key_attnums(t.relid), protected_at = clock_timestamp(), xid = pg_current_xact_id(), incarnation = m23.incarnation(),
         pruned_below = '0', pruned_at = null
   where t.id = p_table.id returning * into p_table;
  execute format('drop table if exists %s cascade', m23.log_name(p_table.id));
  delete from m23.log_columns where table_id = p_table.id;
  delete from m23.log_parts where table_id = p_table.id;
  delete from m23.log_groups where table_id = p_table.id;
  return p_table;
end $$;

create function m23.key_is_another(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select m23.key_attnums(p_table.relid) is distinct from p_table.key_attnums
        or exists (select from m23.columns_of(p_table.relid, p_of_key => true) c join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                    where m23.logged_type(c) <> f.type_name));
end $$;

create function m23.write_capture(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_new boolean;
begin
  if m23.key_attnums(p_table.relid) is null then
    raise exception '% is protected and needs its primary key', p_table.relid::regclass
      using errcode = 'object_not_in_prerequisite_state', hint = 'Replace the key in one ALTER TABLE, or call m23.unprotect_table first.';
  end if;
  perform set_config('m23.writing_capture', 'yes', true);
  update m23.protected_tables set name = m23.public_name(relid) where id = p_table.id;
  if m23.key_is_another(p_table) then
    p_table := m23.begin_history(p_table, 'the primary key was another');  -- by which rows of the log are told apart
  end if;
  v_new := to_regclass(m23.log_name(p_table.id)) is null;
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  p_table := m23.follow_partitions(p_table, v_new);
  perform m23.write_capture_functions(p_table);
  perform m23.write_triggers(p_table);
  perform set_config('m23.writing_capture', '', true);
end $$;

-- Protect and unprotect ----------------------------------------------------------

create function m23.protect_table(p_table regclass, p_tenant_column name default 'tenant_id') returns void
language plpgsql set search_path = '' as $$
declare
  v_class   pg_class;
  v_schema  text;
  v_tenant  pg_attribute;
  v_already m23.protected_tables;
  v_row     m23.protected_tables;
begin
  select * into v_class from pg_class where oid = p_table;
  v_schema := v_class.relnamespace::regnamespace::text;
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of' when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view' when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if exists (select from pg_partition_tree(p_table) t join pg_class c on c.oid = t.relid where c.relkind = 'f') then
    raise exception '% cannot be protected: it has a foreign table among its partitions', p_table using errcode = 'wrong_object_type';
  end if;
  if v_schema in ('pg_catalog', 'information_schema', 'auth', 'm23', 'm23_log', 'm23_staging') then
    raise exception '% cannot be protected: the schema % belongs to the system', p_table, v_schema using errcode = 'insufficient_privilege';
  end if;
  select * into v_tenant from pg_attribute where attrelid = p_table and attname = p_tenant_column and attnum > 0 and not attisdropped;
  if v_tenant.attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_tenant_column
      using errcode = 'undefined_column', hint = 'Name the tenant column: select m23.protect_table(''schema.table'', ''column'').';
  end if;
  if v_tenant.atttypid <> 'uuid'::regtype or v_tenant.attgenerated <> '' then
    raise exception 'the tenant column "%" of % must be an ordinary column of type uuid, and is %', p_tenant_column, p_table,
      format_type(v_tenant.atttypid, v_tenant.atttypmod) using errcode = 'datatype_mismatch';
  end if;
  if not exists (select from pg_index where indrelid = p_table and indisprimary) then
    raise exception '% has no primary key, so its rows cannot be told apart', p_table
      using errcode = 'invalid_table_definition', hint = 'Add one: alter table … add primary key (…).';
  end if;
  if exists (select from m23.columns_of(p_table, p_of_key => true) c where c.generated) then
    raise exception 'the primary key of % has a generated column, which cannot be written back', p_table using errcode = 'invalid_table_definition';
  end if;

  if exists (select from m23.columns_of(p_table) c where c.name like 'm23\_%') then
    raise exception '% has a column whose name begins with "m23_", which M23 keeps for itself', p_table using errcode = 'reserved_name';
  end if;

  select * into v_already from m23.protected_tables where relid = p_table;
  if v_already.id is not null and v_already.tenant_attnum <> v_tenant.attnum then
    raise exception '% is protected already, with another tenant column', p_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;

  -- Writers in flight end first: whatever is written from here on is captured.
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
  insert into m23.protected_tables as t (relid, tenant_attnum, key_attnums, name, incarnation)
    values (p_table, v_tenant.attnum, m23.key_attnums(p_table), m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update set relid = excluded.relid
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null and m23.capture_fault(v_row) is not null then
    v_row := m23.begin_history(v_row, case when m23.key_is_another(v_row) then 'the primary key was another' else 'capture was switched off' end);
  end if;
  perform m23.write_capture(v_row);
  perform m23.note_tick();
end $$;
comment on function m23.protect_table(regclass, name) is
  'Puts a table under protection: from the end of this transaction on, every change of it can be undone. '
  'It needs a primary key and a tenant column of type uuid. Called again, it renews the capture.';

create function m23.unprotect_table(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare v_row m23.protected_tables;
begin
  delete from m23.protected_tables where relid = p_table returning * into v_row;
  if v_row.id is null then
    raise exception '% is not protected', p_table using errcode = 'undefined_object';
  end if;
  perform m23.drop_triggers(c.relid) from m23.captured(p_table) c;
  execute format('drop function %s', m23.capture_functions(v_row.id));
  execute format('drop table %s cascade', m23.log_name(v_row.id));
end $$;
comment on function m23.unprotect_table(regclass) is
  'Takes a table out of protection and drops its history. Backups of it stay as they are.';

select m23.close_functions();
