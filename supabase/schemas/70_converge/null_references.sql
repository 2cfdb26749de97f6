-- Sets a reference of planned rows null where a condition holds and the table's checks take it; gives of how many.
-- They are noted in pg_temp.m23_nulled_<id>.
create function m23.null_references(
  p_target m23.target, p_tenant text, p_key pg_constraint, p_condition text, p_path text
) returns bigint
language plpgsql as $$
declare
  v_id    int := (p_target.tbl).id;
  v_diff  text := m23.diff_name(p_target.tbl);
  v_names text[] := m23.columns_to_null(p_target, p_key);
  v_rows  bigint;
begin
  if v_names = '{}' then return 0; end if;
  execute format('create temp table if not exists m23_nulled_%s on commit drop as
      select %s, null::oid as m23_lacks from %s d where false', v_id, m23.key_list((p_target.tbl).relid, 'd'), v_diff);
  v_rows := m23.run(p_path, m23.fill($sql$
      with nulled as (update {diff} d set {set} where {condition} and {is_taken} returning {key})
      insert into pg_temp.m23_nulled_{id} select *, {lacks}::oid from nulled$sql$,
    'diff', v_diff, 'set', m23.set_null(v_names), 'condition', p_condition,
    'is_taken', m23.takes_nulls(p_target, v_names, p_condition), 'key', m23.key_list((p_target.tbl).relid, 'd'),
    'id', v_id::text, 'lacks', p_key.oid::text));
  if v_rows = 0 then return 0; end if;
  update m23.plan set nulled = nulled + v_rows where table_id = v_id;
  perform m23.drop_unchanged(p_target, p_tenant, p_path);
  return v_rows;
end $$;
