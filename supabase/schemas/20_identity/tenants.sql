-- Who the tenants are: for whoever looks after all of them (schedules, health, the operator's overview). An
-- application that has a table of its tenants replaces the body of m23.tenants, as that of m23.memberships_of.

-- Tenants that were seen in the logs: those that nobody belongs to yet are known by nothing else.
create table m23.seen_tenants (
  tenant_id text primary key,
  seen_at   timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.seen_tenants');

-- How far the look at each log has come.
create table m23.tenant_looks (
  table_id  int primary key references m23.protected_tables (id) on delete cascade,
  reached   text,  -- null: its next look begins anew
  looked_at timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.tenant_looks');

-- The tenants in an index that begins with them, one look-up each: a table may have thousands of rows a tenant.
create function m23.tenants_in(p_table regclass, p_after text default null, p_limit bigint default null)
returns setof text
language plpgsql stable rows 1000 as $$
begin
  return query execute m23.fill($q$
    with recursive found (tenant_id) as (
      (select t.tenant_id from {table} t where $1 is null or t.tenant_id > $1::{type} order by t.tenant_id limit 1)
      union all
      select (select t.tenant_id from {table} t where t.tenant_id > f.tenant_id order by t.tenant_id limit 1)
        from found f where f.tenant_id is not null)
    select tenant_id::text from found where tenant_id is not null limit $2 $q$,
      'table', p_table::text,
      'type', (select format_type(a.atttypid, null) from pg_attribute a
                                        where a.attrelid = p_table and a.attname = 'tenant_id'))
    using p_after, p_limit;
end $$;

-- Every tenant that M23 knows of, with its name where one is known: rows of the tables that tenant columns refer to,
-- and what memberships, records and logs know.
create function m23.known_tenants() returns table (tenant_id text, name text)
language plpgsql stable rows 1000 as $$
begin
  return query select known.id, max(known.name)
    from (select r.tenant_id, r.name from m23.root_tenants() r
          union
          select m23.tenants_in(t), null
            from unnest('{public.tenant_members, public.backup_jobs, public.dr_plans, public.restore_logs,
                          public.pitr_snapshots, m23.audit_heads}'::regclass[]) t
          union
          select s.tenant_id, null from m23.seen_tenants s) known (id, name)
   group by known.id;
end $$;

-- replaceable: the application may have its own
-- open to: service_role
create function m23.tenants() returns table (tenant_id text, name text)
language plpgsql stable security definer rows 1000 set row_security = off as
$$ begin return query select t.tenant_id, t.name from m23.known_tenants() t; end $$;
comment on function m23.tenants() is
  'Every tenant, with its name where one is known. Replace this function to use your own table of tenants.';
