-- The obstacles of a table and its tenant column, the worst first. Each may come later, by the application's
-- migrations: those are never refused, so capture is suspended then. Asked for each table of every call: straight
-- from the catalogue.
create function m23.obstacles(p_table oid, p_tenant_attnum int2) returns setof m23.obstacle
language plpgsql stable rows 1 set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select 'no primary key',
         'has no primary key, and no unique index over columns that are NOT NULL, so its rows cannot be told apart',
         m23.key_advice(p_table), '42P16'
   where m23.key_index(p_table) is null
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
   where p_tenant_attnum is not null and not exists (select from pg_attribute
                      where attrelid = p_table and attnum = p_tenant_attnum and not attisdropped)
  union all
  select 'a tenant column of another type',
         format('has a tenant column "%s" that must be an ordinary column of type uuid, text or a whole number, '
                || 'and is %s', a.attname,
                case when a.attgenerated <> '' then 'generated' else format_type(a.atttypid, -1) end),
         'make it an ordinary column of one of these types', '42804'
    from pg_attribute a
   where a.attrelid = p_table and a.attnum = p_tenant_attnum and not a.attisdropped
     and (a.attgenerated <> '' or m23.tenant_type(a.atttypid) is null)
  union all
  select 'a tenant column of another type',
         format('has a tenant column "%s" whose type is %s now: its log keeps tenants as %s', a.attname,
                format_type(a.atttypid, -1), t.tenant_type),
         'change the type back, or call m23.unprotect_table and m23.protect_table: its history ends then', '42804'
    from m23.protected_tables t join pg_attribute a on a.attrelid = t.relid and a.attnum = p_tenant_attnum
   where t.relid = p_table and t.tenant_attnum = p_tenant_attnum and not a.attisdropped and a.attgenerated = ''
     and m23.tenant_type(a.atttypid) <> t.tenant_type
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
