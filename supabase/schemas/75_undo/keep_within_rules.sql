-- Keeps an undo within what the database allows: a row that another stands in the way of stays as it is, as a whole.
-- What stays keeps its values and its key from others.

-- Lets go of rows that were left, and of those that a unique index would not take; gives how many.
create function m23.keep_within_rules(p_tenant text, p_targets m23.target[]) returns bigint
language plpgsql as $$
declare
  v_target m23.target;
  v_fell   bigint;
  v_all    bigint := 0;
begin
  foreach v_target in array p_targets loop
    continue when (v_target.undo).xids is null;
    v_fell := m23.note_left_lives(v_target) + m23.keep_unique(v_target, p_tenant);
    continue when v_fell = 0;
    v_all := v_all + v_fell + m23.keep_keys_apart(v_target);
    execute format('truncate %s', m23.diff_name(v_target.tbl));
    perform m23.plan_undo(v_target, p_tenant, false);
    perform m23.take_back(v_target);
  end loop;
  return v_all;
end $$;

-- Lets rows stay as they are whose planned rows `d` are among some; gives how many.
create function m23.let_stay(p_target m23.target, p_rows text, p_why text) returns bigint
language plpgsql as $$
begin
  return m23.number_of(p_target.path, m23.fill($sql$
    with those as materialized (select d.m23_op, d.m23_key, {why} as why from ({rows}) d),
         fell as (
      update {lives} l set want = l.now, want_key = l.now_key, fell = t.why
        from those t
       where l.fell is null and case t.m23_op when 'D' then l.now_key = t.m23_key else l.want_key = t.m23_key end
      returning 1)
    select count(*) from fell$sql$,
    'lives', m23.undo_name(p_target.tbl, 'lives'), 'rows', p_rows, 'why', p_why));
end $$;

-- The same for rows that were left alone, because of a reference, or for another tenant's sake.
create function m23.note_left_lives(p_target m23.target) returns bigint
language plpgsql as $$
declare v_left text := 'pg_temp.m23_left_' || (p_target.tbl).id;
begin
  if to_regclass(v_left) is null then return 0; end if;
  return m23.let_stay(p_target,
    format('select r.m23_op, %s as m23_key, r.m23_lacks from %s r', m23.row_texts(p_target, 'r', true), v_left),
    'case when d.m23_lacks is null then ''left'' else ''reference'' end');
end $$;

-- The same for rows that collide with one that stays, or with each other.
create function m23.keep_unique(p_target m23.target, p_tenant text) returns bigint
language plpgsql as $$
declare
  v_index pg_index;
  v_fell  bigint := 0;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where not m23.is_of_key(i) order by i.indexrelid loop
    v_fell := v_fell + m23.let_stay(p_target, m23.fill($sql$
      with planned as materialized (
        select r.m23_op, r.m23_row, {key} as m23_key, {parts} from {rows} r where {within} and {predicate})
      select p.m23_op, p.m23_key from planned p join planned o on o.m23_row <> p.m23_row and {collide}
      union
      select p.m23_op, p.m23_key from planned p
        join (select {parts} from {live} r where {is_its} and not {is_planned} and {predicate}) o on {collide}$sql$,
      'key', m23.row_texts(p_target, 'r', true), 'parts', m23.index_parts(v_index),
      'rows', m23.rows_to_write(p_target), 'within', m23.partition_condition(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'live', m23.qualified_name(v_index.indrelid),
      'is_its', m23.belongs_to(p_target.tbl, 'r', quote_literal(p_tenant)),
      'is_planned', m23.key_in((p_target.tbl).relid, 'r', m23.diff_name(p_target.tbl)),
      'collide', m23.collide(v_index, 'p', 'o')), quote_literal('unique'));
  end loop;
  return v_fell;
end $$;
