-- Converge: the one primitive behind every restore. It makes a tenant's tables what they
-- should be, and touches nothing else:
--
--   plan      the difference between what is and what should be
--   apply     only the difference, every write with the tenant in it
--   check     foreign keys in both directions, then that nothing differs any more

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

-- The whole of it ------------------------------------------------------------------------------

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

select m23.close_functions();
