-- The plan of a table for an undo: the rows that are wanted against the live rows with their keys.
create function m23.plan_undo(p_target m23.target, p_tenant text, p_lock boolean) returns void
language plpgsql as $$
begin
  if to_regclass(m23.undo_name(p_target.tbl, 'lives')) is null then
    perform m23.work_out_lives(p_target, p_tenant);
  end if;
  perform m23.run_at(p_target, p_tenant, m23.undo_statement(p_target, p_lock));
  perform m23.run_at(p_target, p_tenant, m23.undo_deletes(p_target, p_lock));
end $$;

-- Columns of a row that is an array of texts, in their types, for a select list.
create function m23.typed_columns(p_target m23.target, p_row text, p_of_key boolean default false) returns text
language plpgsql stable as $$
begin
  return (select string_agg(format('((%s)[%s])::%s as %I', p_row, array_position(p_target.columns, c.name),
                                   m23.type_with_nulls((p_target.tbl).relid, c.attnum), c.name), ', ' order by c.attnum)
            from m23.columns_of((p_target.tbl).relid, p_of_key) c where c.name = any (p_target.columns));
end $$;

-- The tenant's live rows `l` with the keys of some rows; with p_lock they are taken as they are read, as
-- m23.plan_statement does.
create function m23.live_rows_of(p_target m23.target, p_rows text, p_lock boolean) returns text
language plpgsql stable as $$
begin
  return m23.fill(case when p_lock then $sql$lateral (
             select ctid as m23_place, r.* from {live} r where {is_its} and {same_key} for {lock} nowait) l on true$sql$
           else '(select ctid as m23_place, r.* from {live} r where {is_its}) l on {same_key}' end,
    'live', m23.qualified_name((p_target.tbl).relid), 'is_its', m23.is_tenants(p_target.tbl, 'r', '$1'),
    'same_key', m23.key_match((p_target.tbl).relid, p_rows, case when p_lock then 'r' else 'l' end),
    'lock', m23.lock_to_change(p_target.tbl));
end $$;

-- The statement that plans what is to be there, and is not so.
create function m23.undo_statement(p_target m23.target, p_lock boolean) returns text
language plpgsql volatile as $$
declare v_values text[] := m23.wanted_values(p_target);
begin
  return m23.fill($sql$insert into {diff}
      select case when l.m23_place is null then 'I' when {fixed_differ} then 'R' else 'U' end, l.m23_place, {values}
        from (select {wanted} from {lives} f
               where f.fell is null and f.want is not null and f.want is distinct from f.now) w
        left join {live_rows}
       where l.m23_place is null or {differs}$sql$,
    'diff', m23.diff_name(p_target.tbl), 'fixed_differ', coalesce(m23.fixed_differ(p_target, 'w'), 'false'),
    'values', array_to_string(v_values, ', '), 'wanted', m23.typed_columns(p_target, 'f.want'),
    'lives', m23.undo_name(p_target.tbl, 'lives'), 'live_rows', m23.live_rows_of(p_target, 'w', p_lock),
    'differs', m23.differs(p_target.tbl, p_target.columns, v_values));
end $$;

-- The statement that plans what is not to be there, and is.
create function m23.undo_deletes(p_target m23.target, p_lock boolean) returns text
language plpgsql volatile as $$
begin
  return m23.fill($sql$insert into {diff}
      select 'D', l.m23_place, {columns}
        from (select {keys} from {lives} f
               where f.now_key is not null and f.want_key is distinct from f.now_key
                 and not exists (select from {lives} o where o.want_key = f.now_key)) w
        join {live_rows}$sql$,
    'diff', m23.diff_name(p_target.tbl),
    'columns', (select string_agg(format('l.%I', c), ', ' order by n)
                  from unnest(p_target.columns) with ordinality u (c, n)),
    'keys', m23.typed_columns(p_target, 'f.now', true), 'lives', m23.undo_name(p_target.tbl, 'lives'),
    'live_rows', m23.live_rows_of(p_target, 'w', p_lock));
end $$;
