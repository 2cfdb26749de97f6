-- The tables under protection, and how they are found by the names that callers write.

create table m23.protected_tables (
  id            int primary key generated always as identity,
  relid         oid not null unique,
  tenant_attnum int2 check (tenant_attnum > 0),
  key_attnums   int2[] not null check (cardinality(key_attnums) > 0),
  name          text not null,  -- as it was last seen
  protected_at  timestamptz not null default clock_timestamp(),
  xid           xid8 not null default pg_current_xact_id(),  -- what sees it, sees every change logged
  incarnation   uuid not null references m23.incarnations (id),
  pruned_below  xid8 not null default '0',  -- the log of transactions from here on is whole
  pruned_at     timestamptz,                -- what that is as a time
  attributes    int2,                       -- the highest number of a column, as it was last seen
  triggers      text[],                     -- marks of its triggers, as they were written last
  suspended     text,                       -- m23.obstacle.kind: what has kept it from being captured since its history
  tenant_type   text not null check (tenant_type in ('uuid', 'bigint', 'text')),  -- in which its log keeps tenants
  -- A path: a row is its parent's tenant's, whose parent_attnums are equal to the row's via_attnums.
  parent_id     int references m23.protected_tables (id),
  via_attnums   int2[],
  parent_attnums int2[],
  check (pruned_below = '0' or pruned_at is not null),
  constraint a_tenant_column_or_a_path check ((parent_id is null) = (tenant_attnum is not null)),
  constraint a_path_has_columns
    check (parent_id is null = (via_attnums is null) and parent_id is null = (parent_attnums is null)
           and cardinality(via_attnums) = cardinality(parent_attnums) and via_attnums <> '{}')
);
select m23.close_table('m23.protected_tables');
create index protected_tables_incarnation on m23.protected_tables (incarnation);
create index protected_tables_parent on m23.protected_tables (parent_id);
comment on table m23.protected_tables is 'The tables under protection, and since when.';

-- The protected table that a name means; null where it means none.
create function m23.find_table(p_name text) returns m23.protected_tables
language plpgsql stable security definer set row_security = off as
$$ begin return (select f.tbl from m23.find_tables(array[p_name]) f); end $$;

-- The protected tables that names mean, each once.
create function m23.tables_named(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 as $$
begin
  return query select distinct on ((f.tbl).id) (f.tbl).* from m23.find_tables(p_names) f order by (f.tbl).id;
end $$;

-- The same; null for all that are protected.
create function m23.chosen(p_names text[]) returns setof m23.protected_tables
language plpgsql stable rows 20 as $$
begin
  if p_names is not null then return query select * from m23.tables_named(p_names); return; end if;
  return query select t.* from m23.protected_tables t join pg_class c on c.oid = t.relid order by t.id;
end $$;

-- The tables among them whose logs can have changes of a tenant from a transaction on.
create function m23.tables_with_entries(p_names text[], p_tenant text, p_from xid8) returns setof m23.protected_tables
language plpgsql volatile rows 20 as $$
declare
  v_ids int[] := m23.logged_tables(array(select t.id from m23.chosen(p_names) t), p_tenant, coalesce(p_from, '0'));
begin
  return query select t.* from m23.protected_tables t where t.id = any (v_ids) order by t.id;
end $$;

-- The names that mean no protected table, a sentence each.
create function m23.table_faults(p_tables text[]) returns text[]
language plpgsql stable security definer set row_security = off as $$
begin
  return array(select format('tables: "%s" is not a protected table', u.name)
                 from unnest(p_tables) with ordinality u (name, n)
                where u.n not in (select f.n from m23.find_tables(p_tables) f) order by u.n);
end $$;

-- As the edge functions have it.
create function m23.is_system_schema(p_schema text) returns boolean
language sql immutable as $$
  select lower(p_schema) ~ '^(m23_|pg_|supabase_)' or lower(p_schema) in (
    'auth', 'cron', 'dbdev', 'extensions', 'graphql', 'graphql_public', 'information_schema', 'm23', 'net', 'pgbouncer',
    'pgmq', 'pgsodium', 'pgsodium_masks', 'pgtle', 'public', 'realtime', 'repack', 'storage', 'tiger', 'vault')
$$;
