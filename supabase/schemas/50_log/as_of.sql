-- The time-travel read: a tenant's rows of one table as of a position. Live rows, with
-- the first old images of whatever has changed since laid over them. Backups, previews
-- and a user's own look into the past are all this one query.

-- A value of one type as one of another: as its text would be read, but for what becomes JSON.
create function m23.converted(p_value text, p_from text, p_to text) returns text
language sql immutable as $$
  select case
    when p_from = p_to then p_value
    when p_from = 'text' then format('(%s)::%s', p_value, p_to)
    when p_to in ('json', 'jsonb')
         and p_from not in ('json', 'jsonb', 'character varying', 'character', 'bpchar', 'name')
    then format('pg_catalog.to_jsonb(%s)::%s', p_value, p_to)
    else format('(case when %1$s is not null then concat(%1$s) end)::%2$s', p_value, p_to) end
$$;

-- The column `l.<p_name>` of a log, which has the type p_type, in the type that the table has now.
-- p_shown: as JSON, or as it was logged where it does not fit.
create function m23.log_cast(p_table m23.protected_tables, p_column m23.column_shape, p_name text, p_type text,
                             p_shown boolean)
returns text
language plpgsql stable as $$
declare
  v_now    text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_type   oid := (select a.atttypid from pg_attribute a
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_logged text := format('l.%I', p_name);
begin
  if p_type = 'text' and v_now <> 'text' then v_logged := m23.logged_words(v_logged, v_type); end if;
  return case
    when p_shown then format('m23.json_of(%s, %L)', m23.converted(v_logged, p_type, 'text'),
                             m23.converted('$1::' || p_type, p_type, v_now))
    else format('(%s)', m23.converted(v_logged, p_type, v_now)) end;
end $$;

-- The value of an expression of a text, $1, as JSON; the text where it fails.
create function m23.json_of(p_value text, p_expression text) returns jsonb
language plpgsql stable as $$
declare v_json jsonb;
begin
  execute format('select pg_catalog.to_jsonb(%s)', p_expression) into v_json using p_value;
  return v_json;
exception when others then return to_jsonb(p_value);
end $$;

-- The value of a column in rows of the log from before the column was there: its default, or nothing where a function
-- fills it.
create function m23.value_before(p_table m23.protected_tables, p_column m23.column_shape, p_shown boolean) returns text
language plpgsql stable as $$
declare
  v_now     text := m23.type_with_nulls(p_table.relid, p_column.attnum);
  v_default text := (select format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), v_now) from pg_attrdef d
                      where d.adrelid = p_table.relid and d.adnum = p_column.attnum
                        and p_column.name <> all (m23.filled_columns(p_table)));
begin
  return case when not p_shown then coalesce(v_default, 'null::' || v_now)
              when v_default is null then 'null::jsonb' else format('m23.json_of(null, %L)', v_default) end;
end $$;

-- A column's value in a row `l` of the log, in the table's present type and collation: keys are
-- told apart and ordered by it.
create function m23.log_value(p_table m23.protected_tables, p_column m23.column_shape, p_shown boolean default false)
returns text
language plpgsql stable as $$
begin
  return (select (
        case when count(*) = 1 and min(f.since) = '0/0'
             then m23.log_cast(p_table, p_column, max(f.name), max(f.type_name), p_shown)
             -- None: it was added, and nothing has told of it yet.
             else format(case when count(*) = 0 then '%2$s' else '(case %s else %s end)' end,
                         string_agg(format('when l.change_id >= %L then %s', f.since,
                                           m23.log_cast(p_table, p_column, f.name, f.type_name, p_shown)),
                                    ' ' order by f.since desc),
                         m23.value_before(p_table, p_column, p_shown)) end)
      || coalesce((select format(' collate %I.%I', n.nspname, o.collname)
                     from pg_attribute a
                     join pg_collation o on o.oid = a.attcollation
                     join pg_namespace n on n.oid = o.collnamespace
                    where a.attrelid = p_table.relid and a.attnum = p_column.attnum
                      and o.collname <> 'default' and not p_shown), '')
      from m23.log_columns f where f.table_id = p_table.id and f.attnum = p_column.attnum);
end $$;

-- The log's columns of a row `l`, in the table's names and types.
create function m23.log_images(p_table m23.protected_tables, p_shown boolean default false) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('%s as %I', case when f.is_plain then 'l.' || f.name
                                                    else m23.log_value(p_table, c, p_shown) end, c.name),
                            ', ' order by c.attnum)
      from m23.columns_of(p_table.relid) c
      left join lateral (
           select min(l.name) as name,
                  min(l.since) = '0/0' and count(*) = 1 and min(l.type_name) = c.type_name
                  -- That JSON shows \u0000 is not sure.
                  and not (p_shown and c.type_name in ('json', 'json[]')) as is_plain
             from m23.log_columns l where l.table_id = p_table.id and l.attnum = c.attnum) f on true
     where not c.generated);
end $$;

-- The condition that a row `r` comes after a key (a parameter, text[] or null), in the order of the key's index. One
-- comparison of rows, which an index can answer, where the columns share their operator.
create function m23.key_after(p_relid oid, p_after text default '$3') returns text
language plpgsql stable as $$
begin
  return (with keys as (
      select c.key_ord as n, format('r.%I', c.name) as mine,
             format('(%s[%s])::%s', p_after, c.key_ord, c.type_name) as given,
             m23.comparison(i.indexrelid, c.key_ord, 3) as equals, m23.comparison(i.indexrelid, c.key_ord, 5) as follows
        from m23.columns_of(p_relid, p_of_key => true) c
        join pg_index i on i.indrelid = p_relid and i.indisprimary)
    select format('(%s is null or %s)', p_after, case when count(distinct follows) = 1
        then format('(%s) %s (%s)', string_agg(mine, ', ' order by n), min(follows), string_agg(given, ', ' order by n))
        else '(' || string_agg((select concat(string_agg(format('%s %s %s and ', b.mine, b.equals, b.given),
                                                         '' order by b.n))
                                  from keys b where b.n < k.n)
                               || format('%s %s %s', mine, follows, given), ' or ' order by n) || ')' end)
      from keys k);
end $$;

-- The condition that a transaction lies after a moment: a parameter of type m23.moment, or an expression.
create function m23.lies_after(p_xid text, p_moment text default '$2') returns text
language sql immutable as $q$
  select format($$(%1$s >= (%2$s).floor and (not pg_visible_in_snapshot(%1$s, (%2$s).position)
      or ((%2$s).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = %1$s),
                       pg_xact_commit_timestamp(%1$s::xid)) > (%2$s).at)))$$, p_xid, p_moment)
$q$;

-- The bits of the groups that have a column, by groups as lists of names (m23.groups_of).
create function m23.bits_in(p_groups jsonb, p_column text) returns int
language sql immutable as $$
  select coalesce(bit_or(1 << (g.n - 1)::int), 0)
    from jsonb_array_elements(p_groups) with ordinality g (names, n) where g.names ? p_column
$$;

-- The columns of an image, those in groups as a template says.
create function m23.image_values(p_columns text[], p_groups jsonb, p_grouped text) returns text
language plpgsql immutable as $$
begin
  return (select string_agg(m23.fill(case b.bits when 0 then 't.{column}' else p_grouped end,
                                     'column', quote_ident(c.name), 'bits', b.bits::text, 'n', c.n::text),
                            ', ' order by c.n)
            from unnest(p_columns) with ordinality c (name, n),
                 lateral (select m23.bits_in(p_groups, c.name)) b (bits));
end $$;

-- Whether an image of a key carries a group, and the values of the first one that does.
create function m23.next_values(p_columns text[], p_groups jsonb, p_bits int[]) returns text
language plpgsql immutable as $$
begin
  return concat(
    (select string_agg(m23.fill(', first_value(r.m23_op in (''U'', ''D'') and r.m23_unchanged & {bits} = 0)
                   over w{bits} as m23_has_{bits}', 'bits', b::text), '') from unnest(p_bits) b),
    (select string_agg(m23.fill(', first_value(r.{column}) over w{bits} as m23_next_{n}',
                                'column', quote_ident(c.name), 'bits', b.bits::text, 'n', c.n::text), '' order by c.n)
       from unnest(p_columns) with ordinality c (name, n), lateral (select m23.bits_in(p_groups, c.name)) b (bits)
      where b.bits <> 0));
end $$;

-- The condition that a live row, which is found by its key or its place, is the tenant's; p_tenant is an
-- expression. Said so that no index serves it: of a tenant that has grown since the last ANALYZE the planner
-- believes that it has next to no rows, and would look through all of them for each planned one.
create function m23.is_tenants(p_table m23.protected_tables, p_row text, p_tenant text) returns text
language plpgsql stable strict as
$$ begin return format('greatest(%s.%I) = %s', p_row, m23.tenant_column(p_table), p_tenant); end $$;

-- The condition that the key of a row is among those of a relation. As a list that is hashed
-- once: the planner cannot know how long it is, and would compare every row with every other.
create function m23.key_in(p_relid oid, p_alias text, p_relation text) returns text
language plpgsql stable as $$
begin
  return (select case when count(distinct e.equality) = 1 then
        format('(%s) %s any (select %s from %s t)', m23.key_list(p_relid, p_alias), min(e.equality),
               m23.key_list(p_relid, 't'), p_relation)
      else format('exists (select from %s t where %s)', p_relation, m23.key_match(p_relid, 't', p_alias)) end
      from (select m23.equality(i.indexrelid, c.key_ord) as equality
              from m23.columns_of(p_relid, p_of_key => true) c
              join pg_index i on i.indrelid = p_relid and i.indisprimary) e);
end $$;

-- A tenant's live rows, with the same parameters: those of the moment as long as nothing lies after it.
create function m23.live_query(p_table m23.protected_tables, p_limit int) returns text
language sql stable as $q$
  select format('select %1$s from %2$s r where r.%3$I = $1 and %4$s order by %5$s limit %6$s',
    m23.select_list(p_table.relid, 'r'), m23.qualified_name(p_table.relid), m23.tenant_column(p_table),
    m23.key_after(p_table.relid), m23.key_list(p_table.relid, 'r'), p_limit)
$q$;

-- Whether the log has anything of a tenant after a position.
create function m23.has_changed(p_table m23.protected_tables, p_tenant uuid, p_position pg_snapshot) returns boolean
language plpgsql volatile as $$
declare v_changed boolean;
begin
  execute format('select exists (select from %s l where l.tenant_id = $1 and l.xid >= ($2).floor and %s)',
                 m23.log_of(p_table.id, p_tenant, pg_snapshot_xmin(p_position)), m23.lies_after('l.xid'))
    into v_changed using p_tenant, m23.moment_of(p_position);
  return v_changed;
end $$;

-- Why a table's log cannot answer for a moment; null when it can.
create function m23.moment_fault(p_table m23.protected_tables, p_moment m23.moment) returns text
language plpgsql volatile as $$
begin
  return case
    when p_table.incarnation <> m23.incarnation()
      then format('the history of %s belongs to another life of this database, which was restored or copied since',
                  m23.public_name(p_table.relid))
    when p_moment.position is null or not pg_visible_in_snapshot(p_table.xid, p_moment.position)
         or p_moment.at < m23.history_since(p_table)
      then format('the history of %s begins at %s, after that moment: %s', m23.public_name(p_table.relid),
                  m23.iso(m23.history_since(p_table)), m23.history_reason(p_table))
    when p_moment.floor < p_table.pruned_below
      then format('the history of %s goes back to %s', m23.public_name(p_table.relid), m23.iso(p_table.pruned_at))
    else 'changes of ' || m23.public_name(p_table.relid) || ' may have gone unseen: ' || m23.capture_fault(p_table)
  end;
end $$;

-- Why the logs of tables, as callers name them, cannot answer for a moment: the tables, and the reasons.
create function m23.moment_faults(p_names text[], p_moment m23.moment) returns table (table_id int, fault text)
language plpgsql volatile rows 1 as
$$
begin
  return query select f.* from m23.moment_faults(array(select t.id from m23.tables_named(p_names) t), p_moment) f;
end $$;

-- Tenants whose log was removed, and when: m23.forget_tenant.
create table m23.forgotten (
  tenant_id   uuid primary key,
  at          timestamptz not null default clock_timestamp(),
  xid         xid8 not null default pg_current_xact_id(),
  incarnation uuid not null references m23.incarnations (id)
);
select m23.close_table('m23.forgotten');
create index forgotten_incarnation on m23.forgotten (incarnation);

-- Why no log can answer for a tenant at a moment; null when it can.
create function m23.tenant_fault(p_tenant uuid, p_moment m23.moment) returns text
language plpgsql volatile as $$
begin
  return (select format('the history of this tenant begins at %s; what was before has been removed', m23.iso(f.at))
      from m23.forgotten f
     where f.tenant_id = p_tenant and f.incarnation = (select m23.incarnation())
       and (p_moment.position is null or not pg_visible_in_snapshot(f.xid, p_moment.position) or p_moment.at < f.at));
end $$;

-- The rows of a tenant in a protected table (a null of its type) as of a moment.
-- runs under: text settings
create function m23.as_of(p_table anyelement, p_tenant uuid, p_moment m23.moment) returns setof anyelement
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
                              m23.as_of_query(v_row, m23.log_of(v_row.id, p_tenant, p_moment.floor)))
    using p_tenant, p_moment, null::text[];
exception when datatype_mismatch then
  raise exception '% was altered while it was read', m23.public_name(v_row.relid)
    using errcode = 'object_in_use', hint = 'Run the query again.';
end $$;

create function m23.as_of(p_table anyelement, p_tenant uuid, p_position pg_snapshot) returns setof anyelement
language sql volatile as $$ select * from m23.as_of(p_table, p_tenant, m23.moment_of(p_position)) $$;
comment on function m23.as_of(anyelement, uuid, pg_snapshot) is
  'The rows of a tenant in a protected table as of a position: '
  'select * from m23.as_of(null::public.orders, tenant, position).';

create function m23.as_of(p_table anyelement, p_tenant uuid, p_at timestamptz) returns setof anyelement
language sql volatile as $$ select * from m23.as_of(p_table, p_tenant, m23.moment_at(p_at)) $$;
comment on function m23.as_of(anyelement, uuid, timestamptz) is
  'The rows of a tenant in a protected table as they were committed at a time: '
  'select * from m23.as_of(null::public.orders, tenant, timestamptz ''…'').';
