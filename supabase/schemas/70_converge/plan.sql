-- A plan: the difference between what a tenant's tables are and what they should be, in
-- pg_temp.m23_diff_<id>: m23_op I (missing), T (missing, and nobody's row has its key), U (differs),
-- D (should not be), R (differs, and is written as delete and insert), m23_place where the live row
-- lies, and the wanted row, or the live row of a D.

-- The temporary table with a table's plan, qualified.
create function m23.diff_name(p_table m23.protected_tables) returns text
language plpgsql immutable as $$ begin return 'pg_temp.m23_diff_' || p_table.id; end $$;

-- Executes a statement with the parameters of m23.touched_since, under the path of its table; gives how many rows it
-- took.
create function m23.run_at(p_target m23.target, p_tenant text, p_statement text) returns bigint
language plpgsql volatile as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_target.path, true);
  execute p_statement using p_tenant, p_target.moment, null::text[];
  get diagnostics v_rows = row_count;
  return v_rows;
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
  unreachable bigint not null default 0,  -- of those left alone, and told of by warnings of their own
  taken_back bigint not null default 0,  -- of the inserts
  blocked    bigint not null default 0,  -- of those left alone
  nulled     bigint not null default 0,  -- references that were set null
  primary key (backend, table_id),
  constraint no_negative_counts
    check (least(inserts, updates, deletes, left_alone, unreachable, taken_back, written, blocked, nulled) >= 0
           and unreachable + blocked <= left_alone)
);
select m23.close_table('m23.plans');

create view m23.plan with (security_invoker = true) as
  select table_id, name, left_alone, inserts, updates, deletes, warnings, written, unreachable, taken_back,
         blocked, nulled
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

-- What a plan is: the rows that it would write, those that they would replace, what was chosen, and what becomes of
-- blocked ones. Any change of these makes it another plan.
create function m23.plan_hash(p_tenant text, p_targets m23.target[], p_on_blocked text) returns text
language plpgsql as $$
declare
  v_ids  int[] := array(select (t).tbl.id from unnest(p_targets) t);
  v_sums text[] := array(select m23.digest_of(p_targets[n], p_tenant) from generate_subscripts(p_targets, 1) n
                          order by n);
begin
  return encode(sha256(convert_to(concat(nullif(p_on_blocked, 'refuse') || chr(10), (
    select string_agg((t).tbl.id || (t).selection::text || chr(10), '' order by (t).tbl.id) from unnest(p_targets) t),
    m23.conflict_digest(p_targets) || chr(10), (
    select string_agg(concat_ws(chr(10), p.name, coalesce(s.sum, '0')), chr(10) order by p.name collate "C")
      from m23.plan p left join unnest(v_ids, v_sums) s (id, sum) on s.id = p.table_id)), 'UTF8')), 'hex');
end $$;
