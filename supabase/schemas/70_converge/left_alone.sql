-- Rows that others stand in the way of are left alone: the plan lets go of them, and counts them.

-- Takes rows out of the plan into pg_temp.m23_left_<id>; gives how many. p_lacks: the foreign key that blocks them;
-- null where they stand back for another tenant, or are out of reach.
create function m23.leave_alone(
  p_target m23.target, p_condition text, p_path text default null, p_lacks oid default null
) returns bigint
language plpgsql as $$
declare
  v_id   int := (p_target.tbl).id;
  v_diff text := m23.diff_name(p_target.tbl);
begin
  execute format('create temp table if not exists m23_left_%s on commit drop as
      select *, null::oid as m23_lacks from %s where false', v_id, v_diff);
  return m23.run(coalesce(p_path, p_target.path), m23.fill($sql$
      with gone as (delete from {diff} d where {condition} returning d.*)
      insert into pg_temp.m23_left_{id} select *, {lacks}::oid from gone$sql$,
    'diff', v_diff, 'condition', p_condition, 'id', v_id::text, 'lacks', coalesce(p_lacks::text, 'null')));
end $$;

-- Adds to the rows of a table that were left alone; gives how many these are.
create function m23.note_left(p_target m23.target, p_left bigint) returns bigint
language plpgsql as $$
begin
  update m23.plan set left_alone = left_alone + p_left where table_id = (p_target.tbl).id and p_left > 0;
  return p_left;
end $$;

-- The conditions by any of which a live row `r` stays as it is: another tenant's, nobody's that is not taken back, and
-- what was left. Each is a list to be hashed, not a look for each row.
create function m23.conditions_to_stay(p_target m23.target, p_tenant text) returns text[]
language plpgsql stable as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_tenant text := case when not m23.has_no_tenants(v_table) then m23.row_tenant(v_table, 'r') end;
  v_left   text := to_regclass('pg_temp.m23_left_' || v_table.id);
begin
  return array_remove(array[
    case when v_tenant is not null
         then format('%s is distinct from %s and %1$s is not null', v_tenant,
                     m23.tenant_value(v_table, quote_literal(p_tenant))) end,
    case when m23.may_be_nobodys(v_table) then format('%s is null and not %s', v_tenant,
      m23.key_in(v_table.relid, 'r',
                 format('(select * from %s where m23_op in (''T'', ''R''))', m23.diff_name(v_table)))) end,
    case when v_left is not null then m23.key_in(v_table.relid, 'r', v_left) end], null);
end $$;

-- Leaves the rows whose values are kept by rows that were left, or that nulls make collide; gives how many.
create function m23.leave_dependent(p_tenant text, p_targets m23.target[]) returns bigint
language plpgsql as $$
declare
  v_target m23.target;
  v_left   bigint := 0;
begin
  for v_target in
    select t.* from unnest(p_targets) t join m23.plan p on p.table_id = (t.tbl).id and p.left_alone + p.nulled > 0
  loop
    v_left := v_left + m23.note_left(v_target, m23.leave_claimed(v_target, p_tenant));
  end loop;
  return v_left;
end $$;
