-- Leaves the rows that an index does not take together with one that stays as it is. p_inserting: some are missing;
-- an update keeps its key.
create function m23.leave_claimed(p_target m23.target, p_tenant text, p_inserting boolean default true) returns bigint
language plpgsql as $$
declare
  v_index     pg_index;
  v_generated text := coalesce((m23.generated_columns(p_target)).list, '');
  v_stays     text[];
  v_left      bigint := 0;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where p_inserting or not m23.is_of_key(i) loop
    v_stays := m23.conditions_to_stay(p_target, p_tenant);  -- with what was left for the index before
    continue when v_stays = '{}';  -- a copy that holds rows of one tenant only
    v_left := v_left + m23.leave_alone(p_target, m23.fill($sql$d.m23_op <> 'D' and d.ctid in (
        select m.m23_row from (
          select r.m23_row, {parts} from (select r.ctid as m23_row, r.*{generated} from {diff} r) r
           where r.m23_op {ops} and {within} and {predicate}) m
          join ({standing}) o on {collide})$sql$,
      'parts', m23.index_parts(v_index), 'diff', m23.diff_name(p_target.tbl),
      'generated', v_generated, 'within', m23.partition_condition(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'standing', (select string_agg(m23.fill('select {parts} from {live} r where {stays} and {predicate}',
          'parts', m23.index_parts(v_index), 'live', m23.qualified_name(v_index.indrelid), 'stays', c,
          'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true')), ' union all ')
                      from unnest(v_stays) c),
      'collide', m23.collide(v_index, 'm', 'o'),
      'ops', case when m23.is_of_key(v_index) then '= ''I''' else '<> ''D''' end));
  end loop;
  return v_left;
end $$;
