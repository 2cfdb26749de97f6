-- Related rows: those that come along with the chosen ones. Only rows that have changed can come, so that what leads
-- from one row to another is sought among planned rows: a list of edges over all foreign keys and paths of protection.
-- A row that has not changed is passed through, from changed children up to it.

-- What ties two of the targets: the child `n` refers to the parent `p`. Each is taken from a relation.
create type m23.row_tie as (
  child    m23.target,
  parent   m23.target,
  children oid,   -- where the children are: the table, or a partition of it
  parents  oid,
  refers   text   -- the condition
);

-- The ties among targets.
create function m23.ties_among(p_targets m23.target[]) returns setof m23.row_tie
language plpgsql stable rows 10 as $$
begin
  return query
    select c, m23.planned_target(p_targets, k.confrelid), k.conrelid, k.confrelid, m23.refers(k, 'p', 'n')
      from unnest(p_targets) c, m23.references_from((c).tbl.relid) k
     where ((m23.planned_target(p_targets, k.confrelid)).tbl).id is not null
    union all
    select c, p, (c).tbl.relid, (p).tbl.relid, m23.is_child_of((c).tbl, 'n', 'p')
      from unnest(p_targets) c join unnest(p_targets) p on ((p).tbl).id = ((c).tbl).parent_id;
end $$;

-- Picks the rows that a selection with withRelated takes, into pg_temp.m23_picked. p_chosen: the targets, and those
-- that there is nothing to do for.
create function m23.pick_related(p_tenant text, p_targets m23.target[], p_chosen m23.target[]) returns void
language plpgsql as $$
declare
  v_chosen  m23.target[] := m23.complete_targets(p_chosen);
  v_related text := (p_chosen[1]).selection ->> 'withRelated';
begin
  perform m23.make_pick_tables();
  perform m23.note_edges(p_tenant, p_targets, v_chosen, v_related <> 'parents');
  perform m23.note_selected(p_targets, v_chosen);
  if v_related <> 'parents' then
    insert into pg_temp.m23_reached
      with recursive reached (relid, place) as (
        select r.relid, r.place from pg_temp.m23_reached r
        union
        select e.child_relid, e.child_place from reached r
          join pg_temp.m23_edges e on e.parent_relid = r.relid and e.parent_place = r.place)
      select relid, place from reached except select relid, place from pg_temp.m23_reached;
  end if;
  perform m23.pick_reached(p_targets);
  if v_related <> 'children' then
    insert into pg_temp.m23_picked
      with recursive needed (relid, place) as (
        select p.relid, p.place from pg_temp.m23_picked p
        union
        select e.parent_relid, e.parent_place from needed n
          join pg_temp.m23_edges e on e.child_relid = n.relid and e.child_place = n.place
         where e.is_missing)
      select relid, place, 'parentOf' from (
        select relid, place from needed except select relid, place from pg_temp.m23_picked) n;
  end if;
  perform m23.refuse_too_many_related(p_targets);
  create index on pg_temp.m23_reached (relid, place);
  create index on pg_temp.m23_picked (relid, place);
  analyze pg_temp.m23_reached, pg_temp.m23_picked;
  perform m23.note_because(v_target) from unnest(p_targets) v_target;
end $$;

-- Makes the temporary tables of that: rows by relation and place, in a plan or live.
create function m23.make_pick_tables() returns void
language plpgsql as $$
declare v_table text;
begin
  foreach v_table in array '{m23_edges,m23_passed,m23_reached,m23_picked}'::text[] loop
    if to_regclass('pg_temp.' || v_table) is not null then execute format('drop table pg_temp.%I', v_table); end if;
  end loop;
  create temp table m23_edges (
    parent_relid oid, parent_place tid, parent_id int, parent_key jsonb,
    child_relid oid, child_place tid, child_id int, child_key jsonb,
    is_missing boolean  -- the parent is missing now, and the child comes back or stays
  ) on commit drop;
  create temp table m23_passed (relid oid, place tid, table_id int, step int, unique (relid, place)) on commit drop;
  create temp table m23_reached (relid oid, place tid) on commit drop;
  create temp table m23_picked (relid oid, place tid, because text) on commit drop;
end $$;

-- Notes what leads from one planned row to another; with p_pass through live rows, too.
create function m23.note_edges(p_tenant text, p_targets m23.target[], p_chosen m23.target[], p_pass boolean)
returns void
language plpgsql as $$
declare
  v_ties m23.row_tie[] := array(select t from m23.ties_among(p_chosen) t);
  v_tie  m23.row_tie;
  v_step int := 0;
begin
  perform m23.analyze_plan(t) from unnest(p_targets) t;
  foreach v_tie in array v_ties loop
    perform m23.tie_rows(v_tie, m23.planned_side(v_tie, p_targets, 'n'), m23.planned_side(v_tie, p_targets, 'p'), null);
  end loop;
  while p_pass loop
    foreach v_tie in array v_ties loop
      if v_step = 0 then
        perform m23.tie_rows(v_tie, m23.planned_side(v_tie, p_targets, 'n'),
                             m23.live_parents(v_tie, p_targets, p_tenant), v_step);
      else
        perform m23.tie_rows(v_tie, m23.passed_children(v_tie, v_step - 1), m23.planned_side(v_tie, p_targets, 'p'),
                             null);
        perform m23.tie_rows(v_tie, m23.passed_children(v_tie, v_step - 1),
                             m23.live_parents(v_tie, p_targets, p_tenant), v_step);
      end if;
    end loop;
    exit when not exists (select from pg_temp.m23_passed where step = v_step);
    analyze pg_temp.m23_passed;
    v_step := v_step + 1;
  end loop;
  create index on pg_temp.m23_edges (parent_relid, parent_place);
  create index on pg_temp.m23_edges (child_relid, child_place);
  analyze pg_temp.m23_edges;
end $$;

-- Tells the planner how much a plan has.
create function m23.analyze_plan(p_target m23.target) returns void
language plpgsql as $$ begin execute format('analyze %s', m23.diff_name(p_target.tbl)); end $$;

-- The planned rows of a tie's children (`n`) or parents (`p`), but for those that are excepted; null where the table is
-- not planned.
create function m23.planned_side(p_tie m23.row_tie, p_targets m23.target[], p_side text) returns text
language plpgsql stable as $$
declare
  v_target m23.target := case p_side when 'n' then p_tie.child else p_tie.parent end;
begin
  if not exists (select from unnest(p_targets) t where ((t).tbl).id = (v_target.tbl).id) then return null; end if;
  return m23.fill($sql$(select tableoid, ctid, r.* from {diff} r where {is_within} and not {is_excepted})$sql$,
    'diff', m23.diff_name(v_target.tbl),
    'is_within', m23.partition_condition(case p_side when 'n' then p_tie.children else p_tie.parents end),
    'is_excepted', m23.is_excepted(v_target, 'r'));
end $$;

-- The condition that a row is among those that are not to be chosen.
create function m23.is_excepted(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
begin
  return case when p_target.selection ? 'exceptRows' then m23.has_chosen_key(p_target, p_row, 'exceptRows')
              else 'false' end;
end $$;

-- The tenant's live rows that can be parents of a tie and are not planned.
create function m23.live_parents(p_tie m23.row_tie, p_targets m23.target[], p_tenant text) returns text
language plpgsql stable as $$
begin
  return m23.fill($sql$(
      select tableoid, ctid, null::"char" as m23_op, r.* from {live} r
       where {is_tenants} and not {is_excepted} and {is_unplanned})$sql$,
    'live', m23.qualified_name(p_tie.parents),
    'is_tenants', m23.is_tenants((p_tie.parent).tbl, 'r', quote_literal(p_tenant)),
    'is_excepted', m23.is_excepted(p_tie.parent, 'r'),
    'is_unplanned', case when m23.planned_side(p_tie, p_targets, 'p') is null then 'true'
      else format('not exists (select from %s x where %s)', m23.diff_name((p_tie.parent).tbl),
                  m23.key_match(((p_tie.parent).tbl).relid, 'x', 'r')) end);
end $$;

-- The live rows of a tie's children that were passed in a step.
create function m23.passed_children(p_tie m23.row_tie, p_step int) returns text
language plpgsql stable as $$
begin
  return m23.fill($sql$(
      select r.tableoid, r.ctid, null::"char" as m23_op, r.* from pg_temp.m23_passed x
        join {live} r on r.ctid = x.place and r.tableoid = x.relid where x.table_id = {id} and x.step = {step})$sql$,
    'live', m23.qualified_name(p_tie.children), 'id', ((p_tie.child).tbl).id::text, 'step', p_step::text);
end $$;

-- Notes the edges of a tie between rows of two relations; nothing where one is null. With a step the parents are live,
-- and noted as passed in it.
create function m23.tie_rows(p_tie m23.row_tie, p_children text, p_parents text, p_step int) returns void
language plpgsql as $$
declare v_path text := coalesce(nullif((p_tie.child).path, ''), (p_tie.parent).path);
begin
  if p_children is null or p_parents is null then return; end if;
  perform m23.run(v_path, m23.fill($sql$
      with edges as (
        insert into pg_temp.m23_edges
        select p.tableoid, p.ctid, {parent_id}, {parent_key}, n.tableoid, n.ctid, {child_id}, {child_key},
               n.m23_op is distinct from 'D' and coalesce(p.m23_op = 'I', false)
          from {children} n join {parents} p on {refers} returning parent_relid, parent_place)
      insert into pg_temp.m23_passed select distinct parent_relid, parent_place, {parent_id}, {step} from edges
       where {step} is not null on conflict do nothing$sql$,
    'parent_id', ((p_tie.parent).tbl).id::text, 'parent_key', m23.key_object(((p_tie.parent).tbl).relid, 'p'),
    'child_id', ((p_tie.child).tbl).id::text, 'child_key', m23.key_object(((p_tie.child).tbl).relid, 'n'),
    'children', p_children, 'parents', p_parents, 'refers', p_tie.refers,
    'step', coalesce(p_step::text, 'null') || '::int'));
end $$;

-- The key of a row as JSON.
create function m23.key_object(p_relid oid, p_row text) returns text
language plpgsql stable as $$
begin
  return (select format('pg_catalog.jsonb_build_object(%s)', string_agg(format('%L, %s.%I', k, p_row, k), ', '))
            from unnest(m23.key_of(p_relid)) k);
end $$;

-- Notes as reached what the selection is about: planned rows, and live ones that were passed.
create function m23.note_selected(p_targets m23.target[], p_chosen m23.target[]) returns void
language plpgsql as $$
declare v_target m23.target;
begin
  foreach v_target in array p_targets loop
    perform m23.run(v_target.path, format(
      'insert into pg_temp.m23_reached select d.tableoid, d.ctid from %s d where %s',
      m23.diff_name(v_target.tbl), m23.is_selected(v_target, 'd')));
    perform m23.run(v_target.path, format(
      'insert into pg_temp.m23_picked select d.tableoid, d.ctid, ''chosen'' from %s d where %s',
      m23.diff_name(v_target.tbl), m23.is_chosen(v_target, 'd')));
  end loop;
  foreach v_target in array p_chosen loop
    perform m23.run(v_target.path, m23.fill($sql$
        insert into pg_temp.m23_reached select r.tableoid, r.ctid from pg_temp.m23_passed x
          join {live} r on r.ctid = x.place and r.tableoid = x.relid where x.table_id = {id} and {is_selected}$sql$,
      'live', m23.qualified_name((v_target.tbl).relid), 'id', (v_target.tbl).id::text,
      'is_selected', m23.is_selected(v_target, 'r')));
  end loop;
  analyze pg_temp.m23_reached;
end $$;

-- Picks the planned rows that were reached, as far as the selection is about what has happened to them.
create function m23.pick_reached(p_targets m23.target[]) returns void
language plpgsql as $$
declare v_target m23.target;
begin
  foreach v_target in array p_targets loop
    perform m23.run('', m23.fill($sql$
        insert into pg_temp.m23_picked
        select d.tableoid, d.ctid, 'childOf' from {diff} d
         where (d.tableoid, d.ctid) in (select relid, place from pg_temp.m23_reached) and {is_asked_for}
           and (d.tableoid, d.ctid) not in (select relid, place from pg_temp.m23_picked)$sql$,
      'diff', m23.diff_name(v_target.tbl), 'is_asked_for', m23.is_asked_for(v_target, 'd')));
  end loop;
  analyze pg_temp.m23_picked;
end $$;

-- The condition that a planned row was picked.
create function m23.is_picked(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
begin
  return format('%s.ctid in (select place from pg_temp.m23_picked where relid = %s) and %s', p_row,
                to_regclass(m23.diff_name(p_target.tbl))::oid, m23.is_asked_for(p_target, p_row));
end $$;

-- Refuses a selection that too many rows come along with.
create function m23.refuse_too_many_related(p_targets m23.target[]) returns void
language plpgsql as $$
declare v_said text[];
begin
  if (select count(*) from pg_temp.m23_picked where because <> 'chosen') <= 100000 then return; end if;
  v_said := array(
    select format('withRelated: %s row(s) of "%s" would come along', c.rows, c.name)
      from (select m23.public_name((t).tbl.relid) as name, count(*) as rows
              from unnest(p_targets) t
              join pg_temp.m23_picked p on p.relid = to_regclass(m23.diff_name((t).tbl)) and p.because <> 'chosen'
             group by 1) c
     order by c.rows desc, c.name);
  perform m23.refuse('VALIDATION_FAILED',
    'more than 100,000 related rows would come along; choose fewer rows, or whole tables', v_said);
end $$;

-- Keeps for a preview why each related row of a table comes along, in pg_temp.m23_because_<id>.
create function m23.note_because(p_target m23.target) returns void
language plpgsql as $$
declare v_id int := (p_target.tbl).id;
begin
  perform m23.run(p_target.path, m23.fill($sql$
      create temp table m23_because_{id} on commit drop as
        select {key}, (
            select pg_catalog.jsonb_build_object(p.because, pg_catalog.jsonb_build_object(
                     'table', m23.public_name(t.relid), 'key', o.key))
              from (select e.parent_id, e.parent_key from pg_temp.m23_edges e
                      join pg_temp.m23_reached r on r.relid = e.parent_relid and r.place = e.parent_place
                     where p.because = 'childOf' and e.child_relid = p.relid and e.child_place = p.place
                    union all
                    select e.child_id, e.child_key from pg_temp.m23_edges e
                      join pg_temp.m23_picked c on c.relid = e.child_relid and c.place = e.child_place
                     where p.because = 'parentOf' and e.parent_relid = p.relid and e.parent_place = p.place
                       and e.is_missing) o (id, key)
              join m23.protected_tables t on t.id = o.id order by o.id, o.key limit 1) as m23_because
          from pg_temp.m23_picked p join {diff} d on d.ctid = p.place and d.tableoid = p.relid
         where p.because <> 'chosen';
      create index on pg_temp.m23_because_{id} ({names})$sql$,
    'id', v_id::text,
    'names', (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of((p_target.tbl).relid)) k),
    'key', m23.key_list((p_target.tbl).relid, 'd'), 'diff', m23.diff_name(p_target.tbl)));
end $$;

-- The reason that was kept for a planned row; null where it was chosen.
create function m23.because_of(p_target m23.target, p_row text) returns text
language plpgsql stable as $$
declare v_because text := to_regclass('pg_temp.m23_because_' || (p_target.tbl).id);
begin
  if v_because is null then return 'null::jsonb'; end if;
  return format('(select b.m23_because from %s b where %s limit 1)', v_because,
                m23.key_match((p_target.tbl).relid, 'b', p_row));
end $$;
