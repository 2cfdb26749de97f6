-- Converge: the one primitive behind every restore. It makes a tenant's tables what they
-- should be, and touches nothing else:
--
--   plan      the difference between what is and what should be
--   apply     only the difference, every write with the tenant in it
--   check     foreign keys in both directions, then that nothing differs any more

-- How a planned row `d` finds its live row `l`: by its place, which nobody can change under the
-- fence. Triggers that could not be silenced may have moved it; a partition's places are its own.
create function m23.live_match(p_table m23.protected_tables, p_quiet boolean) returns text
language plpgsql stable as $$
begin
  return (select case when p_quiet and c.relkind = 'r' then 'l.ctid = d.m23_place'
                      else m23.key_match(c.oid, 'l', 'd') end
            from pg_class c where c.oid = p_table.relid);
end $$;

-- How a row that may change is taken. Where others refer to it, whoever inserts one of them holds it
-- against deletion, and may wait for the fence: only what is to be deleted is taken from them, too.
create function m23.lock_to_change(p_table m23.protected_tables) returns text
language plpgsql stable as $$
begin
  return case when exists (select from pg_constraint where contype = 'f' and confrelid = p_table.relid)
                then 'no key update' else 'update' end;
end $$;

-- The rows to be changed are taken without waiting: a writer that holds one may itself
-- be waiting for the fence. p_rows is a relation that finds those of p_ops as p_match says. The plan of a
-- moment has taken its rows already, as rows that may change. Gives how many were there.
create function m23.lock_rows(
  p_target m23.target, p_tenant uuid, p_rows text, p_match text, p_ops "char"[], p_lock text
) returns bigint
language plpgsql as $$
begin
  return m23.number_of(p_target.path, format('
      select count(*) from (
        select 1 from %s d join %s l on %s where d.m23_op = any (%L) and %s for %s of l nowait) locked',
    p_rows, m23.qualified_name((p_target.tbl).relid), p_match, p_ops,
    m23.is_planned(p_target.tbl, p_tenant), p_lock));
end $$;

-- Whether nothing of the application's runs when rows are written: what a statement says that it
-- has written is then what was planned. Else each row is compared with the plan.
create function m23.writes_as_planned(p_table m23.protected_tables, p_quiet boolean) returns boolean
language plpgsql stable as $$
begin
  return p_quiet and not exists (select from m23.captured(p_table.relid) c join pg_rewrite r on r.ev_class = c.relid);
end $$;

-- Deletes the live rows of the plan with one operation; gives how many.
create function m23.delete_diff(p_target m23.target, p_tenant uuid, p_op "char", p_quiet boolean) returns bigint
language plpgsql as $$
begin
  return m23.run(p_target.path, format('delete from %s l using %s d where %s and %s and d.m23_op = %L',
    m23.qualified_name((p_target.tbl).relid), m23.diff_name(p_target.tbl), m23.live_match(p_target.tbl, p_quiet),
    m23.is_planned(p_target.tbl, p_tenant), p_op));
end $$;

-- The condition that a live row `l` is stored as planned in `d`.
create function m23.is_stored_as_planned(p_target m23.target) returns text
language plpgsql stable as $$
begin
  return (select format('not (%s)', concat_ws(' or ',
             string_agg(format('%s is distinct from %s', u.live, u.wanted), ' or ') filter (where u.by = 'value'),
             m23.images_differ(array_agg(u.live) filter (where u.by <> 'value'),
                               array_agg(u.wanted) filter (where u.by <> 'value'))))
            from m23.compared(p_target.tbl, p_target.columns,
                              array(select format('d.%I', c) from unnest(p_target.columns) c)) u);
end $$;

-- Writes all of a table's plan but its deletes; gives how many rows are known to be as planned.
create function m23.write_diff(p_target m23.target, p_tenant uuid, p_quiet boolean) returns bigint
language plpgsql as $$
declare
  v_has     record;
  v_written bigint := 0;
begin
  execute format($sql$
      select bool_or(m23_op = 'U') as updates, bool_or(m23_op = 'T') as takes,
             bool_or(m23_op = 'R') as exchanges, bool_or(m23_op in ('I', 'R')) as inserts from %s$sql$,
    m23.diff_name(p_target.tbl)) into v_has;
  if v_has.exchanges then v_written := m23.delete_diff(p_target, p_tenant, 'R', p_quiet); end if;
  if v_has.updates then v_written := v_written + m23.update_diff(p_target, p_tenant, 'U', p_quiet); end if;
  if v_has.takes then v_written := v_written + m23.update_diff(p_target, p_tenant, 'T', p_quiet); end if;
  if v_has.inserts then v_written := v_written + m23.insert_diff(p_target, p_tenant, p_quiet); end if;
  return v_written;
end $$;

-- A row that is taken back is deleted and inserted where it differs in a column that takes no UPDATE.
create function m23.exchange_fixed(p_target m23.target) returns void
language plpgsql as $$
declare v_differ text := m23.fixed_differ(p_target, 'd');
begin
  if v_differ is null or not m23.may_be_nobodys(p_target.tbl) then return; end if;
  perform m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'R' from {live} l where d.m23_op = 'T' and {same_key} and ({differ})$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'differ', v_differ));
end $$;

-- Referenced tables before those that refer to them, as far as there is no cycle. Only a
-- server that does not let triggers be silenced needs the order.
create function m23.parents_first(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return (with recursive target as (select t, (t).tbl.relid as relid from unnest(p_targets) t),
      depth (relid, d) as (
        select relid, 0 from target
        union all
        select k.conrelid, d.d + 1 from depth d
          join pg_constraint k on k.contype = 'f' and k.confrelid = d.relid and k.conrelid <> k.confrelid
          join target on target.relid = k.conrelid
         where d.d < cardinality(p_targets))
    select coalesce(array_agg(target.t order by deepest.d, target.relid), '{}')
      from target join (select relid, max(d) as d from depth group by relid) deepest using (relid));
end $$;

-- The targets whose plan is not empty.
create function m23.targets_with_changes(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return (select coalesce(array_agg(t), '{}') from unnest(p_targets) t
            join m23.plan p on p.table_id = (t).tbl.id and p.inserts + p.updates + p.deletes > 0);
end $$;

-- Whether a table is known to be as planned without a look at its rows: every planned row was written, and found stored
-- as it should be where triggers could have had a say, and nothing has been logged of the tenant's rows since the plan
-- but what that takes. Else some trigger has done more, or otherwise.
create function m23.is_as_written(p_table m23.protected_tables, p_tenant uuid, p_since pg_lsn) returns boolean
language plpgsql as $$
declare v_known boolean;
begin
  if to_regclass(m23.log_name(p_table.id)) is null then return false; end if;  -- a copy, whose changes nobody logs
  execute format('select p.written = d.changes and l.changes = d.changes from m23.plan p,
      (select count(*) + count(*) filter (where m23_op = ''R'') as changes from %s) d,
      (select count(*) as changes from %s log
        where tenant_id = $1 and xid = pg_current_xact_id() and change_id >= $2) l where p.table_id = $3',
    m23.diff_name(p_table), m23.log_of(p_table.id, p_tenant, pg_current_xact_id())) into v_known
    using p_tenant, p_since, p_table.id;
  return v_known;
end $$;

-- How many rows differ from what a target wants, but for those left alone; it is planned anew.
create function m23.differs_still(p_target m23.target, p_tenant uuid) returns bigint
language plpgsql as $$
declare v_rows bigint;
begin
  perform m23.plan_table(p_target, p_tenant);
  select c.inserts + c.updates + c.deletes - p.left_alone into v_rows
    from m23.count_diff(p_target.tbl) c, m23.plan p where p.table_id = (p_target.tbl).id;
  return v_rows;
end $$;

-- Fails where a target is not as it is wanted, but for the rows that were left alone.
create function m23.refuse_difference(p_target m23.target, p_tenant uuid) returns void
language plpgsql as $$
begin
  if m23.differs_still(p_target, p_tenant) <> 0 then
    raise exception 'after the restore some rows of % are not as they should be', (p_target.tbl).relid::regclass;
  end if;
end $$;

-- The targets among the chosen ones that were not planned, and that this transaction has written to all the same: by
-- triggers of the application, or rules.
create function m23.written_beside(p_tenant uuid, p_targets m23.target[], p_chosen m23.target[]) returns m23.target[]
language plpgsql as $$
declare
  v_others int[] := array(select (t).tbl.id from unnest(p_chosen) t except select (t).tbl.id from unnest(p_targets) t);
  v_logged int[] := m23.logged_tables(v_others, p_tenant, pg_current_xact_id());
begin
  return m23.complete_targets(array(select t from unnest(p_chosen) t where ((t).tbl).id = any (v_logged)));
end $$;

-- Makes the targets what they should be. With a plan hash: only if that is still the plan.
-- Changed rows are few among many: the planner should think well of indexes, and knows too little
-- of them to compile anything.
-- Gives `{"stats", "warnings"}`.
create function m23.converge(p_tenant uuid, p_targets m23.target[], p_plan_hash text, p_work uuid) returns jsonb
language plpgsql set random_page_cost = 1.1 set work_mem = '64MB' set jit = off as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_since    pg_lsn := pg_current_wal_insert_lsn();
  v_plan     record;
  v_targets  m23.target[];
  v_alone    boolean;
  v_quiet    boolean;
  v_warnings text[] := '{}';
begin
  v_plan := m23.plan_all(p_tenant, p_targets, p_lock => true);
  v_targets := v_plan.targets;
  v_alone := not m23.sets_off(v_targets);
  if p_plan_hash is not null then
    if p_plan_hash <> m23.plan_hash(p_tenant, v_targets) then
      perform m23.refuse('PLAN_CHANGED', 'the data has changed since the plan was made; look at a new plan first');
    end if;
  end if;
  if cardinality(v_plan.faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'this choice of tables would break foreign keys', v_plan.faults);
  end if;
  if not v_alone then
    v_warnings := m23.check_triggers(v_targets);
  end if;
  perform m23.stop_if_cancelled(p_work);
  v_quiet := v_alone or current_setting('session_replication_role') = 'replica' and cardinality(v_warnings) = 0;
  begin
    perform m23.apply_targets(p_tenant, v_targets, v_quiet);
    perform m23.check_targets(p_tenant, v_targets, p_targets, v_since, v_quiet);
  exception when data_exception or integrity_constraint_violation then
    perform m23.refuse_rows(m23.broken_rules(p_tenant, v_targets));
    raise;
  end;
  -- Back again: foreign keys cascade by triggers, M23's own as well.
  perform set_config('session_replication_role', v_role, true)
    where v_role <> current_setting('session_replication_role');
  perform m23.run_after_restore(p_tenant);
  perform m23.stop_if_cancelled(p_work);
  return m23.plan_report(v_warnings);
end $$;

-- Notes which rows a plan would change, as pg_temp.m23_early_<id>.
-- Made without the fence, it may be wrong: it only says which rows are worth taking first. Gives the targets that have
-- some.
create function m23.plan_early(p_tenant uuid, p_targets m23.target[]) returns m23.target[]
language plpgsql as $$
declare
  v_plan   record := m23.plan_targets(p_tenant, p_targets);
  v_target m23.target;
begin
  foreach v_target in array v_plan.targets loop
    execute format('drop table if exists pg_temp.m23_early_%s', (v_target.tbl).id);
    execute format('create temp table m23_early_%s on commit drop as select m23_op, %s from %s d where m23_op <> ''I''',
                   (v_target.tbl).id, m23.key_list((v_target.tbl).relid, 'd'), m23.diff_name(v_target.tbl));
  end loop;
  return v_plan.targets;
end $$;

-- Takes the rows that m23.plan_early has found, without waiting for any.
create function m23.lock_early(p_tenant uuid, p_targets m23.target[]) returns void
language plpgsql as $$
declare
  v_target m23.target;
  v_early  text;
  v_match  text;
begin
  foreach v_target in array p_targets loop
    v_early := 'pg_temp.m23_early_' || (v_target.tbl).id;
    v_match := m23.key_match((v_target.tbl).relid, 'l', 'd');
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{U,T}', m23.lock_to_change(v_target.tbl));
    perform m23.lock_rows(v_target, p_tenant, v_early, v_match, '{D,R}', 'update');
  end loop;
end $$;

-- What a snapshot keeps: this moment.
create function m23.snapshot_here() returns jsonb
language plpgsql volatile as $$
begin
  return jsonb_build_object('position', m23.current_position()::text, 'incarnation', m23.incarnation(),
                            'taken_at', clock_timestamp());
end $$;
