-- Protection: a table comes under capture, with its partitions, and leaves it again.

-- What stands in the way ---------------------------------------------------------

-- Something that keeps a table from being captured.
create type m23.obstacle as (
  kind     text,  -- as the list of gaps names it
  sentence text,  -- goes on from the table's name
  advice   text,
  code     text   -- the SQLSTATE of a refusal
);

-- The obstacles of a table and its tenant column, the worst first. Each may come later, by the application's
-- migrations: those are never refused, so capture is suspended then. Asked for each table of every call: straight
-- from the catalogue.
create function m23.obstacles(p_table oid, p_tenant_attnum int2) returns setof m23.obstacle
language plpgsql stable rows 1 set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select 'no primary key', 'has no primary key, so its rows cannot be told apart',
         'alter table … add primary key (…)', '42P16'
   where not exists (select from pg_index where indrelid = p_table and indisprimary)
  union all
  select 'a generated column in its primary key',
         'has a generated column in its primary key, which cannot be written back', 'take another primary key', '42P16'
   where exists (select from pg_attribute
                  where attrelid = p_table and attgenerated <> '' and attnum = any (m23.key_attnums(p_table)))
  union all
  select 'a primary key without overlaps',
         'has a primary key WITHOUT OVERLAPS, by whose ranges its rows cannot be told apart',
         'take another primary key; this one can be a unique constraint', '42P16'
   where exists (select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
                  where i.indrelid = p_table and i.indisprimary and a.amname <> 'btree')
  union all
  select 'a foreign key with PERIOD',
         format('has a part in the foreign key "%s" with PERIOD, by which several rows together are referred to',
                min(k.conname)),
         'keep that rule by a trigger instead', '0A000'
    from pg_constraint k
   where current_setting('server_version_num')::int >= 180000  -- asked once: there is no index to find the keys by
     and k.contype = 'f' and p_table in (k.conrelid, k.confrelid) and m23.is_temporal(k) having count(*) > 0
  union all
  select 'no tenant column', 'has no tenant column any more, so its rows are nobody''s',
         'add it again and call m23.protect_table, or call m23.unprotect_table', '42703'
   where not exists (select from pg_attribute where attrelid = p_table and attnum = p_tenant_attnum and not attisdropped)
  union all
  select 'a tenant column of another type',
         format('has a tenant column "%s" that must be an ordinary column of type uuid, and is %s', a.attname,
                case when a.attgenerated <> '' then 'generated' else format_type(a.atttypid, -1) end),
         'make it an ordinary column of type uuid', '42804'
    from pg_attribute a
   where a.attrelid = p_table and a.attnum = p_tenant_attnum and not a.attisdropped
     and (a.atttypid <> 'uuid'::regtype or a.attgenerated <> '')
  union all
  select 'a reserved column name', 'has a column whose name begins with "m23_", which M23 keeps for itself',
         'rename it', '42939'
   where exists (select from pg_attribute where attrelid = p_table and attname like 'm23\_%' and not attisdropped)
  union all
  select 'a foreign table among its partitions', 'has a foreign table among its partitions, whose changes nobody sees',
         'detach it', '42809'
    from pg_class c
   where c.oid = p_table and c.relkind = 'p' and exists (
     select from pg_partition_tree(c.oid) t join pg_class part on part.oid = t.relid where part.relkind = 'f')
  union all
  select 'unlogged', 'is unlogged: a crash of the server empties it, and no backup of the server has its rows',
         'alter table … set logged', '42809'
    from pg_class c where c.oid = p_table and c.relkind = 'r' and c.relpersistence = 'u'
  union all
  select 'unlogged',
         format('is unlogged in its partition %s: a crash of the server empties it', m23.public_name(min(part.oid))),
         'alter table … set logged', '42809'
    from pg_class c cross join lateral pg_partition_tree(c.oid) t
    join pg_class part on part.oid = t.relid and part.relkind = 'r' and part.relpersistence = 'u'
   where c.oid = p_table and c.relkind = 'p' having count(*) > 0
  union all
  select 'inheritance',
         format('inherits from %s, which shows its rows and changes them, too', m23.public_name(i.inhparent)),
         'alter table … no inherit …, or make it a partition', '42809'
    from pg_inherits i join pg_class c on c.oid = i.inhparent where i.inhrelid = p_table and c.relkind = 'r'
  union all
  select 'inheritance',
         format('shows the rows of %s, which inherits from it and is changed by itself',
                m23.public_name(min(i.inhrelid))),
         'alter table … no inherit …, or make a partitioned table of it', '42809'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = p_table and not c.relispartition having count(*) > 0;
end $$;

create function m23.obstacle_of(p_table m23.protected_tables) returns m23.obstacle
language plpgsql stable set search_path = '' as $$
begin
  return (select o from m23.obstacles(p_table.relid, p_table.tenant_attnum) o limit 1);
end $$;

-- Notes that a table cannot be captured any more. What fires would only be in the application's way, but for
-- a table that is still seen in part.
create function m23.suspend_capture(p_table m23.protected_tables, p_obstacle m23.obstacle) returns void
language plpgsql set search_path = '' as $$
begin
  perform m23.note_name(p_table);
  update m23.protected_tables set suspended = coalesce(suspended, p_obstacle.kind) where id = p_table.id;
  if p_obstacle.kind not in ('unlogged', 'inheritance') then
    perform set_config('m23.writing_capture', 'yes', true);
    perform m23.drop_triggers(c.relid) from m23.captured(p_table.relid) c;
    perform set_config('m23.writing_capture', '', true);
  end if;
end $$;

-- Partitions ------------------------------------------------------------------------

-- Which rows belong in a partition: a condition on columns of its table by the names that they had then.
create type m23.bounds as (
  condition text,    -- null: all rows
  of_tenant text,    -- what of it the tenant's column alone decides; null: nothing
  attnums   int2[],
  names     text[]
);

create table m23.partitions (
  relid    oid primary key,
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,  -- as it was last seen, and so its bounds
  bounds   m23.bounds not null
);
select m23.close_table('m23.partitions');
create index partitions_table on m23.partitions (table_id);
comment on table m23.partitions is 'The partitions that hold rows of protected tables.';

create table m23.removed_partitions (
  id       bigint primary key generated always as identity,
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  bounds   m23.bounds not null,
  lost     boolean not null,  -- its rows went unseen; else they were logged
  xid      xid8 not null default pg_current_xact_id(),
  at       timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.removed_partitions');
create index removed_partitions_table on m23.removed_partitions (table_id, xid);
comment on table m23.removed_partitions is
  'Partitions that are gone. Before one was dropped, the past of the rows that belong there is unknown.';

-- The lowest bounds of a partition, from its own upwards, that look at the tenant's column alone.
create function m23.tenant_bounds(p_partition oid, p_tenant_column text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (
    select pg_get_partition_constraintdef(a.relid)
      from pg_partition_ancestors(p_partition) with ordinality a (relid, n)
     where a.relid <> pg_partition_root(p_partition) and not exists (
       select from pg_partition_ancestors(a.relid) up (relid)
         join pg_partitioned_table k on k.partrelid = up.relid and up.relid <> a.relid
        cross join lateral unnest(k.partattrs::int2[]) key (attnum)
         left join pg_attribute c on c.attrelid = up.relid and c.attnum = key.attnum
        where c.attname is distinct from p_tenant_column)
     order by a.n limit 1);
end $$;

create function m23.bounds_of(p_partition oid, p_table m23.protected_tables) returns m23.bounds
language plpgsql stable set search_path = '' as $$
declare v_condition text := pg_get_partition_constraintdef(p_partition);
begin
  return (select row(v_condition, m23.tenant_bounds(p_partition, m23.tenant_column(p_table)),
                     array_agg(c.attnum), array_agg(c.name))::m23.bounds
            from m23.columns_of(p_table.relid) c where strpos(v_condition, quote_ident(c.name)) > 0);
end $$;

-- Whether a tenant can have had rows within bounds.
create function m23.can_concern(p_bounds m23.bounds, p_table m23.protected_tables, p_tenant uuid) returns boolean
language plpgsql stable set search_path = '' as $$
declare v_concerns boolean := true;
begin
  if p_bounds.of_tenant is not null then
    execute format('select %s from (select $1 as %I) r', p_bounds.of_tenant,
                   p_bounds.names[array_position(p_bounds.attnums, p_table.tenant_attnum)])
      into v_concerns using p_tenant;
  end if;
  return v_concerns is not false;
end $$;

-- The partitions that a tenant can have had rows in and that were removed after a moment, in this order.
create function m23.removed_since(p_table m23.protected_tables, p_tenant uuid, p_moment m23.moment)
returns setof m23.removed_partitions
language plpgsql stable rows 1 set search_path = '' as $$
begin
  return query
  select r.* from m23.removed_partitions r
   where r.table_id = p_table.id and r.xid >= p_moment.floor
     and (not pg_visible_in_snapshot(r.xid, p_moment.position)
          or case when p_moment.at is not null then
               coalesce((select c.at from m23.commit_times c where c.xid = r.xid),
                        pg_xact_commit_timestamp(r.xid::xid), r.at) > p_moment.at end)
     and m23.can_concern(r.bounds, p_table, p_tenant)
   order by r.id;
end $$;

-- What a moment before the drop of a partition lacks; null for nothing.
create function m23.lost_since(p_table m23.protected_tables, p_tenant uuid, p_moment m23.moment) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('%s: rows of partitions that were dropped after that moment cannot come back: %s',
                        m23.public_name(p_table.relid),
                        string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id))
            from m23.removed_since(p_table, p_tenant, p_moment) r where r.lost having count(*) > 0);
end $$;

-- A partition that was detached takes its rows with it, and they are logged. One that was dropped has taken them
-- unseen, unless m23.foresee_drop has found it empty.
create function m23.remove_partition(p_partition m23.partitions) returns void
language plpgsql set search_path = '' as $$
declare v_lost boolean := false;
begin
  if exists (select from pg_class where oid = p_partition.relid) then
    perform m23.log_rows(p_partition.relid, p_partition.table_id, 'D');
    perform m23.drop_triggers(p_partition.relid);
  else
    v_lost := p_partition.relid <> all (m23.empty_partitions());
  end if;
  insert into m23.removed_partitions (table_id, name, bounds, lost)
    values (p_partition.table_id, p_partition.name, p_partition.bounds, v_lost);
  delete from m23.partitions where relid = p_partition.relid;
end $$;

-- Notes the partitions that have come, with the rows that they brought, and gone.
create function m23.follow_partitions(p_table m23.protected_tables, p_new boolean) returns void
language plpgsql set search_path = '' as $$
declare v_relation oid;
begin
  perform m23.remove_partition(p) from m23.partitions p
   where p.table_id = p_table.id and p.relid not in (select c.relid from m23.captured(p_table.relid) c);
  for v_relation in select c.relid from m23.captured(p_table.relid) c where c.leaf and c.partitioned loop
    if not p_new and not exists (select from m23.partitions p where p.relid = v_relation) then
      perform m23.log_rows(v_relation, p_table.id, 'I');
    end if;
    insert into m23.partitions (relid, table_id, name, bounds)
      values (v_relation, p_table.id, m23.public_name(v_relation), m23.bounds_of(v_relation, p_table))
      on conflict (relid) do update set name = excluded.name, bounds = excluded.bounds;
  end loop;
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
         pruned_below = '0', pruned_at = null, suspended = null
   where t.id = p_table.id returning * into p_table;
  execute format('drop table if exists %s cascade', m23.log_name(p_table.id));
  delete from m23.log_columns where table_id = p_table.id;
  delete from m23.log_parts where table_id = p_table.id;
  delete from m23.log_tenants where table_id = p_table.id;
  delete from m23.log_groups where table_id = p_table.id;
  delete from m23.removed_partitions where table_id = p_table.id;
  return p_table;
end $$;

-- Another history where the former one has missed changes. Partitions that have gone are followed.
create function m23.end_broken_history(p_table m23.protected_tables) returns m23.protected_tables
language plpgsql set search_path = '' as $$
begin
  return case when m23.history_fault(p_table) is null then p_table
              when p_table.suspended is not null
              then m23.begin_history(p_table, 'capture was suspended: ' || p_table.suspended)
              when m23.misses_replication(p_table) then m23.begin_history(p_table, 'a subscription wrote to it unseen')
              when m23.key_is_another(p_table) then m23.begin_history(p_table, 'the primary key was another')
              else m23.begin_history(p_table, 'capture was switched off') end;
end $$;

create function m23.key_is_another(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select m23.key_attnums(p_table.relid) is distinct from p_table.key_attnums
        or exists (select from m23.columns_of(p_table.relid, p_of_key => true) c join m23.log_columns f on f.table_id = p_table.id and f.attnum = c.attnum and f.until_xid is null
                    where m23.logged_type(c) <> f.type_name));
end $$;

-- What protected tables were called: another table may have the name now.
create table m23.former_names (
  table_id int not null references m23.protected_tables (id) on delete cascade,
  name     text not null,
  until    timestamptz not null default clock_timestamp(),
  primary key (table_id, until)
);
select m23.close_table('m23.former_names');
comment on table m23.former_names is 'What protected tables were called before they were renamed, as callers write it.';

create function m23.note_name(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_name text := m23.public_name(p_table.relid);
begin
  if v_name <> p_table.name then
    insert into m23.former_names (table_id, name) values (p_table.id, p_table.name);
    update m23.protected_tables set name = v_name where id = p_table.id;
  end if;
end $$;

create function m23.write_capture(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_new boolean;
begin
  perform set_config('m23.writing_capture', 'yes', true);
  perform m23.note_name(p_table);
  if m23.key_is_another(p_table) then
    p_table := m23.begin_history(p_table, 'the primary key was another');  -- by which rows of the log are told apart
  end if;
  v_new := to_regclass(m23.log_name(p_table.id)) is null;
  perform m23.note_types(m23.column_types(array[p_table.relid]));
  perform m23.write_log_table(p_table);
  perform m23.write_log_groups(p_table);
  perform m23.follow_partitions(p_table, v_new);
  perform m23.write_capture_functions(p_table);
  perform m23.write_triggers(p_table);
  perform set_config('m23.writing_capture', '', true);
end $$;

-- Protect and unprotect ----------------------------------------------------------

create function m23.protect_table(p_table regclass, p_tenant_column name default 'tenant_id') returns void
language plpgsql set search_path = '' as $$
declare
  v_class    pg_class;
  v_schema   text;
  v_tenant   pg_attribute;
  v_obstacle m23.obstacle;
  v_already  m23.protected_tables;
  v_row      m23.protected_tables;
begin
  select * into v_class from pg_class where oid = p_table;
  v_schema := v_class.relnamespace::regnamespace::text;
  if v_class.relkind not in ('r', 'p') or v_class.relispartition or v_class.relpersistence = 't' then
    raise exception '% cannot be protected: only ordinary and partitioned tables can, and it is %', p_table,
      case when v_class.relispartition then 'a partition; protect the table that it is part of' when v_class.relpersistence = 't' then 'temporary'
           when v_class.relkind in ('v', 'm') then 'a view' when v_class.relkind = 'f' then 'a foreign table' else 'no table' end
      using errcode = 'wrong_object_type';
  end if;
  if v_schema in ('pg_catalog', 'information_schema', 'auth', 'm23', 'm23_log', 'm23_staging') then
    raise exception '% cannot be protected: the schema % belongs to the system', p_table, v_schema using errcode = 'insufficient_privilege';
  end if;
  select * into v_tenant from pg_attribute where attrelid = p_table and attname = p_tenant_column and attnum > 0 and not attisdropped;
  if v_tenant.attnum is null then
    raise exception '% has no column "%" to tell its tenants apart', p_table, p_tenant_column
      using errcode = 'undefined_column', hint = 'Name the tenant column: select m23.protect_table(''schema.table'', ''column'').';
  end if;
  select * into v_already from m23.protected_tables where relid = p_table;
  if v_already.tenant_attnum <> v_tenant.attnum and m23.tenant_column(v_already) is not null then
    raise exception '% is protected already, with another tenant column', p_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.unprotect_table first; its history is dropped then.';
  end if;

  -- Writers in flight end first: whatever is written from here on is captured.
  execute format('lock table %s in share row exclusive mode', m23.qualified_name(p_table));
  select * into v_obstacle from m23.obstacles(p_table, v_tenant.attnum) limit 1;
  if v_obstacle.kind is not null then
    raise exception '% cannot be protected: it %', p_table, v_obstacle.sentence
      using errcode = v_obstacle.code, hint = v_obstacle.advice;
  end if;
  insert into m23.protected_tables as t (relid, tenant_attnum, key_attnums, name, incarnation)
    values (p_table, v_tenant.attnum, m23.key_attnums(p_table), m23.public_name(p_table), m23.incarnation())
    on conflict (relid) do update set tenant_attnum = excluded.tenant_attnum  -- the former may have been dropped
    returning * into v_row;
  -- What was logged in another life of the database, or missed, is no history.
  if v_row.incarnation <> m23.incarnation() then
    v_row := m23.begin_history(v_row, 'the database was restored or copied');
  elsif v_already.id is not null then
    v_row := m23.end_broken_history(v_row);
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

select m23.pin_text('m23.protect_table(regclass, name)');
select m23.close_functions();
