-- Partitions of protected tables, those that are there and those that have gone.

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
language plpgsql stable as $$
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

-- The bounds of a partition, in the table's present names.
create function m23.bounds_of(p_partition oid, p_table m23.protected_tables) returns m23.bounds
language plpgsql stable as $$
declare v_bounds m23.bounds;
begin
  v_bounds.condition := pg_get_partition_constraintdef(p_partition);
  v_bounds.of_tenant := m23.tenant_bounds(p_partition, m23.tenant_column(p_table));
  select array_agg(c.attnum), array_agg(c.name) into v_bounds.attnums, v_bounds.names
    from m23.columns_of(p_table.relid) c where strpos(v_bounds.condition, quote_ident(c.name)) > 0;
  return v_bounds;
end $$;

-- Whether a tenant can have had rows within bounds.
create function m23.can_concern(p_bounds m23.bounds, p_table m23.protected_tables, p_tenant text) returns boolean
language plpgsql stable as $$
declare v_concerns boolean := true;
begin
  if p_bounds.of_tenant is not null then
    execute format('select %s from (select (%s)::%s as %I) r', p_bounds.of_tenant, m23.tenant_value(p_table, '$1'),
                   format_type(m23.tenant_base_type(p_table), null),
                   p_bounds.names[array_position(p_bounds.attnums, p_table.tenant_attnum)])
      into v_concerns using p_tenant;
  end if;
  return v_concerns is not false;
exception when numeric_value_out_of_range then return false;  -- no row can have that number
end $$;

-- The partitions that a tenant can have had rows in and that were removed after a moment, in this order.
create function m23.removed_since(p_table m23.protected_tables, p_tenant text, p_moment m23.moment)
returns setof m23.removed_partitions
language plpgsql stable rows 1 as $$
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
create function m23.lost_since(p_table m23.protected_tables, p_tenant text, p_moment m23.moment) returns text
language plpgsql stable as $$
begin
  return (select format('%s: rows of partitions that were dropped after that moment cannot come back: %s',
                        m23.public_name(p_table.relid),
                        string_agg(format('%s (%s)', r.name, m23.iso(r.at)), ', ' order by r.id))
            from m23.removed_since(p_table, p_tenant, p_moment) r where r.lost having count(*) > 0);
end $$;

-- A partition that was detached takes its rows with it, and they are logged. One that was dropped has taken them
-- unseen, unless m23.foresee_drop has found it empty.
create function m23.remove_partition(p_partition m23.partitions) returns void
language plpgsql as $$
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
