-- Unique indexes and exclusion constraints that planned rows would break among themselves, or with rows of the tenant
-- that stay as they are. Of the others' rows the plan has seen to already.
create function m23.repeated_values(p_target m23.target, p_tenant text) returns setof text
language plpgsql as $$
declare
  v_index pg_index;
  v_rows  bigint;
begin
  for v_index in select i.* from m23.colliding_indexes(p_target) i where not m23.is_of_key(i) order by i.indexrelid loop
    v_rows := m23.number_of(p_target.path, m23.fill($sql$
        with planned as (select m23_row, {parts} from {rows} r where {within} and {predicate})
        select count(distinct m23_row) from (
          select p.m23_row from planned p join planned o on o.m23_row <> p.m23_row and {collide}
          union all
          select p.m23_row from planned p
            join (select {parts} from {live} r
                   where {is_its} and not {is_planned} and {predicate}) o on {collide}) c$sql$,
      'parts', m23.index_parts(v_index), 'rows', m23.rows_to_write(p_target),
      'within', m23.partition_condition(v_index.indrelid),
      'predicate', coalesce(pg_get_expr(v_index.indpred, v_index.indrelid), 'true'),
      'live', m23.qualified_name(v_index.indrelid),
      'is_its', m23.belongs_to(p_target.tbl, 'r', quote_literal(p_tenant)),
      'is_planned', m23.key_in((p_target.tbl).relid, 'r', m23.diff_name(p_target.tbl)),
      'collide', m23.collide(v_index, 'p', 'o')));
    if v_rows > 0 then
      return next format('%s: %s row(s) would break "%s", which allows no two rows alike; '
                         'they can come back once it does',
                         m23.public_name((p_target.tbl).relid), v_rows,
                         (select c.relname from pg_class c where c.oid = v_index.indexrelid));
    end if;
  end loop;
end $$;
