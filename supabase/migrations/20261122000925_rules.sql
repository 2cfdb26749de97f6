-- The rules of a table, tried against planned rows before anything is written. A rule may be younger than the rows:
-- they fitted the rules of their time. A dry run says what the execution would run into, and an execution that has
-- run into something says what it was in the same words.

-- A relation with the planned rows as they would be written, generated columns with them.
create function m23.rows_to_write(p_target m23.target) returns text
language plpgsql stable set search_path = '' as $$
begin
  return format('(select planned.*%s from (select ctid as m23_row, * from %s where m23_op <> ''D'') planned)',
                (m23.generated_columns(p_target)).list, m23.diff_name(p_target.tbl));
end $$;

-- How many planned rows a condition finds.
create function m23.rows_where(p_target m23.target, p_condition text) returns bigint
language plpgsql set search_path = '' as $$
begin
  return m23.number_of(p_target.path, format('select count(*) from %s m23_new where %s',
                                             m23.rows_to_write(p_target), p_condition));
end $$;

-- Columns that must have a value, where planned rows have none.
create function m23.missing_values(p_target m23.target) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_column name;
  v_rows   bigint;
begin
  for v_column in
    select a.attname from pg_attribute a
     where a.attrelid = (p_target.tbl).relid and a.attnotnull and a.attname = any (p_target.columns) order by a.attnum
  loop
    v_rows := m23.rows_where(p_target, format('%I is null', v_column));
    if v_rows > 0 then
      return next format('%s.%I: %s row(s) have no value, and the column must have one now; the project''s '
                         'administrator can give it a default, or name a function that fills it', m23.public_name((p_target.tbl).relid),
                         v_column, v_rows);
    end if;
  end loop;
end $$;

-- Checks that planned rows do not pass.
create function m23.failed_checks(p_target m23.target) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_check record;
  v_rows  bigint;
begin
  for v_check in
    select k.conname, pg_get_expr(k.conbin, k.conrelid) as expression, pg_get_constraintdef(k.oid) as definition
      from pg_constraint k
     where k.conrelid = (p_target.tbl).relid and k.contype = 'c' and m23.is_enforced(k) order by k.conname
  loop
    v_rows := m23.rows_where(p_target, format('not (%s)', v_check.expression));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break the constraint "%s": %s; they can come back once it allows them',
                         m23.public_name((p_target.tbl).relid), v_rows, v_check.conname, v_check.definition);
    end if;
  end loop;
end $$;

-- Unique indexes and exclusion constraints that planned rows would break among themselves, or with rows of the tenant
-- that stay as they are. Of the others' rows the plan has seen to already.
create function m23.repeated_values(p_target m23.target, p_tenant uuid) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_index pg_index;
  v_rows  bigint;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where not i.indisprimary order by i.indexrelid loop
    v_rows := m23.number_of(p_target.path, m23.fill($sql$
        with planned as (select m23_row, {parts} from {rows} r where {within} and {predicate})
        select count(distinct m23_row) from (
          select p.m23_row from planned p join planned o on o.m23_row <> p.m23_row and {collide}
          union all
          select p.m23_row from planned p
            join (select {parts} from {live} r where r.{tenant} = {its_id} and not {is_planned} and {predicate}) o on {collide}) c$sql$,
      'parts', m23.index_parts(v_index), 'rows', m23.rows_to_write(p_target), 'within', m23.within(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'live', m23.qualified_name(v_index.indrelid), 'tenant', quote_ident(m23.tenant_column(p_target.tbl)),
      'its_id', quote_literal(p_tenant),
      'is_planned', m23.key_in((p_target.tbl).relid, 'r', m23.diff_name(p_target.tbl)),
      'collide', m23.collide(v_index, 'p', 'o')));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break "%s", which allows no two rows alike; they can come back once it does',
                         m23.public_name((p_target.tbl).relid), v_rows,
                         (select c.relname from pg_class c where c.oid = v_index.indexrelid));
    end if;
  end loop;
end $$;

-- The rules that the planned rows of all targets would break, one sentence each.
create function m23.broken_rules(p_tenant uuid, p_targets m23.target[]) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_target m23.target;
  v_said   text[] := '{}';
begin
  foreach v_target in array m23.changing(p_targets) loop
    v_said := v_said || array(select m23.missing_values(v_target)) || array(select m23.failed_checks(v_target))
                     || array(select m23.repeated_values(v_target, p_tenant));
  end loop;
  return v_said;
end $$;

-- Columns whose values of then do not fit their type of now: tried one by one, as an assignment would.
create function m23.unfit_columns(p_target m23.target, p_tenant uuid) returns setof text
language plpgsql set search_path = '' as $$
declare
  v_column m23.column_shape;
  v_why    text;
begin
  for v_column in select * from m23.columns_of((p_target.tbl).relid) c where not c.generated order by c.attnum loop
    v_why := m23.unfit_value(p_target, p_tenant, v_column);
    if v_why is not null then return next v_why; end if;
  end loop;
end $$;

-- What to say of values that a column's type does not take. p_then: the type that it had; p_message: what the server says.
create function m23.unfit_sentence(
  p_table m23.protected_tables, p_column m23.column_shape, p_then text, p_message text, p_constraint text default null)
returns text
language plpgsql stable set search_path = '' as $$
declare
  v_type text := (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = p_table.relid and a.attnum = p_column.attnum);
  v_more text[] := array_remove(array[
    nullif(p_constraint, ''),
    case when p_then <> p_column.type_name then format('it was %s then', p_then) end,
    'it has no value ' || substring(p_message from '^invalid input value for enum [^:]*: (".*")$')], null);
begin
  return format('%s.%I: values of then do not fit the type %s, as it is now%s; they can come back once it takes them',
                m23.public_name(p_table.relid), p_column.name, v_type,
                case when v_more <> '{}' then format(' (%s)', array_to_string(v_more, ', ')) end);
end $$;

-- The log is asked, or an archive's rows.
create function m23.unfit_value(p_target m23.target, p_tenant uuid, p_column m23.column_shape) returns text
language plpgsql set search_path = '' as $$
declare
  v_table      m23.protected_tables := p_target.tbl;
  v_values     text;
  v_constraint text;
begin
  v_values := case
    when p_target.wanted is not null and p_column.name <> all (p_target.columns) then null
    when p_target.wanted is not null then m23.fill('select w.{column} as v from ({rows}) w', 'column', quote_ident(p_column.name), 'rows', p_target.wanted)
    else m23.fill('select {value} as v from {log} l where l.tenant_id = $1 and {lies_after}',
      'value', m23.log_value(v_table, p_column),
      'log', m23.log_of(v_table.id, p_tenant, (p_target.moment).floor), 'lies_after', m23.lies_after('l.xid')) end;
  if v_values is null then return null; end if;
  execute format('create temp table m23_probe (value %s) on commit drop',
                 (select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                   where a.attrelid = v_table.relid and a.attnum = p_column.attnum));
  perform m23.run_at(p_target, p_tenant, m23.fill('insert into pg_temp.m23_probe select v.v from ({values}) v where v.v is not null',
                                                  'values', v_values));
  drop table pg_temp.m23_probe;
  return null;
exception when data_exception or check_violation or not_null_violation then
  get stacked diagnostics v_constraint = constraint_name;
  return m23.unfit_sentence(v_table, p_column,
    (select f.column_type from m23.log_columns f where f.table_id = v_table.id and f.attnum = p_column.attnum order by f.since limit 1),
    sqlerrm, v_constraint);
end $$;

-- What a refusal of rows is called, wherever it is said.
create function m23.rules_sentence() returns text
language sql immutable set search_path = '' as
$$ select 'the present rules of a table do not take the rows of then; nothing was changed' $$;

-- Refuses rows that the rules do not take, where it is known why.
create function m23.refuse_rows(p_said text[]) returns void
language plpgsql set search_path = '' as $$
begin
  if cardinality(p_said) > 0 then
    perform m23.refuse('CONFLICT', m23.rules_sentence(), p_said);
  end if;
end $$;

-- m23.plan_targets, which says in words where values do not fit.
create function m23.plan_all(
  p_tenant uuid, inout targets m23.target[], out faults text[], p_lock boolean default false
)
language plpgsql set search_path = '' as $$
declare v_plan record;
begin
  v_plan := m23.plan_targets(p_tenant, targets, p_lock);
  targets := v_plan.targets;
  faults := v_plan.faults;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(
    select m23.unfit_columns(t, p_tenant) from unnest(m23.complete(m23.with_entries(p_tenant, targets))) t));
  raise;
end $$;

-- Plans the targets whose values fit their types of now; the others are told of. Gives the foreign keys that this
-- choice of tables would break; not where some table is not among them.
create function m23.plan_fitting(p_tenant uuid, inout targets m23.target[], out faults text[], out unfit text[])
language plpgsql set search_path = '' as $$
declare
  v_plan  record;
  v_unfit int[];
  v_said  text[];
begin
  unfit := '{}';
  loop
    begin
      v_plan := m23.plan_targets(p_tenant, targets);
      targets := v_plan.targets;
      faults := case when unfit = '{}' then v_plan.faults else '{}' end;
      return;
    exception when data_exception or integrity_constraint_violation then
      select array_agg(((t).tbl).id) filter (where said <> '{}'), array_agg(s) into v_unfit, v_said
        from unnest(m23.complete(m23.with_entries(p_tenant, targets))) t,
             lateral (select array(select m23.unfit_columns(t, p_tenant)) offset 0) u (said)
        left join lateral unnest(u.said) s on true;
      if v_unfit is null then raise; end if;
    end;
    targets := array(select targets[n] from generate_subscripts(targets, 1) n
                      where ((targets[n]).tbl).id <> all (v_unfit) order by n);
    unfit := unfit || array_remove(v_said, null);
  end loop;
end $$;

-- A refusal as a caller would be told of it.
create function m23.refusal_told(p_code text, p_message text, p_details text[] default '{}') returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('code', p_code, 'error', upper(left(p_message, 1)) || substr(p_message, 2) || '.',
                            'details', to_jsonb(p_details))
$$;

-- Why an execution of what is planned would be refused, as `{"code", "error", "details"}`, null where it would not; and
-- what it would say of triggers.
create function m23.foresee(p_tenant uuid, p_targets m23.target[], p_unfit text[], out refusal jsonb, out warnings text[])
language plpgsql set search_path = '' as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_silenced boolean := true;
  v_rules    text[] := p_unfit || m23.broken_rules(p_tenant, p_targets);
begin
  warnings := '{}';
  if m23.sets_off(p_targets) then
    v_silenced := m23.silence_triggers();
    warnings := m23.trigger_sentences(p_targets, v_silenced);
    perform set_config('session_replication_role', v_role, true) where v_role <> current_setting('session_replication_role');
  end if;
  refusal := case
    when exists (select from m23.restore_work w where w.tenant_id = p_tenant and w.kind <> 'test' and not w.dry_run)
      then m23.refusal_told('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running')
    when not v_silenced and warnings <> '{}'
      then m23.refusal_told('VALIDATION_FAILED', 'the restore cannot be made as asked', warnings)
    when v_rules <> '{}'
      then m23.refusal_told('CONFLICT', m23.rules_sentence(), v_rules) end;
  if not v_silenced then warnings := '{}'; end if;
end $$;

select m23.close_functions();
