-- A plan: the difference between what a tenant's tables are and what they should be, in
-- pg_temp.m23_diff_<id>: m23_op I (missing), T (missing, and nobody's row has its key), U (differs),
-- D (should not be), R (differs, and is written as delete and insert), m23_place where the live row
-- lies, and the wanted row, or the live row of a D.

-- The temporary table with a table's plan, qualified.
create function m23.diff_name(p_table m23.protected_tables) returns text
language plpgsql immutable as $$ begin return 'pg_temp.m23_diff_' || p_table.id; end $$;

-- Two rows are compared by what is stored, not by what their types call equal: that would miss
-- 1.0 and 1.00, and some types have no equality.
create function m23.images_differ(p_these text[], p_those text[]) returns text
language plpgsql immutable strict as $$
begin
  return format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', array_to_string(p_these, ', '),
                array_to_string(p_those, ', '));
end $$;

-- The condition that a live row `l` is not the wanted one, given by one expression a column.
create function m23.differs(p_table m23.protected_tables, p_columns text[], p_wanted text[]) returns text
language plpgsql stable as $$
begin
  return (select '(' || concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'image'),
                               array_agg(u.wanted) filter (where u.by = 'image')),
             m23.images_differ(array_agg(u.live) filter (where u.by = 'text'),
                               array_agg(u.wanted) filter (where u.by = 'text'))
               || format(' and row(%s)::text <> row(%s)::text',
                         string_agg(u.live, ', ') filter (where u.by = 'text'),
                         string_agg(u.wanted, ', ') filter (where u.by = 'text'))) || ')'
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
language plpgsql stable as
$$ begin return array(select c.name from m23.columns_of(p_relid) c where not c.generated order by c.attnum); end $$;

-- A target, by its fields: what makes one names those that it has.
create function m23.new_target(
  p_table m23.protected_tables, p_moment m23.moment default null, p_wanted text default null,
  p_columns text[] default null, p_arrived text default null, p_path text default null, p_kept text[] default null
) returns m23.target
language plpgsql immutable as $$
declare v_target m23.target;
begin
  v_target.tbl := p_table;
  v_target.moment := p_moment;
  v_target.wanted := p_wanted;
  v_target.columns := p_columns;
  v_target.arrived := p_arrived;
  v_target.path := p_path;
  v_target.kept := p_kept;
  return v_target;
end $$;

-- A table that is to be as the log has it at a moment.
create function m23.logged_target(p_table m23.protected_tables, p_moment m23.moment) returns m23.target
language plpgsql stable as $$
begin
  return m23.new_target(p_table, p_moment,
    p_columns => m23.stored_columns(p_table.relid),
    p_path => m23.path_of(p_table.relid),
    p_kept => m23.newer_columns(p_table, p_moment));
end $$;

-- Chosen tables that come from the log are only named at first: most have nothing to do, and are never looked at. So it
-- is with these: what is missing is added.
create function m23.complete_targets(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return array(select case when (p_targets[n]).columns is null
                           then m23.logged_target((p_targets[n]).tbl, (p_targets[n]).moment) else p_targets[n] end
                 from generate_subscripts(p_targets, 1) n order by n);
end $$;

-- The targets that there can be something to do for: of those that come from the log, the ones that it has something
-- of.
create function m23.with_entries(p_tenant uuid, p_targets m23.target[]) returns m23.target[]
language plpgsql volatile as $$
declare
  v_from   xid8 := (select min(coalesce(((t).moment).floor, '0')) from unnest(p_targets) t where (t).wanted is null);
  v_logged int[] := array(select r.table_id from m23.removed_partitions r where r.xid >= v_from);
begin
  v_logged := v_logged || m23.logged_tables(
    array(select (t).tbl.id from unnest(p_targets) t where (t).wanted is null), p_tenant, v_from);
  return array(select p_targets[n] from generate_subscripts(p_targets, 1) n
                where (p_targets[n]).wanted is not null or ((p_targets[n]).tbl).id = any (v_logged) order by n);
end $$;

-- The columns that were added after a moment.
create function m23.newer_columns(p_table m23.protected_tables, p_moment m23.moment) returns text[]
language plpgsql stable as $$
declare v_newer text[];
begin
  if not exists (select from m23.log_columns l where l.table_id = p_table.id and l.since > '0/0') then
    return '{}';
  end if;
  execute m23.fill($sql$
      select array(select a.attname from pg_attribute a join m23.log_columns l on l.attnum = a.attnum
                    where a.attrelid = $2 and not a.attisdropped and l.table_id = $3 and l.since > '0/0'
                      and {lies_after}
                      and l.since = (select min(f.since) from m23.log_columns f
                                      where f.table_id = $3 and f.attnum = l.attnum)
                    order by a.attnum)$sql$, 'lies_after', m23.lies_after('l.since_xid', '$1'))
    into v_newer using p_moment, p_table.relid, p_table.id;
  return v_newer;
end $$;

-- A value in the length and precision of a column, as an assignment would make it; one that
-- does not fit stays as it is, for the assignment to refuse.
create function m23.fitted(p_value text, p_type oid, p_modifier int) returns text
language sql stable as $$
  select case
    when p_type = any (array['bit', 'varbit', 'bit[]', 'varbit[]', 'varchar[]', 'bpchar[]']::regtype[]::oid[])
      then p_value
    when p_type in ('varchar'::regtype, 'bpchar'::regtype)
      then format('case when length(%1$s) <= %2$s then (%1$s)::%3$s else %1$s end', p_value, p_modifier - 4,
                  format_type(p_type, p_modifier))
    else format('(%s)::%s', p_value, format_type(p_type, p_modifier)) end
$$;

-- The expression of a live row's column where there is such a row, else another. p_is_live: the condition; null, if
-- there is never one.
create function m23.if_live(p_is_live text, p_column text, p_else text) returns text
language plpgsql immutable as $$
begin
  return case when p_is_live is null then p_else
              else format('case when %s then l.%I else %s end', p_is_live, p_column, p_else) end;
end $$;

-- Executes a statement with the parameters of m23.touched_since, under the path of its table; gives how many rows it
-- took.
create function m23.run_at(p_target m23.target, p_tenant uuid, p_statement text) returns bigint
language plpgsql volatile as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[];
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;

-- The condition that a live row `l` differs from another in a column that takes no UPDATE; null where there is none.
create function m23.fixed_differ(p_target m23.target, p_other text) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('l.%1$I is distinct from %2$s.%1$I', c.name, p_other), ' or ')
            from m23.columns_of((p_target.tbl).relid) c
           where c.identity = 'a' and c.name = any (p_target.columns) and c.name <> all (p_target.kept)
             and c.key_ord is null);
end $$;

-- How many rows a table's plan inserts, updates and deletes; taken_back are among the inserts.
create function m23.count_diff(
  p_table m23.protected_tables, out inserts bigint, out updates bigint, out deletes bigint, out taken_back bigint
)
language plpgsql as $$
begin
  execute format($sql$
      select count(*) filter (where m23_op in ('I', 'T')), count(*) filter (where m23_op in ('U', 'R')),
             count(*) filter (where m23_op = 'D'), count(*) filter (where m23_op = 'T') from %s$sql$,
    m23.diff_name(p_table)) into inserts, updates, deletes, taken_back;
end $$;

-- Takes the plan of a table away, where the transaction has made one.
create function m23.drop_plan(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_name text;
begin
  foreach v_name in array array[m23.diff_name(p_table), 'pg_temp.m23_left_' || p_table.id] loop
    if to_regclass(v_name) is not null then execute format('drop table %s', v_name); end if;
  end loop;
end $$;

-- Rows that others stand in the way of -------------------------------------------------

-- Takes rows out of the plan into pg_temp.m23_left_<id>; gives how many.
create function m23.leave_alone(p_target m23.target, p_condition text, p_path text default null) returns bigint
language plpgsql as $$
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
language plpgsql stable as $$
begin
  return (select not a.attnotnull or exists (
             select from pg_constraint k  -- NOT NULL that is NOT VALID
              where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum])
            from pg_attribute a where a.attrelid = p_table.relid and a.attnum = p_table.tenant_attnum);
end $$;

-- The condition that a row is nobody's, said so that no index serves it, as m23.is_tenants().
create function m23.is_nobodys(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as
$$ begin return format('greatest(%s.%I) is null', p_row, m23.tenant_column(p_table)); end $$;

-- The condition that a live row `l` is the one that a planned row `d` writes over or deletes: the tenant's, or nobody's
-- that is taken back. Where values are exchanged, that is an R by then.
create function m23.is_planned(p_table m23.protected_tables, p_tenant uuid) returns text
language plpgsql stable as $$
declare v_tenants text := m23.is_tenants(p_table, 'l', quote_literal(p_tenant));
begin
  return case when not m23.may_be_nobodys(p_table) then v_tenants
              else format('(%s or d.m23_op in (''T'', ''R'') and %s)', v_tenants, m23.is_nobodys(p_table, 'l')) end;
end $$;

-- Takes nobody's rows that have the keys of missing ones for those: they are written over, their tenant too.
create function m23.take_back(p_target m23.target) returns bigint
language plpgsql as $$
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
language plpgsql stable as $$
begin
  select array_agg(a.attname::text),
         string_agg(format(', (%s)::%s as %I', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod),
                           a.attname), '')
    into names, list
    from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = (p_target.tbl).relid and a.attgenerated <> '' and not exists (
     select from pg_depend x join pg_attribute b on b.attrelid = a.attrelid and b.attnum = x.refobjsubid
      where x.classid = 'pg_attrdef'::regclass and x.objid = d.oid and x.refclassid = 'pg_class'::regclass
        and x.refobjid = a.attrelid and b.attnum <> a.attnum and b.attname <> all (p_target.columns));
end $$;

-- What an index holds of a row, the only one in sight.
create function m23.index_parts(p_index pg_index) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('(%s) as m23_e%s', pg_get_indexdef(p_index.indexrelid, n, true), n), ', ' order by n)
            from generate_series(1, p_index.indnkeyatts) n);
end $$;

-- The conditions by any of which a live row `r` stays as it is: another tenant's, nobody's that is not taken back, and
-- what was left. Each is a list to be hashed, not a look for each row.
create function m23.conditions_to_stay(p_target m23.target, p_tenant uuid) returns text[]
language plpgsql stable as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_tenant text := quote_ident(m23.tenant_column(v_table));
  v_left   text := to_regclass('pg_temp.m23_left_' || v_table.id);
begin
  return array_remove(array[
    format('r.%s <> %L', v_tenant, p_tenant),
    case when m23.may_be_nobodys(v_table) then format('r.%s is null and not %s', v_tenant,
      m23.key_in(v_table.relid, 'r',
                 format('(select * from %s where m23_op in (''T'', ''R''))', m23.diff_name(v_table)))) end,
    case when v_left is not null then m23.key_in(v_table.relid, 'r', v_left) end], null);
end $$;

-- The keys that an update has brought to a tenant from another, in the log's entries `l` from a transaction on for
-- which a condition holds.
create function m23.arrived_keys(
  p_table m23.protected_tables, p_tenant uuid, p_from xid8, p_later text, p_held boolean default true
) returns text
language sql volatile as $$
  select format('select %s from %s l where l.tenant_id = %L and l.op = ''a'' and %s',
                string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord),
                m23.log_of(p_table.id, p_tenant, p_from, p_held), p_tenant, p_later)
    from m23.columns_of(p_table.relid, p_of_key => true) c
$$;

-- Leaves live rows that came from another tenant after the moment: they are not this
-- restore's to delete.
create function m23.leave_arrived(p_target m23.target, p_tenant uuid) returns bigint
language plpgsql as $$
declare
  v_later text := m23.lies_after('l.xid', format('%L::m23.moment', p_target.moment));
begin
  if p_target.arrived is null and (p_target.moment).position is null then return 0; end if;
  return m23.leave_alone(p_target, 'd.m23_op = ''D'' and ' || m23.key_in((p_target.tbl).relid, 'd',
                   format('(%s)', coalesce(p_target.arrived,
                                           m23.arrived_keys(p_target.tbl, p_tenant, (p_target.moment).floor,
                                                            v_later)))));
end $$;

-- The condition that a row lies within some bounds.
create function m23.lies_within(p_table m23.protected_tables, p_bounds m23.bounds[], p_row text) returns text
language plpgsql stable as $$
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
language plpgsql volatile as $$
begin
  return case when p_target.arrived is null or p_deletes = 0
                or (p_target.moment).position is not null
                 and pg_visible_in_snapshot((p_target.tbl).xid, (p_target.moment).position) then '{}'
    else array[format('%s: the history before %s is missing; '
                      'whether rows that are deleted had come from another tenant before is not known',
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

-- Forgets the plan of this backend.
create function m23.end_plan() returns void
language plpgsql volatile as $$ begin delete from m23.plan; end $$;

-- Notes chosen tables that there is nothing to do for.
create function m23.plan_nothing(p_chosen m23.target[], p_planned int[]) returns void
language plpgsql as $$
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

-- Leaves the rows whose values are kept by rows that were left; gives how many.
create function m23.leave_dependent(p_tenant uuid, p_targets m23.target[]) returns bigint
language plpgsql as $$
declare
  v_target m23.target;
  v_left   bigint := 0;
begin
  for v_target in
    select t.* from unnest(p_targets) t join m23.plan p on p.table_id = (t.tbl).id and p.left_alone > 0
  loop
    v_left := v_left + m23.note_left(v_target, m23.leave_claimed(v_target, p_tenant));
  end loop;
  return v_left;
end $$;

-- Adds to the rows of a table that were left alone; gives how many these are.
create function m23.note_left(p_target m23.target, p_left bigint) returns bigint
language plpgsql as $$
begin
  update m23.plan set left_alone = left_alone + p_left where table_id = (p_target.tbl).id and p_left > 0;
  return p_left;
end $$;

-- What a plan is: the rows that it would write, and those that they would replace. Any
-- change of either makes it another plan.
create function m23.plan_hash(p_tenant uuid, p_targets m23.target[]) returns text
language plpgsql as $$
declare
  v_ids  int[] := array(select (t).tbl.id from unnest(p_targets) t);
  v_sums text[] := array(select m23.digest_of(p_targets[n], p_tenant) from generate_subscripts(p_targets, 1) n
                          order by n);
begin
  return encode(sha256(convert_to(coalesce((
    select string_agg(concat_ws(chr(10), p.name, coalesce(s.sum, '0')), chr(10) order by p.name collate "C")
      from m23.plan p left join unnest(v_ids, v_sums) s (id, sum) on s.id = p.table_id), ''), 'UTF8')), 'hex');
end $$;
