-- The rules of a table, tried against planned rows before anything is written. A rule may be younger than the rows:
-- they fitted the rules of their time. A dry run says what the execution would run into, and an execution that has
-- run into something says what it was in the same words.

-- A relation with the planned rows as they would be written, generated columns with them.
create function m23.rows_to_write(p_target m23.target) returns text
language plpgsql stable as $$
begin
  return format('(select planned.*%s from (select ctid as m23_row, * from %s where m23_op <> ''D'') planned)',
                (m23.generated_columns(p_target)).list, m23.diff_name(p_target.tbl));
end $$;

-- How many planned rows a condition finds.
create function m23.rows_where(p_target m23.target, p_condition text) returns bigint
language plpgsql as $$
begin
  return m23.number_of(p_target.path, format('select count(*) from %s m23_new where %s',
                                             m23.rows_to_write(p_target), p_condition));
end $$;

-- The rules that the planned rows of all targets would break, one sentence each.
create function m23.broken_rules(p_tenant text, p_targets m23.target[]) returns text[]
language plpgsql as $$
declare
  v_target m23.target;
  v_said   text[] := '{}';
begin
  foreach v_target in array m23.targets_with_changes(p_targets) loop
    v_said := v_said || array(select m23.missing_values(v_target)) || array(select m23.failed_checks(v_target))
                     || array(select m23.repeated_values(v_target, p_tenant));
  end loop;
  return v_said;
end $$;

-- Columns whose values of then do not fit their type of now: tried one by one, as an assignment would.
create function m23.unfit_columns(p_target m23.target, p_tenant text) returns setof text
language plpgsql as $$
declare
  v_column m23.column_shape;
  v_why    text;
begin
  for v_column in select * from m23.columns_of((p_target.tbl).relid) c where not c.generated order by c.attnum loop
    v_why := m23.unfit_value(p_target, p_tenant, v_column);
    if v_why is not null then return next v_why; end if;
  end loop;
end $$;

-- What a refusal of rows is called, wherever it is said.
create function m23.rules_sentence() returns text
language sql immutable as
$$ select 'the present rules of a table do not take the rows of then; nothing was changed' $$;

-- Refuses rows that the rules do not take, where it is known why.
create function m23.refuse_rows(p_said text[]) returns void
language plpgsql as $$
begin
  if cardinality(p_said) > 0 then
    perform m23.refuse('CONFLICT', m23.rules_sentence(), p_said);
  end if;
end $$;

-- m23.plan_targets, which says in words where values do not fit.
create function m23.plan_all(
  p_tenant text, inout targets m23.target[], p_on_blocked text, out faults text[], out blocked text[],
  p_lock boolean default false
)
language plpgsql as $$
declare v_plan record;
begin
  v_plan := m23.plan_targets(p_tenant, targets, p_on_blocked, p_lock);
  targets := v_plan.targets;
  faults := v_plan.faults;
  blocked := v_plan.blocked;
exception when data_exception or integrity_constraint_violation then
  perform m23.refuse_rows(array(
    select m23.unfit_columns(t, p_tenant) from unnest(m23.complete_targets(m23.with_entries(p_tenant, targets))) t));
  raise;
end $$;

-- A refusal as a caller would be told of it.
create function m23.refusal_told(p_code text, p_message text, p_details text[] default '{}') returns jsonb
language sql immutable as $$
  select jsonb_build_object('code', p_code, 'error', upper(left(p_message, 1)) || substr(p_message, 2) || '.',
                            'details', to_jsonb(p_details))
$$;
