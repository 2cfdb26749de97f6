-- The time-travel read: a tenant's rows of one table as of a position. Live rows, with
-- the first old images of whatever has changed since laid over them. Backups, previews
-- and a user's own look into the past are all this one query.

-- The condition that a live row, which is found by its key or its place, is the tenant's; p_tenant is an
-- expression. Said so that no index serves it: of a tenant that has grown since the last ANALYZE the planner
-- believes that it has next to no rows, and would look through all of them for each planned one.
create function m23.is_tenants(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable strict as
$$
begin
  if m23.has_no_tenants(p_table) then return 'true'; end if;
  return format('greatest(%s) = %s', m23.row_tenant(p_table, p_row), m23.tenant_value(p_table, p_tenant));
end $$;

-- The condition that a live row, one of few that are found by their keys, is the tenant's: where a path leads to it, by
-- the row and not by the tenant's parents.
create function m23.is_there(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable as $$
begin
  return case when p_table.parent_id is null then m23.belongs_to(p_table, p_row, p_tenant)
              else m23.is_tenants(p_table, p_row, p_tenant) end;
end $$;

-- Whether the log has anything of a tenant after a moment.
create function m23.has_changed(p_table m23.protected_tables, p_tenant text, p_moment m23.moment) returns boolean
language plpgsql volatile as $$
declare v_changed boolean;
begin
  execute format('select exists (select from %s l where l.tenant_id = %s and l.xid >= ($2).floor and %s)',
                 m23.log_of(p_table.id, p_tenant, p_moment.floor), m23.tenant_value(p_table, '$1'),
                 m23.lies_after('l.xid'))
    into v_changed using p_tenant, p_moment;
  return v_changed;
end $$;

-- The rows of a tenant in a protected table (a null of its type) as of a moment.
-- runs under: text settings
create function m23.as_of(p_table anyelement, p_tenant text, p_moment m23.moment) returns setof anyelement
language plpgsql volatile as $$
declare
  v_row    m23.protected_tables;
  v_fault  text;
  v_shape  int2[];
  v_select text;
begin
  select t.* into v_row from m23.protected_tables t join pg_class c on c.oid = t.relid
   where c.reltype = pg_typeof(p_table);
  if v_row.id is null then
    raise exception '% is not a protected table', pg_typeof(p_table) using errcode = 'undefined_object';
  end if;
  v_fault := coalesce(m23.moment_fault(v_row, p_moment), m23.tenant_fault(p_tenant, p_moment));
  if v_fault is not null then
    raise exception '%', v_fault using errcode = 'object_not_in_prerequisite_state';
  end if;
  v_fault := m23.lost_since(v_row, p_tenant, p_moment);
  if v_fault is not null then raise warning '%', v_fault; end if;
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot. The
  -- caller expects the shape of before: columns that are added meanwhile are left out.
  v_shape := array(select c.attnum from m23.columns_of(v_row.relid) c);
  execute format('lock table %s in access share mode', m23.qualified_name(v_row.relid));
  -- With length and precision, which the log does not keep.
  select string_agg(format('(%s)::%s', case when c.generated then pg_get_expr(d.adbin, d.adrelid)
                                            else format('r.%I', c.name) end,
                           format_type(a.atttypid, a.atttypmod)), ', ' order by c.attnum)
    into v_select
    from m23.columns_of(v_row.relid) c
    join pg_attribute a on a.attrelid = v_row.relid and a.attnum = c.attnum
    left join pg_attrdef d on d.adrelid = v_row.relid and d.adnum = c.attnum
   where c.attnum = any (v_shape);
  return query execute format('select %s from (%s) r', v_select,
                              m23.statement(v_row, 'as_of', 'log', m23.log_of(v_row.id, p_tenant, p_moment.floor)))
    using p_tenant, p_moment, null::text[];
exception when datatype_mismatch then
  raise exception '% was altered while it was read', m23.public_name(v_row.relid)
    using errcode = 'object_in_use', hint = 'Run the query again.';
end $$;

create function m23.as_of(p_table anyelement, p_tenant text, p_position pg_snapshot) returns setof anyelement
language sql volatile as $$ select * from m23.as_of(p_table, p_tenant, m23.moment_of(p_position)) $$;
comment on function m23.as_of(anyelement, text, pg_snapshot) is
  'The rows of a tenant in a protected table as of a position: '
  'select * from m23.as_of(null::public.orders, tenant, position).';

create function m23.as_of(p_table anyelement, p_tenant text, p_at timestamptz) returns setof anyelement
language sql volatile as $$ select * from m23.as_of(p_table, p_tenant, m23.moment_at(p_at)) $$;
comment on function m23.as_of(anyelement, text, timestamptz) is
  'The rows of a tenant in a protected table as they were committed at a time: '
  'select * from m23.as_of(null::public.orders, tenant, timestamptz ''…'').';
