-- Converge: the one primitive behind every restore. It makes a tenant's tables what
-- they should be, and touches nothing else:
--
--   plan      the difference between what is and what should be, in pg_temp.m23_diff_<id>:
--             m23_op I (missing), U (differs), D (should not be), R (differs, and is
--             written as delete and insert), with the wanted row, or the live row of a D
--   apply     only the difference, every write with the tenant in it
--   check     foreign keys in both directions, then that nothing differs any more
--
-- Its caller holds the fence and has silenced the application's triggers.

create function m23.diff_name(p_table m23.protected_tables) returns text
language sql immutable set search_path = '' as $$ select 'pg_temp.m23_diff_' || p_table.id $$;

-- The condition that a live row `l` is not the wanted one, given by one expression a column.
create function m23.differs(p_columns text[], p_wanted text[]) returns text
language sql immutable set search_path = '' as $$
  -- Images first: equality would miss 1.0 and 1.00, and some types have none. Images
  -- differ for equal values now and then, so that text decides.
  select format('(row(%1$s)::record *<> row(%2$s)::record and row(%1$s)::text <> row(%2$s)::text)',
                string_agg(format('l.%I', c), ', ' order by n), string_agg(p_wanted[n], ', ' order by n))
    from unnest(p_columns) with ordinality u (c, n)
$$;

-- One table to bring to its wanted rows. They come from the log, as of a moment; or from a
-- query, which may use the parameters of m23.touched_since for that moment.
create type m23.target as (
  tbl     m23.protected_tables,
  moment  m23.moment,
  wanted  text,
  columns text[]  -- those that the wanted rows have: the others are left as they are
);

create function m23.target_of(p_table m23.protected_tables, p_moment m23.moment) returns m23.target
language sql stable set search_path = '' as $$
  select row(p_table, p_moment, null, array(select c.name from m23.columns_of(p_table.relid) c where not c.generated))::m23.target
$$;

-- Whether a column was added after the moment.
create function m23.is_newer(p_target m23.target, p_attnum int2) returns boolean
language plpgsql stable set search_path = '' as $$
declare v_newer boolean;
begin
  execute format('select %s from (select since_xid from m23.log_columns where table_id = $5 and attnum = $6 and since > 0
      and since = (select min(since) from m23.log_columns where table_id = $5 and attnum = $6)) l', m23.lies_after('l.since_xid')) into v_newer
    using null::uuid, (p_target.moment).position, (p_target.moment).at, (p_target.moment).floor, (p_target.tbl).id, p_attnum;
  return coalesce(v_newer, false);
end $$;

-- What a target wants of each column, from its row `w`. Of a column that was added since, the
-- moment says nothing: a live row `l` keeps its value.
create function m23.wanted_values(p_target m23.target) returns text[]
language sql stable set search_path = '' as $$
  select array_agg(case when p_target.wanted is null and m23.is_newer(p_target, c.attnum)
      then format('case when l.%I is not null then l.%I else w.%I end', (m23.key_of((p_target.tbl).relid))[1], c.name, c.name)
      else format('w.%I', c.name) end order by array_position(p_target.columns, c.name))
    from m23.columns_of((p_target.tbl).relid) c where c.name = any (p_target.columns)
$$;

-- Plans a table: wanted rows `w` against live rows `l`. For the log's wanted rows only keys
-- that have changed since are looked at, so that it takes the time of the changes, not of
-- the table; they are put into a table of their own first, for the planner to count.
create function m23.plan_table(p_target m23.target, p_tenant uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_live   text := m23.qualified_name(v_table.relid);
  v_key    text := quote_ident((m23.key_of(v_table.relid))[1]);
  v_fixed  text := (select string_agg(format('l.%1$I is distinct from w.%1$I', c.name), ' or ') from m23.columns_of(v_table.relid) c
                     where c.identity = 'a' and c.name = any (p_target.columns) and c.key_ord is null);
  v_select text := (select string_agg(quote_ident(c), ', ') from unnest(p_target.columns) c);
  v_values text[] := m23.wanted_values(p_target);
  v_wanted text := case when p_target.wanted is null then 'pg_temp.m23_touched' else format('(select w.*, true as m23_there from (%s) w)', p_target.wanted) end;
begin
  if p_target.wanted is null then
    execute format('create temp table m23_touched on commit drop as select %s, null::boolean as m23_there from %s where false', v_select, v_live);
    execute format('insert into pg_temp.m23_touched with %1$s
        select %2$s, (l.%3$s is not null)::int - r.m23_balance = 1
          from touched r left join (select * from %4$s where %5$I = $1) l on %6$s',
        m23.touched_since(v_table), (select string_agg(format('r.%I', c), ', ') from unnest(p_target.columns) c), v_key,
        v_live, m23.tenant_column(v_table), m23.key_match(v_table.relid, 'l', 'r'))
      using p_tenant, (p_target.moment).position, (p_target.moment).at, (p_target.moment).floor, null::text[];
    analyze pg_temp.m23_touched;
  end if;
  execute format('create temp table m23_diff_%s on commit drop as select null::"char" as m23_op, %s from %s where false', v_table.id, v_select, v_live);
  execute format('insert into %1$s
      select case when not coalesce(w.m23_there, false) then ''D'' when l.%2$s is null then ''I'' when %3$s then ''R'' else ''U'' end, %4$s
        from %5$s w
        %6$s join (select * from %7$s where %8$I = $1) l on %9$s
       where coalesce(w.m23_there, false) <> (l.%2$s is not null) or w.m23_there and %10$s',
      m23.diff_name(v_table), v_key, coalesce(v_fixed, 'false'),
      (select string_agg(format('case when w.m23_there then %s else l.%I end', v_values[n], c), ', ' order by n) from unnest(p_target.columns) with ordinality u (c, n)),
      v_wanted, case when p_target.wanted is null then 'left' else 'full' end, v_live, m23.tenant_column(v_table),
      m23.key_match(v_table.relid, 'w', 'l'), m23.differs(p_target.columns, v_values))
    using p_tenant, (p_target.moment).position, (p_target.moment).at, (p_target.moment).floor, null::text[];
  execute format('analyze %s', m23.diff_name(v_table));
  if p_target.wanted is null then
    drop table pg_temp.m23_touched;
  end if;
end $$;

create function m23.count_diff(p_table m23.protected_tables, out inserts bigint, out updates bigint, out deletes bigint)
language plpgsql set search_path = '' as $$
begin
  execute format('select count(*) filter (where m23_op = ''I''), count(*) filter (where m23_op in (''U'', ''R'')),
                         count(*) filter (where m23_op = ''D'') from %s', m23.diff_name(p_table)) into inserts, updates, deletes;
end $$;

-- What of a table could not be as it was, because its shape has changed since the moment.
create function m23.shape_warnings(p_target m23.target) returns text[]
language plpgsql volatile set search_path = '' as $$
declare v_said text[];
begin
  -- The moment of a backup has no time; the staging of its tables has told of their shape.
  if (p_target.moment).position is null or p_target.wanted is not null and (p_target.moment).taken is null then return '{}'; end if;
  execute format('
    select array_agg(format(case when l.until_xid is not null then ''%%s.%%s was dropped since; its values cannot come back''
                                 when exists (select from m23.log_columns e where e.table_id = $1 and e.attnum = l.attnum and e.until_xid = l.since_xid)
                                   then ''%%s.%%s has had another type then; its values were converted''
                                 else ''%%s.%%s was added since; rows that are there keep theirs'' end, $5, l.column_name) order by l.attnum, l.since)
      from m23.log_columns l
     where l.table_id = $1 and case when l.until_xid is null then l.since > 0 and %s
       else %s and not exists (select from m23.log_columns p where p.table_id = $1 and p.attnum = l.attnum and p.until_xid is null) end',
    m23.lies_after('l.since_xid'), m23.lies_after('l.until_xid'))
    into v_said using (p_target.tbl).id, (p_target.moment).position, (p_target.moment).at, (p_target.moment).floor, m23.public_name((p_target.tbl).relid);
  return coalesce(v_said, '{}');
end $$;

-- Rows that another tenant's stand in the way of --------------------------------------

-- Takes rows out of the plan into pg_temp.m23_left_<id>; gives how many.
create function m23.leave(p_table m23.protected_tables, p_condition text) returns bigint
language plpgsql set search_path = '' as $$
declare v_left bigint;
begin
  execute format('create temp table if not exists m23_left_%1$s on commit drop as select * from %2$s where false', p_table.id, m23.diff_name(p_table));
  execute format('with gone as (delete from %1$s d where %2$s returning d.*) insert into pg_temp.m23_left_%3$s select * from gone',
                 m23.diff_name(p_table), p_condition, p_table.id);
  get diagnostics v_left = row_count;
  return v_left;
end $$;

-- Leaves the rows whose key or unique value belongs to another tenant now.
create function m23.leave_claimed(p_target m23.target, p_tenant uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_index record;
  v_left  bigint := 0;
begin
  for v_index in
    select i.indexrelid, i.indisprimary, pg_get_expr(i.indpred, i.indrelid) as predicate, i.indnkeyatts as keys
      from pg_index i
     where i.indrelid = (p_target.tbl).relid and i.indisunique
       -- an index over a column that the plan does not have cannot be hit by it
       and not exists (select from pg_depend d join pg_attribute a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid
                        where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refobjid = i.indrelid
                          and d.refobjsubid > 0 and a.attname <> all (p_target.columns))
  loop
    v_left := v_left + m23.leave(p_target.tbl, format('d.m23_op <> ''D'' and d.ctid in (
        select m.m23_place from (select r.ctid as m23_place, %1$s from %2$s r where r.m23_op %8$s and %3$s) m
          join (select %1$s from %4$s r where r.%5$I <> %6$L and %3$s) o on %7$s)',
      (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(v_index.indexrelid, n, true), n), ', ') from generate_series(1, v_index.keys) n),
      m23.diff_name(p_target.tbl), coalesce(v_index.predicate, 'true'), m23.qualified_name((p_target.tbl).relid), m23.tenant_column(p_target.tbl), p_tenant,
      (select string_agg(format('m.m23_e%1$s %2$s o.m23_e%1$s', n, m23.equality(v_index.indexrelid, n)), ' and ') from generate_series(1, v_index.keys) n),
      case when v_index.indisprimary then '= ''I''' else '<> ''D''' end));  -- an update keeps its key
  end loop;
  return v_left;
end $$;

-- Leaves the rows that need a row which was left, and is not there: they could only come
-- back with it.
create function m23.leave_orphans(p_target m23.target) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_key  pg_constraint;
  v_left bigint := 0;
begin
  for v_key in
    select k.* from pg_constraint k join pg_temp.m23_plan p on p.left_alone > 0
      join m23.protected_tables t on t.id = p.table_id and t.relid = k.confrelid
     where k.contype = 'f' and k.conrelid = (p_target.tbl).relid and m23.columns_planned(k.conrelid, k.conkey, p_target.columns)
  loop
    v_left := v_left + m23.leave(p_target.tbl, format('d.m23_op <> ''D'' and exists (select from pg_temp.m23_left_%s p where p.m23_op <> ''D'' and (%2$s) = (%3$s))
        and not exists (select from %4$s p where (%2$s) = (%3$s)) and not exists (select from pg_temp.m23_diff_%1$s p where p.m23_op <> ''D'' and (%2$s) = (%3$s))',
      (select t.id from m23.protected_tables t where t.relid = v_key.confrelid), m23.columns_text(v_key.confrelid, v_key.confkey, 'p'),
      m23.columns_text(v_key.conrelid, v_key.conkey, 'd'), m23.qualified_name(v_key.confrelid)));
  end loop;
  return v_left;
end $$;

-- Leaves live rows that came from another tenant after the moment: they are not this
-- restore's to delete.
create function m23.leave_arrived(p_target m23.target, p_tenant uuid) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_moment m23.moment := p_target.moment;
  v_later  text := replace(replace(replace(m23.lies_after('l.xid'), '$2', quote_literal(v_moment.position) || '::pg_snapshot'),
                                   '$3', coalesce(quote_literal(v_moment.at), 'null') || '::timestamptz'), '$4', quote_literal(v_moment.floor) || '::xid8');
begin
  if v_moment.position is null then return 0; end if;
  return m23.leave(p_target.tbl, 'd.m23_op = ''D'' and ' || m23.key_in((p_target.tbl).relid, 'd',
    format('(select %s from %s l where l.tenant_id = %L and l.op = ''a'' and %s)',
      (select string_agg(format('%s as %I', m23.log_value(p_target.tbl, c), c.name), ', ') from m23.columns_of((p_target.tbl).relid) c where c.key_ord is not null),
      m23.log_name((p_target.tbl).id), p_tenant, v_later)));
end $$;

-- Writing -------------------------------------------------------------------------------

-- The rows to be changed are taken without waiting: a writer that holds one may itself
-- be waiting for the fence. p_keys is a relation with their keys.
create function m23.lock_rows(p_table m23.protected_tables, p_tenant uuid, p_keys text) returns void
language plpgsql set search_path = '' as $$
begin
  execute format('select count(*) from (select 1 from %s l join %s d on %s where l.%I = %L for update of l nowait) locked',
    m23.qualified_name(p_table.relid), p_keys, m23.key_match(p_table.relid, 'l', 'd'), m23.tenant_column(p_table), p_tenant);
end $$;

create function m23.delete_diff(p_table m23.protected_tables, p_tenant uuid, p_op "char") returns void
language plpgsql set search_path = '' as $$
begin
  execute format('delete from %s l using %s d where %s and l.%I = %L and d.m23_op = %L',
    m23.qualified_name(p_table.relid), m23.diff_name(p_table), m23.key_match(p_table.relid, 'l', 'd'), m23.tenant_column(p_table), p_tenant, p_op);
end $$;

create function m23.write_diff(p_table m23.protected_tables, p_tenant uuid, p_columns text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_live   text := m23.qualified_name(p_table.relid);
  v_diff   text := m23.diff_name(p_table);
  v_tenant text := m23.tenant_column(p_table);
  v_set    text := (select string_agg(format('%1$I = d.%1$I', c.name), ', ') from m23.columns_of(p_table.relid) c
                     where c.name = any (p_columns) and c.identity <> 'a');
  v_list   text := (select string_agg(quote_ident(c), ', ') from unnest(p_columns) c);
begin
  if v_set is not null then
    execute format('update %s l set %s from %s d where %s and l.%I = %L and d.m23_op = ''U''',
      v_live, v_set, v_diff, m23.key_match(p_table.relid, 'l', 'd'), v_tenant, p_tenant);
  end if;
  execute format('insert into %s (%s) overriding system value select %s from %s where m23_op in (''I'', ''R'') and %I = %L',
    v_live, v_list, v_list, v_diff, v_tenant, p_tenant);
end $$;

-- Updates and inserts, the deletes being done. Unique values that rows exchange among
-- themselves defeat an UPDATE: then the changed rows are deleted and inserted. What still
-- collides has been written by another tenant since the plan: it is made anew.
create function m23.apply_table(p_target m23.target, p_tenant uuid) returns void
language plpgsql set search_path = '' as $$
begin
  begin
    perform m23.delete_diff(p_target.tbl, p_tenant, 'R');
    perform m23.write_diff(p_target.tbl, p_tenant, p_target.columns);
    return;
  exception when unique_violation or exclusion_violation then
    execute format('update %s set m23_op = ''R'' where m23_op = ''U''', m23.diff_name(p_target.tbl));
  end;
  begin
    perform m23.delete_diff(p_target.tbl, p_tenant, 'R');
    perform m23.write_diff(p_target.tbl, p_tenant, p_target.columns);
    return;
  exception when unique_violation then
    if m23.leave_claimed(p_target, p_tenant) = 0 then raise; end if;
  end;
  raise exception 'another tenant has taken a value meanwhile' using errcode = 'lock_not_available';
end $$;

-- Foreign keys -----------------------------------------------------------------------------
-- With triggers silenced nobody checks them, so both directions are checked here, and
-- parents are locked as the silenced checks would have locked them.

create function m23.columns_text(p_relid oid, p_attnums int2[], p_alias text) returns text
language sql stable set search_path = '' as $$
  select string_agg(format('%s.%I', p_alias, a.attname), ', ' order by n.ord)
    from unnest(p_attnums) with ordinality n (attnum, ord) join pg_attribute a on a.attrelid = p_relid and a.attnum = n.attnum
$$;

create function m23.columns_planned(p_relid oid, p_attnums int2[], p_columns text[]) returns boolean
language sql stable set search_path = '' as $$
  select bool_and(a.attname = any (p_columns)) from pg_attribute a where a.attrelid = p_relid and a.attnum = any (p_attnums)
$$;

create function m23.needs_parent(p_key pg_constraint, p_rows bigint) returns text
language sql stable set search_path = '' as $$
  select format('tables: %s row(s) of "%s" need rows of "%s" that do not exist; add "%3$s"', p_rows,
                m23.public_name(p_key.conrelid), m23.public_name(p_key.confrelid))
$$;

create function m23.leaves_child(p_key pg_constraint, p_rows bigint) returns text
language sql stable set search_path = '' as $$
  select format('tables: %s row(s) of "%s" refer to rows of "%s" that would not exist; %s', p_rows,
                m23.public_name(p_key.conrelid), m23.public_name(p_key.confrelid),
                case when exists (select from m23.protected_tables t where t.relid = p_key.conrelid)
                  then format('add "%s"', m23.public_name(p_key.conrelid)) else format('"%s" is not protected', m23.public_name(p_key.conrelid)) end)
$$;

-- What is about to vanish as the target of a foreign key, kept for check_children.
create function m23.note_vanishing(p_table m23.protected_tables, p_tenant uuid) returns void
language plpgsql set search_path = '' as $$
declare v_key record;
begin
  for v_key in select * from pg_constraint where contype = 'f' and confrelid = p_table.relid loop
    execute format('create temp table m23_gone_%s on commit drop as
        select distinct %s from %s l join %s d on %s where l.%I = %L and d.m23_op <> ''I''',
      v_key.oid, m23.columns_text(p_table.relid, v_key.confkey, 'l'), m23.qualified_name(p_table.relid), m23.diff_name(p_table),
      m23.key_match(p_table.relid, 'l', 'd'), m23.tenant_column(p_table), p_tenant);
  end loop;
end $$;

-- Rows of any table, of any tenant, that refer to what has vanished.
create function m23.check_children(p_table m23.protected_tables) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_key    pg_constraint;
  v_count  bigint;
  v_faults text[] := '{}';
begin
  for v_key in select * from pg_constraint where contype = 'f' and confrelid = p_table.relid loop
    execute format('select count(*) from %s c join pg_temp.m23_gone_%s g on (%s) = (%s)
                     where not exists (select from %s p where (%s) = (%s))',
      m23.qualified_name(v_key.conrelid), v_key.oid, m23.columns_text(v_key.conrelid, v_key.conkey, 'c'),
      m23.columns_text(p_table.relid, v_key.confkey, 'g'), m23.qualified_name(p_table.relid),
      m23.columns_text(p_table.relid, v_key.confkey, 'p'), m23.columns_text(v_key.conrelid, v_key.conkey, 'c')) into v_count;
    if v_count > 0 then v_faults := v_faults || m23.leaves_child(v_key, v_count); end if;
  end loop;
  return v_faults;
end $$;

-- Written rows whose parent does not exist; existing parents are locked against deletion.
create function m23.check_parents(p_table m23.protected_tables, p_columns text[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_key    pg_constraint;
  v_match  text;
  v_count  bigint;
  v_faults text[] := '{}';
begin
  for v_key in
    select k.* from pg_constraint k where k.contype = 'f' and k.conrelid = p_table.relid and m23.columns_planned(k.conrelid, k.conkey, p_columns)
  loop
    v_match := format('(%s) = (%s)', m23.columns_text(v_key.confrelid, v_key.confkey, 'p'), m23.columns_text(p_table.relid, v_key.conkey, 'd'));
    execute format('select count(*) from (select 1 from %1$s p where exists (select from %2$s d where d.m23_op <> ''D'' and %3$s)
                     for key share of p nowait) locked', m23.qualified_name(v_key.confrelid), m23.diff_name(p_table), v_match);
    execute format('select count(*) from %2$s d where d.m23_op <> ''D'' and row(%4$s) is not null
                     and not exists (select from %1$s p where %3$s)', m23.qualified_name(v_key.confrelid), m23.diff_name(p_table), v_match,
      m23.columns_text(p_table.relid, v_key.conkey, 'd')) into v_count;
    if v_count > 0 then v_faults := v_faults || m23.needs_parent(v_key, v_count); end if;
  end loop;
  return v_faults;
end $$;

-- The same, foreseen from the plan, before anything is written: what a dry run says, and
-- what spares a restore the writing.

-- The condition that a row `x` of a planned table goes (or stops being what it was).
create function m23.planned(p_targets m23.target[], p_relid oid) returns m23.target
language sql immutable set search_path = '' as $$ select t from unnest(p_targets) t where (t).tbl.relid = p_relid $$;

create function m23.foresee_parents(p_targets m23.target[], p_target m23.target, p_key pg_constraint) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_parent m23.target := m23.planned(p_targets, p_key.confrelid);
  v_match  text := format('(%s) = (%s)', m23.columns_text(p_key.confrelid, p_key.confkey, 'p'), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'));
  v_count  bigint;
begin
  execute format('select count(*) from %1$s d where d.m23_op <> ''D'' and row(%2$s) is not null
      and not exists (select from %3$s p where %4$s %5$s) %6$s',
    m23.diff_name(p_target.tbl), m23.columns_text(p_key.conrelid, p_key.conkey, 'd'), m23.qualified_name(p_key.confrelid), v_match,
    case when (v_parent.tbl).id is not null then format('and not exists (select from %s x where x.m23_op = ''D'' and %s)',
      m23.diff_name(v_parent.tbl), m23.key_match(p_key.confrelid, 'x', 'p')) end,
    case when (v_parent.tbl).id is not null then format('and not exists (select from %s p where p.m23_op <> ''D'' and %s)', m23.diff_name(v_parent.tbl), v_match) end)
    into v_count;
  return v_count;
end $$;

create function m23.foresee_children(p_targets m23.target[], p_target m23.target, p_key pg_constraint) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_child m23.target := m23.planned(p_targets, p_key.conrelid);
  v_gone  text := m23.columns_text(p_key.confrelid, p_key.confkey, 'g');
  v_count bigint;
begin
  execute format('select count(*) from %1$s c join %2$s g on (%3$s) = (%4$s) where g.m23_op = ''D'' %5$s
      and not exists (select from %2$s p where p.m23_op <> ''D'' and (%6$s) = (%4$s))',
    m23.qualified_name(p_key.conrelid), m23.diff_name(p_target.tbl), m23.columns_text(p_key.conrelid, p_key.conkey, 'c'), v_gone,
    case when (v_child.tbl).id is not null then format('and not exists (select from %s x where %s and (x.m23_op = ''D'' or (%s) is distinct from (%s)))',
      m23.diff_name(v_child.tbl), m23.key_match(p_key.conrelid, 'x', 'c'), m23.columns_text(p_key.conrelid, p_key.conkey, 'x'),
      m23.columns_text(p_key.conrelid, p_key.conkey, 'c')) end,
    m23.columns_text(p_key.confrelid, p_key.confkey, 'p')) into v_count;
  return v_count;
end $$;

-- The foreign keys that the plan would break, each as a fault that names what to add.
create function m23.foresee_references(p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_key    pg_constraint;
  v_plan   record;
  v_count  bigint;
  v_faults text[] := '{}';
begin
  foreach v_target in array p_targets loop
    select * into v_plan from pg_temp.m23_plan where table_id = (v_target.tbl).id;
    for v_key in select k.* from pg_constraint k where k.contype = 'f' and (k.conrelid = (v_target.tbl).relid or k.confrelid = (v_target.tbl).relid) loop
      if v_key.conrelid = (v_target.tbl).relid and v_plan.inserts + v_plan.updates > 0 and m23.columns_planned(v_key.conrelid, v_key.conkey, v_target.columns) then
        v_count := m23.foresee_parents(p_targets, v_target, v_key);
        if v_count > 0 then v_faults := v_faults || m23.needs_parent(v_key, v_count); end if;
      end if;
      if v_key.confrelid = (v_target.tbl).relid and v_plan.deletes > 0 and m23.columns_planned(v_key.confrelid, v_key.confkey, v_target.columns) then
        v_count := m23.foresee_children(p_targets, v_target, v_key);
        if v_count > 0 then v_faults := v_faults || m23.leaves_child(v_key, v_count); end if;
      end if;
    end loop;
  end loop;
  return v_faults;
end $$;

-- Deferrable constraints ---------------------------------------------------------------------
-- They are kept by triggers, which are silent too: no write has run into them.

create function m23.check_deferrable(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_constraint record;
  v_live       text := m23.qualified_name(p_table.relid);
  v_count      bigint;
begin
  perform m23.wait_out_writers(p_table.relid) where exists (select from pg_constraint where conrelid = p_table.relid and contype in ('p', 'u', 'x') and condeferrable);
  for v_constraint in
    select k.conname, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') as predicate,
           (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(i.indexrelid, n, true), n), ', ') from generate_series(1, i.indnkeyatts) n) as parts,
           (select string_agg(format('l.m23_e%1$s %2$s o.m23_e%1$s', n, coalesce((select format('operator(%s.%s)', o.oprnamespace::regnamespace, o.oprname)
              from pg_operator o where o.oid = k.conexclop[n]), '=')), ' and ') from generate_series(1, i.indnkeyatts) n) as collides
      from pg_constraint k join pg_index i on i.indexrelid = k.conindid
     where k.conrelid = p_table.relid and k.contype in ('p', 'u', 'x') and k.condeferrable
  loop
    execute format('with live as (select r.ctid as m23_place, r.*, %1$s from %2$s r where %3$s)
                    select count(*) from live l join %4$s d on %5$s and d.m23_op <> ''D'' join live o on o.m23_place <> l.m23_place and %6$s',
      v_constraint.parts, v_live, v_constraint.predicate, m23.diff_name(p_table), m23.key_match(p_table.relid, 'l', 'd'), v_constraint.collides) into v_count;
    if v_count > 0 then
      raise exception 'the restore would break "%"', v_constraint.conname
        using errcode = 'unique_violation', table = m23.public_name(p_table.relid), constraint = v_constraint.conname;
    end if;
  end loop;
end $$;

-- Afterwards ---------------------------------------------------------------------------------

-- Sequences are never left behind the rows that came back.
create function m23.advance_sequences(p_table m23.protected_tables) returns void
language plpgsql set search_path = '' as $$
declare
  v_owned record;
  v_top   numeric;
begin
  for v_owned in
    select distinct s.oid as sequence, a.attname, q.seqincrement, q.seqmax, q.seqmin
      from pg_attribute a
      join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
       and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      join pg_class s on s.oid = d.objid and s.relkind = 'S'
      join pg_sequence q on q.seqrelid = s.oid
     where a.attrelid = p_table.relid and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  loop
    execute format('select %s(%I) from %s', case when v_owned.seqincrement > 0 then 'max' else 'min' end, v_owned.attname,
                   m23.diff_name(p_table)) into v_top;
    if v_top between v_owned.seqmin and v_owned.seqmax then
      execute format('select setval(%L, %s(%s, last_value), is_called or %2$s(%3$s, last_value) <> last_value or last_value = %3$s) from %s',
        m23.qualified_name(v_owned.sequence), case when v_owned.seqincrement > 0 then 'greatest' else 'least' end, v_top,
        m23.qualified_name(v_owned.sequence));
    end if;
  end loop;
end $$;

-- The application's triggers and foreign-key actions are silent while a restore writes:
-- the rows that they made are among the rows that come back.
create function m23.silence_triggers() returns boolean
language plpgsql set search_path = '' as $$
begin
  perform set_config('session_replication_role', 'replica', true);
  return true;
exception when insufficient_privilege then
  return false;
end $$;

-- Triggers that fire all the same, or that cannot be silenced on this server.
create function m23.loud_triggers(p_table m23.protected_tables, p_silenced boolean) returns text[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(t.tgname::text order by t.tgname), '{}') from pg_trigger t
   where t.tgrelid = p_table.relid and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_'
     and case when p_silenced then t.tgenabled in ('A', 'R') else t.tgenabled in ('O', 'A') end
$$;

-- The whole of it ------------------------------------------------------------------------------

-- pg_temp.m23_plan: what the plan of each table came to.
create function m23.new_plan() returns void
language sql set search_path = '' as $$
  create temp table m23_plan (table_id int primary key, name text not null, left_alone bigint not null,
                              inserts bigint not null, updates bigint not null, deletes bigint not null, warnings text[] not null default '{}') on commit drop
$$;

-- The log of a tenant that was forgotten says nothing of earlier moments.
create function m23.refuse_forgotten(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql volatile set search_path = '' as $$
declare v_fault text := (select min(m23.tenant_fault(p_tenant, (t).moment)) from unnest(p_targets) t where ((t).moment).position is not null);
begin
  if v_fault is not null then
    perform m23.refuse('VALIDATION_FAILED', 'that moment cannot be gone back to', array['targetTimestamp: ' || v_fault]);
  end if;
end $$;

create function m23.plan_targets(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_left   bigint;
begin
  perform m23.refuse_forgotten(p_tenant, p_targets);
  perform m23.new_plan();
  foreach v_target in array p_targets loop
    perform m23.plan_table(v_target, p_tenant);
    v_left := m23.leave_claimed(v_target, p_tenant) + m23.leave_arrived(v_target, p_tenant);
    insert into pg_temp.m23_plan values ((v_target.tbl).id, m23.public_name((v_target.tbl).relid), v_left, 0, 0, 0, m23.shape_warnings(v_target));
  end loop;
  loop  -- until nothing more hangs on what was left
    v_left := 0;
    foreach v_target in array p_targets loop
      v_left := v_left + m23.note_left(v_target, m23.leave_orphans(v_target));
    end loop;
    exit when v_left = 0;
  end loop;
  foreach v_target in array p_targets loop
    update pg_temp.m23_plan p set inserts = c.inserts, updates = c.updates, deletes = c.deletes
      from m23.count_diff(v_target.tbl) c where p.table_id = (v_target.tbl).id;
  end loop;
end $$;

create function m23.note_left(p_target m23.target, p_left bigint) returns bigint
language plpgsql set search_path = '' as $$
begin
  update pg_temp.m23_plan set left_alone = left_alone + p_left where table_id = (p_target.tbl).id and p_left > 0;
  return p_left;
end $$;

-- What a plan comes to, for a caller.
create function m23.plan_report(p_warnings text[]) returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return (select jsonb_build_object(
      'stats', jsonb_build_object('totalOperations', coalesce(sum(inserts + updates + deletes), 0), 'insertCount', coalesce(sum(inserts), 0),
        'updateCount', coalesce(sum(updates), 0), 'deleteCount', coalesce(sum(deletes), 0),
        'affectedTables', coalesce(jsonb_agg(name order by name) filter (where inserts + updates + deletes > 0), '[]')),
      'warnings', to_jsonb(p_warnings || array(select w from pg_temp.m23_plan, unnest(warnings) w)) || coalesce(jsonb_agg(format('%s: %s row(s) were left alone: their key or a unique value belongs to another tenant, they came from one, or they need such a row', name, left_alone)
        order by name) filter (where left_alone > 0), '[]'))
    from pg_temp.m23_plan);
end $$;

-- What a plan is: the rows that it would write, and those that they would replace. Any
-- change of either makes it another plan.
create function m23.plan_hash(p_tenant uuid, p_targets m23.target[]) returns text
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_sum    text;
  v_all    text := '';
begin
  foreach v_target in array p_targets loop
    execute format('select concat_ws('':'', count(*), sum(hashtextextended(concat_ws(chr(30), m23_d::text, m23_l::text), 0)::numeric))
        from %s m23_d left join (select * from %s where %I = $1) m23_l on %s',
      m23.diff_name(v_target.tbl), m23.qualified_name((v_target.tbl).relid), m23.tenant_column(v_target.tbl),
      m23.key_match((v_target.tbl).relid, 'm23_l', 'm23_d')) into v_sum using p_tenant;
    v_all := concat_ws(chr(10), v_all, m23.public_name((v_target.tbl).relid), v_sum);
  end loop;
  return encode(sha256(convert_to(v_all, 'UTF8')), 'hex');
end $$;

-- Referenced tables before those that refer to them, as far as there is no cycle. Only a
-- server that does not let triggers be silenced needs the order.
create function m23.parents_first(p_targets m23.target[]) returns m23.target[]
language sql stable set search_path = '' as $$
  with recursive target as (select t, (t).tbl.relid as relid from unnest(p_targets) t),
    depth (relid, d) as (
      select relid, 0 from target
      union all
      select k.conrelid, d.d + 1 from depth d join pg_constraint k on k.contype = 'f' and k.confrelid = d.relid and k.conrelid <> k.confrelid
        join target on target.relid = k.conrelid
       where d.d < cardinality(p_targets))
  select array_agg(target.t order by deepest.d, target.relid)
    from target join (select relid, max(d) as d from depth group by relid) deepest using (relid)
$$;

create function m23.apply_targets(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_ordered m23.target[] := m23.parents_first(p_targets);
  v_target  m23.target;
begin
  foreach v_target in array v_ordered loop
    perform m23.lock_rows(v_target.tbl, p_tenant, format('(select * from %s where m23_op <> ''I'')', m23.diff_name(v_target.tbl)));
    perform m23.note_vanishing(v_target.tbl, p_tenant);
  end loop;
  for n in reverse cardinality(v_ordered)..1 loop
    perform m23.delete_diff((v_ordered[n]).tbl, p_tenant, 'D');
  end loop;
  foreach v_target in array v_ordered loop
    perform m23.apply_table(v_target, p_tenant);
  end loop;
end $$;

create function m23.check_targets(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_faults text[] := '{}';
  v_count  record;
begin
  foreach v_target in array p_targets loop
    v_faults := v_faults || m23.check_parents(v_target.tbl, v_target.columns) || m23.check_children(v_target.tbl);
    perform m23.check_deferrable(v_target.tbl);
  end loop;
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_faults);
  end if;
  foreach v_target in array p_targets loop
    perform m23.advance_sequences(v_target.tbl);
    execute format('drop table %s', m23.diff_name(v_target.tbl));
    perform m23.plan_table(v_target, p_tenant);
    select c.inserts + c.updates + c.deletes as rows, p.left_alone into v_count
      from m23.count_diff(v_target.tbl) c, pg_temp.m23_plan p where p.table_id = (v_target.tbl).id;
    if v_count.rows <> v_count.left_alone then
      raise exception 'after the restore % row(s) of % are not as they should be', v_count.rows, (v_target.tbl).relid::regclass;
    end if;
  end loop;
end $$;

-- Silences triggers. Where something will be written, those that cannot be silenced are
-- refused, and those that fire always are told of.
create function m23.check_triggers(p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_silenced boolean := m23.silence_triggers();
  v_target   m23.target;
  v_loud     text;
  v_said     text[] := '{}';
begin
  foreach v_target in array p_targets loop
    v_loud := nullif(array_to_string(m23.loud_triggers(v_target.tbl, v_silenced), ', '), '');
    if v_loud is not null and exists (select from pg_temp.m23_plan p where p.table_id = (v_target.tbl).id and p.inserts + p.updates + p.deletes > 0) then
      v_said := v_said || case
        when v_silenced then format('%s: the triggers %s are set to fire always, and fired', m23.public_name((v_target.tbl).relid), v_loud)
        else format('tables: "%s" has triggers (%s) that this server does not let M23 silence', m23.public_name((v_target.tbl).relid), v_loud) end;
    end if;
  end loop;
  if not v_silenced and cardinality(v_said) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the restore cannot be made as asked', v_said);
  end if;
  return v_said;
end $$;

-- A restore that somebody has cancelled goes no further. Read anew at every call: the wish
-- comes from another transaction.
create function m23.stop_if_cancelled(p_work uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if exists (select from m23.cancellations where work_id = p_work) then
    raise exception 'cancelled' using errcode = 'query_canceled';
  end if;
end $$;

create table m23.cancellations (
  work_id uuid primary key,
  by      uuid not null,
  at      timestamptz not null default clock_timestamp()
);
alter table m23.cancellations enable row level security;

-- Makes the targets what they should be. With a plan hash: only if that is still the plan.
-- Changed rows are few among many: the planner should think well of indexes.
-- Gives `{"stats", "warnings"}`.
create function m23.converge(p_tenant uuid, p_targets m23.target[], p_plan_hash text, p_work uuid) returns jsonb
language plpgsql set search_path = '' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = 1 set random_page_cost = 1.1 as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_warnings text[];
  v_faults   text[];
begin
  perform m23.plan_targets(p_tenant, p_targets);
  if p_plan_hash is not null then
    if p_plan_hash <> m23.plan_hash(p_tenant, p_targets) then
      perform m23.refuse('PLAN_CHANGED', 'the data has changed since the plan was made; look at a new plan first');
    end if;
  end if;
  v_faults := m23.foresee_references(p_targets);
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_faults);
  end if;
  v_warnings := m23.check_triggers(p_targets);
  perform m23.stop_if_cancelled(p_work);
  perform m23.apply_targets(p_tenant, p_targets);
  perform m23.check_targets(p_tenant, p_targets);
  -- Back again: foreign keys cascade by triggers, M23's own as well.
  perform set_config('session_replication_role', v_role, true) where v_role <> current_setting('session_replication_role');
  perform m23.run_after_restore(p_tenant);
  perform m23.stop_if_cancelled(p_work);
  return m23.plan_report(v_warnings);
end $$;

-- Notes which rows a plan would change, as pg_temp.m23_early_<id>, and takes the plan away.
-- Made without the fence, it may be wrong: it only says which rows are worth taking first.
create function m23.plan_early(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare v_target m23.target;
begin
  perform m23.plan_targets(p_tenant, p_targets);
  drop table pg_temp.m23_plan;
  foreach v_target in array p_targets loop
    execute format('drop table if exists pg_temp.m23_early_%1$s, pg_temp.m23_left_%1$s', (v_target.tbl).id);
    execute format('create temp table m23_early_%s on commit drop as select %s from %s d where m23_op <> ''I''', (v_target.tbl).id,
                   m23.key_list((v_target.tbl).relid, 'd'), m23.diff_name(v_target.tbl));
    execute format('drop table %s', m23.diff_name(v_target.tbl));
  end loop;
end $$;

create function m23.lock_early(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql set search_path = '' as $$
declare v_target m23.target;
begin
  foreach v_target in array p_targets loop
    perform m23.lock_rows(v_target.tbl, p_tenant, format('pg_temp.m23_early_%s', (v_target.tbl).id));
  end loop;
end $$;

-- Has the tenant to itself, or tries again: it waits for the fence while it holds
-- nothing, and once it holds the fence it waits for nobody. Rolling the attempt back
-- gives everything back, the fence too. After a first failure the rows are taken right
-- after the fence: while a plan is made, more writers could come to hold some.
create function m23.converge_fenced(p_tenant uuid, p_targets m23.target[], p_plan_hash text, p_snapshot uuid, p_work uuid) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_wait     int := m23.setting('restore_wait_seconds')::int;
  v_deadline timestamptz := clock_timestamp() + make_interval(secs => v_wait);
  v_again    boolean := false;
begin
  loop
    begin
      perform set_config('lock_timeout', v_wait || 's', true);
      if v_again then perform m23.plan_early(p_tenant, p_targets); end if;
      perform m23.take_fence(p_tenant);
      -- Long enough for the space that a busy table or log grows by, and shorter than the
      -- server takes to look for deadlocks: nobody else becomes a victim.
      perform set_config('lock_timeout', '200ms', true);
      if v_again then perform m23.lock_early(p_tenant, p_targets); end if;
      update public.pitr_snapshots set snapshot_data = m23.snapshot_here() where id = p_snapshot;
      return m23.converge(p_tenant, p_targets, p_plan_hash, p_work);
    exception when lock_not_available or deadlock_detected then
      if clock_timestamp() > v_deadline then
        perform m23.refuse('UNAVAILABLE', format('other transactions held rows of this tenant for %s seconds; nothing was changed, try again', v_wait));
      end if;
    end;
    v_again := true;
    perform m23.stop_if_cancelled(p_work);
    perform pg_sleep(0.02);
  end loop;
end $$;

-- What a snapshot keeps: this moment.
create function m23.snapshot_here() returns jsonb
language sql volatile set search_path = '' as $$
  select jsonb_build_object('position', m23.current_position()::text, 'incarnation', m23.incarnation(), 'taken_at', clock_timestamp())
$$;

revoke execute on all functions in schema m23 from public;
grant execute on function m23.caller_tenants(text[]), m23.caller_tenant(), m23.caller_membership(), m23.picked_tenant()
  to authenticated, service_role;
