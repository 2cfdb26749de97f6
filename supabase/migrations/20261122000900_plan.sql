-- A plan: the difference between what a tenant's tables are and what they should be, in
-- pg_temp.m23_diff_<id>: m23_op I (missing), T (missing, and nobody's row has its key), U (differs),
-- D (should not be), R (differs, and is written as delete and insert), m23_place where the live row
-- lies, and the wanted row, or the live row of a D.

create function m23.diff_name(p_table m23.protected_tables) returns text
language plpgsql immutable set search_path = '' as $$ begin return 'pg_temp.m23_diff_' || p_table.id; end $$;

-- Two rows are compared by what is stored, not by what their types call equal: that would miss
-- 1.0 and 1.00, and some types have no equality.
create function m23.images_differ(p_these text[], p_those text[]) returns text
language plpgsql immutable strict set search_path = '' as $$
begin
  return format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', array_to_string(p_these, ', '), array_to_string(p_those, ', '));
end $$;

-- Columns of a live row `l` with the expressions that are wanted for them, and what tells two of
-- them apart. `value`: their type's equality, as none of its values is stored in two ways; that is
-- quickest. `image`: what is stored. `text`: for where two images may stand for one value; it costs
-- ten times as much.
create function m23.compared(p_table m23.protected_tables, p_columns text[], p_wanted text[]) returns table (live text, wanted text, by text)
language plpgsql stable rows 20 set search_path = '' as $$
begin
  return query
  select format(f.form, format('l.%I', c.name)), format(f.form, c.expression), f.by
    from rows from (unnest(p_columns), unnest(p_wanted)) c (name, expression)
    join pg_attribute a on a.attrelid = p_table.relid and a.attname = c.name
    join pg_type t on t.oid = a.atttypid
    cross join lateral (select case
        when a.atttypid = any (array['text', 'varchar']::regtype[]::oid[])
          then '(%s)::pg_catalog.text collate pg_catalog."C"'
        when t.typtype = 'd' then '(%s)::' || m23.type_with_nulls(a.attrelid, a.attnum) else '%s' end, case
        when a.atttypid = any (array['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp', 'timestamptz', 'text', 'varchar', 'bytea']::regtype[]::oid[]) then 'value'
        when a.atttypid = any (array['bpchar', 'json']::regtype[]::oid[]) then 'image'
        else 'text' end) f (form, by);
end $$;

-- The condition that a live row `l` is not the wanted one, given by one expression a column.
create function m23.differs(p_table m23.protected_tables, p_columns text[], p_wanted text[]) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select '(' || concat_ws(' or ', string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'image'), array_agg(u.wanted) filter (where u.by = 'image')),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'text'), array_agg(u.wanted) filter (where u.by = 'text'))
               || format(' and row(%s)::text <> row(%s)::text', string_agg(u.live, ', ') filter (where u.by = 'text'), string_agg(u.wanted, ', ') filter (where u.by = 'text'))) || ')'
      from m23.compared(p_table, p_columns, p_wanted) u);
end $$;

-- One table to bring to its wanted rows. They come from the log, as of a moment; or from a
-- query, which may use the parameters of m23.touched_since for that moment.
create type m23.target as (
  tbl     m23.protected_tables,
  moment  m23.moment,
  wanted  text,
  columns text[],  -- those that are planned
  arrived text,    -- of an archive's rows: the keys that came from another tenant since
  path    text,    -- m23.path_of the table: for statements that touch it
  kept    text[]   -- those of the columns that are newer than the wanted rows: a live row keeps its value
);

-- The columns of a table that hold values of their own.
create function m23.stored_columns(p_relid oid) returns text[]
language plpgsql stable set search_path = '' as
$$ begin return array(select c.name from m23.columns_of(p_relid) c where not c.generated order by c.attnum); end $$;

create function m23.target_of(p_table m23.protected_tables, p_moment m23.moment) returns m23.target
language plpgsql stable set search_path = '' as $$
begin
  return row(p_table, p_moment, null, m23.stored_columns(p_table.relid), null, m23.path_of(p_table.relid), m23.newer_columns(p_table, p_moment))::m23.target;
end $$;

-- Chosen tables that come from the log are only named at first: most have nothing to do, and are never looked at. So it
-- is with these: what is missing is added.
create function m23.complete(p_targets m23.target[]) returns m23.target[]
language plpgsql stable set search_path = '' as $$
begin
  return array(select case when (p_targets[n]).columns is null
                           then m23.target_of((p_targets[n]).tbl, (p_targets[n]).moment) else p_targets[n] end from generate_subscripts(p_targets, 1) n order by n);
end $$;

-- The targets that there can be something to do for: of those that come from the log, the ones that it has something
-- of.
create function m23.with_entries(p_tenant uuid, p_targets m23.target[]) returns m23.target[]
language plpgsql volatile set search_path = '' as $$
declare
  v_from   xid8 := (select min(coalesce(((t).moment).floor, '0')) from unnest(p_targets) t where (t).wanted is null);
  v_logged int[] := array(select r.table_id from m23.removed_partitions r where r.xid >= v_from);
begin
  v_logged := v_logged || m23.logged_tables(
    array(select (t).tbl.id from unnest(p_targets) t where (t).wanted is null), p_tenant, v_from);
  return array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                where (p_targets[n]).wanted is not null or ((p_targets[n]).tbl).id = any (v_logged) order by n);
end $$;

-- The tables that a plan of some of the chosen ones can open: those, and what foreign keys tie to them.
create function m23.opened_by(p_targets m23.target[], p_chosen m23.target[]) returns oid[]
language plpgsql stable set search_path = '' as $$
declare v_relids oid[] := array(select (t).tbl.relid from unnest(p_targets) t);
begin
  if v_relids = '{}' then return '{}'; end if;
  return v_relids || array(
    select r.relid
      from (select coalesce(pg_partition_root(k.conrelid), k.conrelid) as child,
                   coalesce(pg_partition_root(k.confrelid), k.confrelid) as parent
              from pg_constraint k where k.contype = 'f' and k.conparentid = 0) tied,
           unnest(array[tied.child, tied.parent]) r (relid)
     where tied.child = any (v_relids) or tied.parent = any (v_relids)
    intersect
    select (t).tbl.relid from unnest(p_chosen) t);
end $$;

-- The columns that were added after a moment.
create function m23.newer_columns(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql stable set search_path = '' as $$
declare v_newer text[];
begin
  if not exists (select from m23.log_columns l where l.table_id = p_table.id and l.since > '0/0') then return '{}'; end if;
  execute m23.fill($sql$
      select array(select a.attname from pg_attribute a join m23.log_columns l on l.attnum = a.attnum
                    where a.attrelid = $2 and not a.attisdropped and l.table_id = $3 and l.since > '0/0' and {lies_after}
                      and l.since = (select min(f.since) from m23.log_columns f where f.table_id = $3 and f.attnum = l.attnum)
                    order by a.attnum)$sql$, 'lies_after', m23.lies_after('l.since_xid', '$1'))
    into v_newer using p_moment, p_table.relid, p_table.id;
  return v_newer;
end $$;

-- A value in the length and precision of a column, as an assignment would make it; one that
-- does not fit stays as it is, for the assignment to refuse.
create function m23.fitted(p_value text, p_type oid, p_modifier int) returns text
language sql stable set search_path = '' as $$
  select case
    when p_type = any (array['bit', 'varbit', 'bit[]', 'varbit[]', 'varchar[]', 'bpchar[]']::regtype[]::oid[]) then p_value
    when p_type in ('varchar'::regtype, 'bpchar'::regtype)
      then format('case when length(%1$s) <= %2$s then (%1$s)::%3$s else %1$s end', p_value, p_modifier - 4, format_type(p_type, p_modifier))
    else format('(%s)::%s', p_value, format_type(p_type, p_modifier)) end
$$;

create function m23.if_live(p_is_live text, p_column text, p_else text) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_is_live is null then p_else
              else format('case when %s then l.%I else %s end', p_is_live, p_column, p_else) end;
end $$;

-- What a target wants of each column, from its row `w`. Of a column that was added since, the moment says nothing: a
-- live row `l` keeps its value, and without one it gets what m23.filled says. So does a column that may not be null
-- any more, where the project has said how.
-- Without p_live there is no live row.
create function m23.wanted_values(p_target m23.target, p_live boolean default true) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_archive boolean := p_target.wanted is not null and (p_target.moment).taken is null;
  v_is_live text := case when p_live then format('l.%I is not null', m23.tenant_column(p_target.tbl)) end;
begin
  return (select array_agg(case
        when a.attname is null then format('w.%I', u.name)  -- renamed or dropped meanwhile: whoever runs the query is told
        when a.attname = any (p_target.kept)
          then m23.if_live(v_is_live, a.attname,
                           m23.or_else(format('w.%I', a.attname),
                                       m23.filled(p_target.tbl, a.attnum, p_target.columns, v_archive)))
        else m23.or_else(case when a.atttypmod = -1 then format('w.%I', a.attname)
                              else m23.fitted(format('w.%I', a.attname), a.atttypid, a.atttypmod) end,
                         case when a.attnotnull then case when p_live then format('l.%I, ', a.attname) else '' end
                                || m23.fill_call(p_target.tbl, a.attnum, p_target.columns) end) end
        order by u.n)
      from unnest(p_target.columns) with ordinality u (name, n)
      left join pg_attribute a on a.attrelid = (p_target.tbl).relid and a.attnum > 0 and a.attname = u.name);
end $$;

-- Executes a statement with the parameters of m23.touched_since, under the path of its table; gives how many rows it
-- took.
create function m23.run_at(p_target m23.target, p_tenant uuid, p_statement text) returns bigint
language plpgsql volatile set search_path = '' as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[];
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;

-- The condition that a live row `l` differs from another in a column that takes no UPDATE; null where there is none.
create function m23.fixed_differ(p_target m23.target, p_other text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('l.%1$I is distinct from %2$s.%1$I', c.name, p_other), ' or ')
            from m23.columns_of((p_target.tbl).relid) c
           where c.identity = 'a' and c.name = any (p_target.columns) and c.name <> all (p_target.kept)
             and c.key_ord is null);
end $$;

-- Plans a table: wanted rows `w` against live rows `l`, in one statement and so of one moment.
-- For the log's wanted rows only keys that have changed since are looked at, so that it takes
-- the time of the changes, not of the table; with p_lock their live rows are taken as they are
-- read, without waiting (m23.lock_rows says why).
create function m23.plan_table(p_target m23.target, p_tenant uuid, p_lock boolean default false) returns void
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_logged boolean := p_target.wanted is null;
  v_takes  boolean := v_logged and p_lock;
  v_live   text := m23.qualified_name(v_table.relid);
  v_key    text := quote_ident(m23.tenant_column(v_table));  -- null where there is no live row; a composite key can look like it
  v_fixed  text := m23.fixed_differ(p_target, 'w');
  v_values text[] := m23.wanted_values(p_target);
  v_there  text := case when v_logged then format('((l.%s is not null)::int - w.m23_balance = 1)', v_key) else format('(w.%s is not null)', v_key) end;
  v_plan   text;
begin
  perform m23.drop_plan(v_table);
  perform m23.run(p_target.path, format('create temp table m23_diff_%s on commit drop as
      select null::"char" as m23_op, null::tid as m23_place, %s from %s where false', v_table.id,
    (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c), v_live));
  v_plan := format('insert into %1$s %2$s
      select case when not %3$s then ''D'' when l.%4$s is null then ''I'' when %5$s then ''R'' else ''U'' end, l.m23_place, %6$s
        from %7$s w
        %8$s join %14$s (select ctid as m23_place, r.* from %9$s r where %10$s %13$s) l on %11$s
       where %3$s <> (l.%4$s is not null) or %3$s and %12$s',
      m23.diff_name(v_table),
      case when v_logged
           then 'with ' || m23.touched_since(v_table, m23.log_of(v_table.id, p_tenant, (p_target.moment).floor)) end, v_there, v_key, coalesce(v_fixed, 'false'),
      (select string_agg(format('case when %s then %s else l.%I end', v_there, v_values[n], c), ', ' order by n) from unnest(p_target.columns) with ordinality u (c, n)),
      case when v_logged then 'touched' else format('(%s)', p_target.wanted) end, case when v_logged then 'left' else 'full' end,
      v_live, case when v_logged then m23.is_tenants(v_table, 'r', '$1') else format('r.%I = $1', m23.tenant_column(v_table)) end, case when v_takes then 'true' else m23.key_match(v_table.relid, 'w', 'l') end, m23.differs(v_table, p_target.columns, v_values),
      case when v_takes then format('and %s for %s nowait', m23.key_match(v_table.relid, 'w', 'r'),
                                    m23.lock_to_change(v_table)) end,
      case when v_takes then 'lateral' end);
  perform m23.run_at(p_target, p_tenant, v_plan);
end $$;

create function m23.count_diff(
  p_table m23.protected_tables, out inserts bigint, out updates bigint, out deletes bigint, out taken_back bigint
)
language plpgsql set search_path = '' as $$
begin
  execute format('select count(*) filter (where m23_op in (''I'', ''T'')), count(*) filter (where m23_op in (''U'', ''R'')),
                         count(*) filter (where m23_op = ''D''), count(*) filter (where m23_op = ''T'') from %s',
                 m23.diff_name(p_table)) into inserts, updates, deletes, taken_back;
end $$;

-- What of a table could not be as it was, because its shape has changed since the moment.
create function m23.shape_warnings(p_target m23.target) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_said text[];
begin
  -- The moment of a backup has no time; the staging of its tables has told of their shape.
  if (p_target.moment).position is null or p_target.wanted is not null and (p_target.moment).taken is null then return '{}'; end if;
  if not exists (select from m23.log_columns l where l.table_id = (p_target.tbl).id and (l.since > '0/0' or l.until_xid is not null)) then
    return m23.type_warnings(p_target.tbl, p_target.moment);
  end if;
  execute format('
    select array_agg(format(case when l.until_xid is not null then ''%%s.%%s was dropped since; its values cannot come back''
                                 when exists (select from m23.log_columns e where e.table_id = $1 and e.attnum = l.attnum and e.until_xid = l.since_xid)
                                   then ''%%s.%%s has had another type then; its values were converted''
                                 when l.generated then ''%%s.%%s was generated then; rows that are there keep its value of now''
                                 else ''%%s.%%s was added since; rows that are there keep theirs, and those that come back get its default'' end, $3, l.column_name) order by l.attnum, l.since)
      from m23.log_columns l
     where l.table_id = $1 and case when l.until_xid is null then l.since > ''0/0'' and %s
       else %s and not exists (select from m23.log_columns p where p.table_id = $1 and p.attnum = l.attnum and p.until_xid is null) end',
    m23.lies_after('l.since_xid'), m23.lies_after('l.until_xid'))
    into v_said using (p_target.tbl).id, p_target.moment, m23.public_name((p_target.tbl).relid);
  return coalesce(v_said, '{}') || m23.type_warnings(p_target.tbl, p_target.moment);
end $$;

-- Takes the plan of a table away, where the transaction has made one.
create function m23.drop_plan(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare v_name text;
begin
  foreach v_name in array array[m23.diff_name(p_table), 'pg_temp.m23_left_' || p_table.id] loop
    if to_regclass(v_name) is not null then execute format('drop table %s', v_name); end if;
  end loop;
end $$;

-- Rows that others stand in the way of -------------------------------------------------

-- Takes rows out of the plan into pg_temp.m23_left_<id>; gives how many.
create function m23.leave(p_target m23.target, p_condition text, p_path text default null) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_id   int := (p_target.tbl).id;
  v_diff text := m23.diff_name(p_target.tbl);
begin
  execute format('create temp table if not exists m23_left_%s on commit drop as select * from %s where false',
                 v_id, v_diff);
  return m23.run(coalesce(p_path, p_target.path), format('with gone as (delete from %s d where %s returning d.*)
                                 insert into pg_temp.m23_left_%s select * from gone', v_diff, p_condition, v_id));
end $$;

-- Whether rows of a table can be nobody's: those whose tenant is null.
create function m23.may_be_nobodys(p_table m23.protected_tables) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (select not a.attnotnull or exists (
             select from pg_constraint k  -- NOT NULL that is NOT VALID
              where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum])
            from pg_attribute a where a.attrelid = p_table.relid and a.attnum = p_table.tenant_attnum);
end $$;

-- The condition that a row is nobody's, said so that no index serves it, as m23.is_tenants().
create function m23.is_nobodys(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable set search_path = '' as
$$ begin return format('greatest(%s.%I) is null', p_row, m23.tenant_column(p_table)); end $$;

-- The condition that a live row `l` is the one that a planned row `d` writes over or deletes: the tenant's, or nobody's
-- that is taken back. Where values are exchanged, that is an R by then.
create function m23.is_planned(p_table m23.protected_tables, p_tenant uuid) returns text
language plpgsql stable set search_path = '' as $$
declare v_tenants text := m23.is_tenants(p_table, 'l', quote_literal(p_tenant));
begin
  return case when not m23.may_be_nobodys(p_table) then v_tenants
              else format('(%s or d.m23_op in (''T'', ''R'') and %s)', v_tenants, m23.is_nobodys(p_table, 'l')) end;
end $$;

-- Takes nobody's rows that have the keys of missing ones for those: they are written over, their tenant too.
create function m23.take_back(p_target m23.target) returns bigint
language plpgsql set search_path = '' as $$
begin
  if not m23.may_be_nobodys(p_target.tbl) then return 0; end if;
  return m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'T', m23_place = l.ctid from {live} l
       where d.m23_op = 'I' and {same_key} and {is_nobodys}$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'is_nobodys', m23.is_nobodys(p_target.tbl, 'l')));
end $$;

-- The generated columns that follow from those of the plan, as the end of a select list.
create function m23.generated_columns(p_target m23.target, out names text[], out list text)
language plpgsql stable set search_path = '' as $$
begin
  select array_agg(a.attname::text),
         string_agg(format(', (%s)::%s as %I', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod), a.attname), '')
    into names, list
    from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = (p_target.tbl).relid and a.attgenerated <> '' and not exists (
     select from pg_depend x join pg_attribute b on b.attrelid = a.attrelid and b.attnum = x.refobjsubid
      where x.classid = 'pg_attrdef'::regclass and x.objid = d.oid and x.refclassid = 'pg_class'::regclass
        and x.refobjid = a.attrelid and b.attnum <> a.attnum and b.attname <> all (p_target.columns));
end $$;

-- The indexes of a table, or of a partition alone, under which the rows of a plan can collide with others: unique ones,
-- and those of exclusion constraints. One over a column that the plan does not have cannot be hit by it.
create function m23.colliding_indexes(p_target m23.target) returns setof pg_index
language plpgsql stable rows 2 set search_path = '' as $$
declare v_known text[] := p_target.columns || (m23.generated_columns(p_target)).names;
begin
  return query
  select i.* from m23.captured((p_target.tbl).relid) c join pg_index i on i.indrelid = c.relid
   where (i.indisunique or i.indisexclusion) and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid)
     and not exists (
       select from pg_attribute a
        where a.attrelid = i.indrelid and a.attname <> all (v_known)
          and (a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) and a.attnum > 0 or exists (
            select from pg_depend d
             where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refclassid = 'pg_class'::regclass
               and d.refobjid = i.indrelid and d.refobjsubid = a.attnum and a.attnum > 0)));
end $$;

-- What an index holds of a row, the only one in sight.
create function m23.index_parts(p_index pg_index) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(p_index.indexrelid, n, true), n), ', ' order by n)
            from generate_series(1, p_index.indnkeyatts) n);
end $$;

-- The condition that an index does not take two rows together, of which it holds these parts. Where nulls are equal, whole
-- rows are compared besides, if by the same operators: of two conditions with OR no join can be made but each with each.
create function m23.collide(p_index pg_index, p_left text, p_right text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_operators oid[] := (select k.conexclop from pg_constraint k
                         where k.conindid = p_index.indexrelid and k.contype in ('p', 'u', 'x'));
  v_parts     text;
  v_joined    text;
begin
  select string_agg(m23.fill(
             case when p_index.indnullsnotdistinct
                  then '({left} {operator} {right} or {left} is null and {right} is null)' else '{left} {operator} {right}' end,
             'left', format('%s.m23_e%s', p_left, n), 'right', format('%s.m23_e%s', p_right, n),
             'operator', coalesce((select format('operator(%I.%s)', s.nspname, o.oprname)
                                     from pg_operator o join pg_namespace s on s.oid = o.oprnamespace where o.oid = v_operators[n]),
                                  m23.equality(p_index.indexrelid, n))), ' and ' order by n),
         format('row(%s)::record operator(pg_catalog.=) row(%s)::record',
                string_agg(format('%s.m23_e%s', p_left, n), ', ' order by n), string_agg(format('%s.m23_e%s', p_right, n), ', ' order by n))
    into v_parts, v_joined
    from generate_series(1, p_index.indnkeyatts) n;
  return case when p_index.indnullsnotdistinct and not exists (
                  select from pg_opclass c where c.oid = any (p_index.indclass::oid[]) and not c.opcdefault)
              then v_joined || ' and ' || v_parts else v_parts end;
end $$;

-- The conditions by any of which a live row `r` stays as it is: another tenant's, nobody's that is not taken back, and
-- what was left. Each is a list to be hashed, not a look for each row.
create function m23.stays(p_target m23.target, p_tenant uuid) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_tenant text := quote_ident(m23.tenant_column(v_table));
  v_left   text := to_regclass('pg_temp.m23_left_' || v_table.id);
begin
  return array_remove(array[
    format('r.%s <> %L', v_tenant, p_tenant),
    case when m23.may_be_nobodys(v_table) then format('r.%s is null and not %s', v_tenant,
      m23.key_in(v_table.relid, 'r', format('(select * from %s where m23_op in (''T'', ''R''))', m23.diff_name(v_table)))) end,
    case when v_left is not null then m23.key_in(v_table.relid, 'r', v_left) end], null);
end $$;

-- Leaves the rows that an index does not take together with one that stays as it is. p_inserting: some are missing;
-- an update keeps its key.
create function m23.leave_claimed(p_target m23.target, p_tenant uuid, p_inserting boolean default true) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_index     pg_index;
  v_generated text := coalesce((m23.generated_columns(p_target)).list, '');
  v_stays     text[];
  v_left      bigint := 0;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where p_inserting or not i.indisprimary loop
    v_stays := m23.stays(p_target, p_tenant);  -- with what was left for the index before
    v_left := v_left + m23.leave(p_target, m23.fill($sql$d.m23_op <> 'D' and d.ctid in (
        select m.m23_row from (
          select r.m23_row, {parts} from (select r.ctid as m23_row, r.*{generated} from {diff} r) r
           where r.m23_op {ops} and {within} and {predicate}) m
          join ({standing}) o on {collide})$sql$,
      'parts', m23.index_parts(v_index), 'diff', m23.diff_name(p_target.tbl),
      'generated', v_generated, 'within', m23.within(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'standing', (select string_agg(m23.fill('select {parts} from {live} r where {stays} and {predicate}',
          'parts', m23.index_parts(v_index), 'live', m23.qualified_name(v_index.indrelid), 'stays', c,
          'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true')), ' union all ') from unnest(v_stays) c),
      'collide', m23.collide(v_index, 'm', 'o'), 'ops', case when v_index.indisprimary then '= ''I''' else '<> ''D''' end));
  end loop;
  return v_left;
end $$;

-- The keys that an update has brought to a tenant from another, in the log's entries `l` from a transaction on for
-- which a condition holds.
create function m23.arrived(
  p_table m23.protected_tables, p_tenant uuid, p_from xid8, p_later text, p_held boolean default true
) returns text
language sql volatile set search_path = '' as $$
  select format('select %s from %s l where l.tenant_id = %L and l.op = ''a'' and %s', string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord),
                m23.log_of(p_table.id, p_tenant, p_from, p_held), p_tenant, p_later)
    from m23.columns_of(p_table.relid, p_of_key => true) c
$$;

-- Leaves live rows that came from another tenant after the moment: they are not this
-- restore's to delete.
create function m23.leave_arrived(p_target m23.target, p_tenant uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_later text := m23.lies_after('l.xid', format('%L::m23.moment', p_target.moment));
begin
  if p_target.arrived is null and (p_target.moment).position is null then return 0; end if;
  return m23.leave(p_target, 'd.m23_op = ''D'' and ' || m23.key_in((p_target.tbl).relid, 'd',
                   format('(%s)', coalesce(p_target.arrived,
                                           m23.arrived(p_target.tbl, p_tenant, (p_target.moment).floor, v_later)))));
end $$;

-- Leaves what is out of reach of a moment because of partitions: rows that belong in one that was dropped since with
-- its rows, for their past is unknown, and rows that no partition takes any more. An archive knows the former.
create function m23.leave_unreachable(p_target m23.target, p_tenant uuid, out left_alone bigint, out warnings text[])
language plpgsql set search_path = '' as $$
declare
  v_table    m23.protected_tables := p_target.tbl;
  v_logged   boolean := p_target.wanted is null or (p_target.moment).taken is not null;
  v_removed  m23.removed_partitions[];
  v_homeless bigint;
begin
  left_alone := 0;
  warnings := '{}';
  if not exists (select from pg_class where oid = v_table.relid and relkind = 'p') then return; end if;
  if v_logged then
    v_removed := array(select r from m23.removed_since(v_table, p_tenant, p_target.moment) r);
    if cardinality(v_removed) = 0 then return; end if;
    select coalesce(sum(m23.leave(p_target, m23.lies_within(v_table, array[(r).bounds], 'd'))), 0) into left_alone
      from unnest(v_removed) r where r.lost;
    warnings := array(
      select lost || case when left_alone = 0 then ''
                          else format('; %s row(s) that belong there were left alone', left_alone) end
        from m23.lost_since(v_table, p_tenant, p_target.moment) lost where lost is not null);
  end if;
  v_homeless := m23.leave(p_target, 'd.m23_op <> ''D'' and not ' || m23.lies_within(v_table,
    array(select m23.bounds_of(c.relid, v_table) from m23.captured(v_table.relid) c where c.leaf), 'd'));
  left_alone := left_alone + v_homeless;
  warnings := warnings || array(select format('%s: %s row(s) were left alone: no partition takes them any more',
                                              m23.public_name(v_table.relid), v_homeless) where v_homeless > 0);
end $$;

-- The condition that a row lies within some bounds.
create function m23.lies_within(p_table m23.protected_tables, p_bounds m23.bounds[], p_row text) returns text
language plpgsql stable set search_path = '' as $$
begin
  return (select format('(%s)', coalesce(string_agg(one.condition, ' or '), 'false'))
            from unnest(p_bounds) b cross join lateral (
    select format('(select %s from (select %s) m23_row)', coalesce(b.condition, 'true'),
                  string_agg(format('%s.%I as %I', p_row, a.attname, was.name), ', ')) as condition
      from rows from (unnest(b.attnums), unnest(b.names)) was (attnum, name)
      join pg_attribute a on a.attrelid = p_table.relid and a.attnum = was.attnum and not a.attisdropped) one);
end $$;

-- What nobody can know of rows that an archive does not have and a restore deletes.
create function m23.arrival_warnings(p_target m23.target, p_deletes bigint) returns text[]
language plpgsql volatile set search_path = '' as $$
begin
  return case when p_target.arrived is null or p_deletes = 0
                or (p_target.moment).position is not null and pg_visible_in_snapshot((p_target.tbl).xid, (p_target.moment).position) then '{}'
    else array[format('%s: the history before %s is missing; whether rows that are deleted had come from another tenant before is not known',
                      m23.public_name((p_target.tbl).relid), m23.iso(m23.history_since(p_target.tbl)))] end;
end $$;

-- All tables ---------------------------------------------------------------------------

-- What the plan of each table came to, for as long as it is worked on: each backend has one at most.
-- Not a temporary table, whose making and dropping is a third of the time of a small restore.
create unlogged table m23.plans (
  backend    int not null default pg_backend_pid(),
  table_id   int not null,
  name       text not null,
  left_alone bigint not null default 0,
  inserts    bigint not null,
  updates    bigint not null,
  deletes    bigint not null,
  warnings   text[] not null default '{}',
  written    bigint not null default 0,
  unreachable bigint not null default 0,  -- of those left alone
  taken_back bigint not null default 0,  -- of the inserts
  primary key (backend, table_id)
);
select m23.close_table('m23.plans');
create view m23.plan with (security_invoker = true) as
  select table_id, name, left_alone, inserts, updates, deletes, warnings, written, unreachable, taken_back
    from m23.plans where backend = pg_backend_pid();

create function m23.end_plan() returns void
language plpgsql volatile set search_path = '' as $$ begin delete from m23.plan; end $$;

-- Refuses a moment that the log does not reach. That of a backup has no time: its rows do not
-- come from the log.
create function m23.refuse_unreached(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_moment m23.moment;
  v_fault  text;
begin
  for v_moment in
    select distinct on ((t).moment::text) (t).moment.* from unnest(p_targets) t where ((t).moment).position is not null
  loop
    v_fault := least(v_fault, coalesce(m23.tenant_fault(p_tenant, v_moment), (
      select min(f.fault) from m23.moment_faults(array(
        select (t).tbl.id from unnest(p_targets) t
         where (t).moment::text = v_moment::text and ((t).wanted is null or v_moment.taken is not null)), v_moment) f)));
  end loop;
  if v_fault is not null then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', array['targetTimestamp: ' || v_fault]);
  end if;
end $$;

-- Notes chosen tables that there is nothing to do for.
create function m23.plan_nothing(p_chosen m23.target[], p_planned int[]) returns void
language plpgsql set search_path = '' as $$
declare v_types boolean := exists (select from m23.type_versions where since > '0/0');
begin
  insert into m23.plan (table_id, name, left_alone, inserts, updates, deletes, warnings)
    select ((t).tbl).id, case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end,
           0, 0, 0, 0,
           case when v_types or exists (
                  select from m23.log_columns l
                   where l.table_id = ((t).tbl).id and (l.since > '0/0' or l.until_xid is not null))
                then m23.shape_warnings(t) else '{}' end
      from unnest(p_chosen) t join pg_class c on c.oid = ((t).tbl).relid join pg_namespace n on n.oid = c.relnamespace
     where ((t).tbl).id <> all (p_planned);
end $$;

-- Plans the targets. Gives those that there can be something to do for, complete, and the foreign keys that this choice
-- of tables would break. No other table is opened.
create function m23.plan_targets(
  p_tenant uuid, inout targets m23.target[], out faults text[], p_lock boolean default false
)
language plpgsql set search_path = '' as $$
declare
  v_chosen  m23.target[] := targets;
  v_target  m23.target;
  v_count   record;
  v_left    bigint;
  v_arrived bigint;
  v_taken   bigint;
  v_gone    record;
begin
  targets := m23.with_entries(p_tenant, v_chosen);
  perform m23.lock_tables(m23.opened_by(targets, v_chosen)) where not p_lock;
  perform m23.refuse_unreached(p_tenant, v_chosen);
  perform m23.follow_layout((t).tbl.id, (t).tbl.relid) from unnest(targets) t
    where not m23.ddl_is_followed() and m23.capture_is_stale((t).tbl);
  targets := m23.complete(targets);
  perform m23.end_plan();  -- one that was given up
  perform m23.plan_nothing(v_chosen, array(select (t).tbl.id from unnest(targets) t));
  foreach v_target in array targets loop
    perform m23.plan_table(v_target, p_tenant, p_lock);
    select * into v_count from m23.count_diff(v_target.tbl);
    v_taken := case when v_count.inserts > 0 then m23.take_back(v_target) else 0 end;
    v_arrived := case when v_count.deletes > 0 then m23.leave_arrived(v_target, p_tenant) else 0 end;
    v_left := case when v_count.inserts + v_count.updates > 0 then m23.leave_claimed(v_target, p_tenant, v_count.inserts > 0) else 0 end + v_arrived;
    select * into v_gone from m23.leave_unreachable(v_target, p_tenant);
    insert into m23.plan values ((v_target.tbl).id, m23.public_name((v_target.tbl).relid), v_left + v_gone.left_alone,
      v_count.inserts, v_count.updates, v_count.deletes,
      m23.shape_warnings(v_target) || m23.arrival_warnings(v_target, v_count.deletes - v_arrived) || v_gone.warnings,
      0, v_gone.left_alone, case when v_taken > 0 then (m23.count_diff(v_target.tbl)).taken_back else 0 end);
  end loop;
  loop
    faults := m23.keep_references(p_tenant, targets);
    if not exists (select from m23.plan where left_alone > 0) then return; end if;
    exit when m23.leave_dependent(p_tenant, targets) = 0;
  end loop;
  foreach v_target in array targets loop
    update m23.plan p set inserts = c.inserts, updates = c.updates, deletes = c.deletes, taken_back = c.taken_back
      from m23.count_diff(v_target.tbl) c where p.table_id = (v_target.tbl).id;
  end loop;
end $$;

-- Leaves the rows whose values are kept by rows that were left; gives how many.
create function m23.leave_dependent(p_tenant uuid, p_targets m23.target[]) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_left   bigint := 0;
begin
  for v_target in select t.* from unnest(p_targets) t join m23.plan p on p.table_id = (t.tbl).id and p.left_alone > 0 loop
    v_left := v_left + m23.note_left(v_target, m23.leave_claimed(v_target, p_tenant));
  end loop;
  return v_left;
end $$;

create function m23.note_left(p_target m23.target, p_left bigint) returns bigint
language plpgsql set search_path = '' as $$
begin
  update m23.plan set left_alone = left_alone + p_left where table_id = (p_target.tbl).id and p_left > 0;
  return p_left;
end $$;

-- What a plan comes to, for a caller; with that it is over.
create function m23.plan_report(p_warnings text[]) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  v_report jsonb := (select jsonb_build_object(
      'stats', jsonb_build_object('totalOperations', coalesce(sum(inserts + updates + deletes), 0), 'insertCount', coalesce(sum(inserts), 0),
        'updateCount', coalesce(sum(updates), 0), 'deleteCount', coalesce(sum(deletes), 0),
        'affectedTables', coalesce(jsonb_agg(name order by name) filter (where inserts + updates + deletes > 0), '[]')),
      'warnings', to_jsonb(p_warnings || array(select w from m23.plan, unnest(warnings) w)) || coalesce(jsonb_agg(format('%s: %s row(s) that had become nobody''s (their tenant is null) were taken back as they were then',
          name, taken_back) order by name) filter (where taken_back > 0), '[]')
        || coalesce(jsonb_agg(format('%s: %s row(s) were left alone: their key, or a value that only one row may have, is another tenant''s '
            'or nobody''s, they came from there, or they depend on such a row', name, left_alone - unreachable)
          order by name) filter (where left_alone > unreachable), '[]'))
    from m23.plan);
begin
  perform m23.end_plan();
  return v_report;
end $$;

-- A sum over the planned rows of a table and those that they would replace. What live rows keep is among the latter; a
-- default or a function that fills may give another value each time.
create function m23.digest_of(p_target m23.target, p_tenant uuid) returns text
language plpgsql set search_path = '' as $$
declare
  v_query text := m23.fill($sql$
    select pg_catalog.concat_ws(':', count(*), sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(
             chr(30), row(m23_d.m23_op, {columns})::text, m23_l::text), 0::bigint)::numeric))
      from {diff} m23_d left join (select * from {live} r where {is_tenants}) m23_l on {same_key}$sql$,
    'columns', (select string_agg(format('m23_d.%I', c), ', ') from unnest(p_target.columns) c
                 where c <> all (p_target.kept || m23.filled_columns(p_target.tbl))),
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'is_tenants', m23.is_tenants(p_target.tbl, 'r', quote_literal(p_tenant)),
    'same_key', m23.key_match((p_target.tbl).relid, 'm23_l', 'm23_d'));
  v_sum text;
begin
  perform set_config('search_path', p_target.path, true);
  execute v_query into v_sum;
  return v_sum;
end $$;

-- What a plan is: the rows that it would write, and those that they would replace. Any
-- change of either makes it another plan.
create function m23.plan_hash(p_tenant uuid, p_targets m23.target[]) returns text
language plpgsql set search_path = '' as $$
declare
  v_ids  int[] := array(select (t).tbl.id from unnest(p_targets) t);
  v_sums text[] := array(select m23.digest_of(p_targets[n], p_tenant) from generate_subscripts(p_targets, 1) n order by n);
begin
  return encode(sha256(convert_to(coalesce((
    select string_agg(concat_ws(chr(10), p.name, coalesce(s.sum, '0')), chr(10) order by p.name collate "C")
      from m23.plan p left join unnest(v_ids, v_sums) s (id, sum) on s.id = p.table_id), ''), 'UTF8')), 'hex');
end $$;

select m23.close_functions();
