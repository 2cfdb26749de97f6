-- The time-travel read: a tenant's rows of one table as of a position. Live rows, with
-- the first old images of whatever has changed since laid over them. Backups, previews
-- and a user's own look into the past are all this one query.

-- The columns of a table that hold values of their own, for a select list.
create function m23.select_list(p_relid oid, p_alias text) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.attnum)
    from m23.columns_of(p_relid) c where not c.generated
$$;

create function m23.key_list(p_relid oid, p_alias text) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s.%I', p_alias, c.name), ', ' order by c.key_ord)
    from m23.columns_of(p_relid) c where c.key_ord is not null
$$;

create function m23.key_match(p_relid oid, p_left text, p_right text) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%1$s.%3$I = %2$s.%3$I', p_left, p_right, c.name), ' and ' order by c.key_ord)
    from m23.columns_of(p_relid) c where c.key_ord is not null
$$;

-- The query behind every time-travel read. Parameters: $1 the tenant, $2 the position,
-- $3 a key as text[] (or null): only rows with a greater key, so that a long table can
-- be read in bounded pages, each of the same moment.
create function m23.as_of_query(p_table m23.protected_tables, p_paged boolean) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_tenant text := quote_ident(m23.tenant_column(p_table));
  v_images text;  -- the log's columns, in the table's names and types
  v_after  text := '';
  v_after_log text := '';
begin
  select string_agg(format(case when c.native then '(l.c%s)' else '(l.c%s)::%s' end || ' as %I', variadic
                    case when c.native then array[c.attnum::text, c.name] else array[c.attnum::text, c.type_name, c.name] end),
                    ', ' order by c.attnum)
    into v_images from m23.columns_of(p_table.relid) c where not c.generated;
  if p_paged then
    select format(' and ($3 is null or (%s) > (%s))', m23.key_list(p_table.relid, 'r'),
                  string_agg(format('($3[%s])::%s', c.key_ord, c.type_name), ', ' order by c.key_ord))
      into v_after from m23.columns_of(p_table.relid) c where c.key_ord is not null;
  end if;
  return format($q$
    with logged as materialized (
      select r.* from (
        select l.op as m23_op, l.change_id as m23_change_id, %1$s from %2$s l
         where l.tenant_id = $1 and l.xid >= pg_snapshot_xmin($2) and not pg_visible_in_snapshot(l.xid, $2)) r
       where true %8$s),
    touched as materialized (
      select distinct on (%3$s) r.*,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over (partition by %3$s order by r.m23_op not in ('U', 'D'), r.m23_change_id
                     rows between unbounded preceding and unbounded following) as m23_balance
        from logged r order by %3$s, r.m23_op not in ('U', 'D'), r.m23_change_id)
    select %4$s from %5$s r
     where r.%6$I = $1 %8$s and not exists (select from touched t where %7$s)
    union all
    select %4$s from touched r
     where (exists (select from %5$s t where t.%6$I = $1 and %7$s))::int - r.m23_balance = 1
    $q$, v_images, m23.log_name(p_table.id), m23.key_list(p_table.relid, 'r'), m23.select_list(p_table.relid, 'r'),
    m23.qualified_name(p_table.relid), m23.tenant_column(p_table), m23.key_match(p_table.relid, 't', 'r'), v_after);
end $$;

-- A position that this life of the database cannot answer for is refused, with its reason.
create function m23.check_position(p_table m23.protected_tables, p_position pg_snapshot) returns void
language plpgsql set search_path = '' as $$
begin
  if p_table.incarnation <> m23.incarnation() then
    raise exception 'the history of % belongs to another life of this database (it was restored or copied since)', p_table.relid::regclass
      using errcode = 'object_not_in_prerequisite_state', hint = 'Call m23.protect_table for it again; backups are not affected.';
  end if;
  if pg_snapshot_xmax(p_position) < pg_snapshot_xmin(p_table.position) then
    raise exception '% is protected since %, after that position', p_table.relid::regclass, p_table.protected_at
      using errcode = 'object_not_in_prerequisite_state';
  end if;
end $$;

create function m23.as_of(p_table anyelement, p_tenant uuid, p_position pg_snapshot) returns setof anyelement
language plpgsql volatile set search_path = '' as $$
declare
  v_row    m23.protected_tables;
  v_select text;
begin
  select t.* into v_row from m23.protected_tables t join pg_class c on c.oid = t.relid
   where c.reltype = pg_typeof(p_table);
  if v_row.id is null then
    raise exception '% is not a protected table', pg_typeof(p_table) using errcode = 'undefined_object';
  end if;
  perform m23.check_position(v_row, p_position);
  -- TRUNCATE and rewriting ALTERs are not MVCC-safe: first the lock, then a new snapshot.
  execute format('lock table %s in access share mode', m23.qualified_name(v_row.relid));
  -- With length and precision, which the log does not keep.
  select string_agg(format('(%s)::%s', case when c.generated then pg_get_expr(d.adbin, d.adrelid) else format('r.%I', c.name) end,
                           format_type(a.atttypid, a.atttypmod)), ', ' order by c.attnum)
    into v_select
    from m23.columns_of(v_row.relid) c
    join pg_attribute a on a.attrelid = v_row.relid and a.attnum = c.attnum
    left join pg_attrdef d on d.adrelid = v_row.relid and d.adnum = c.attnum;
  return query execute format('select %s from (%s) r', v_select, m23.as_of_query(v_row, false)) using p_tenant, p_position;
end $$;
comment on function m23.as_of(anyelement, uuid, pg_snapshot) is
  'The rows of a tenant in a protected table as of a position: select * from m23.as_of(null::public.orders, tenant, position).';

revoke execute on all functions in schema m23 from public;
grant execute on function m23.caller_tenants(text[]), m23.caller_tenant(), m23.caller_membership(), m23.picked_tenant()
  to authenticated, service_role;
