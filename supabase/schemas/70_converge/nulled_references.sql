-- References that cannot come are set null, where the caller wants that (`onBlocked: 'null'`) and the table allows it.

-- Whether a column can never be null.
create function m23.is_never_null(p_column pg_attribute) returns boolean
language plpgsql stable as $$
begin
  return p_column.attnotnull
      or m23.type_with_nulls(p_column.attrelid, p_column.attnum) <> format_type(p_column.atttypid, -1);
end $$;

-- The assignments that set columns null.
create function m23.set_null(p_names text[]) returns text
language sql immutable as
$$ select string_agg(format('%I = null', c), ', ') from unnest(p_names) c $$;

-- The condition that the checks of a table take a planned row `d` with nulls in some columns, of the rows for which a
-- condition holds.
create function m23.takes_nulls(p_target m23.target, p_names text[], p_condition text) returns text
language plpgsql stable as $$
declare
  v_refused text := (select string_agg(format('not (%s)', pg_get_expr(k.conbin, k.conrelid)), ' or ')
                       from pg_constraint k
                      where k.conrelid = (p_target.tbl).relid and k.contype = 'c' and m23.is_enforced(k));
begin
  if v_refused is null then return 'true'; end if;
  return m23.fill($sql$d.ctid not in (
      select m23_new.m23_row
        from (select r.*{generated}
                from (select d.ctid as m23_row, {columns} from {diff} d where {condition}) r) m23_new
       where {refused})$sql$,
    'generated', coalesce((m23.generated_columns(p_target)).list, ''), 'diff', m23.diff_name(p_target.tbl),
    'columns', (select string_agg(format(case when c = any (p_names) then 'case when false then d.%1$I end as %1$I'
                                              else 'd.%I' end, c), ', ') from unnest(p_target.columns) c),
    'condition', p_condition, 'refused', v_refused);
end $$;

-- Takes rows out of the plan whose live row is as planned, now that a reference of theirs is null.
create function m23.drop_unchanged(p_target m23.target, p_tenant text, p_path text) returns void
language plpgsql as $$
declare
  v_table  m23.protected_tables := p_target.tbl;
  v_nulled text := 'pg_temp.m23_nulled_' || v_table.id;
begin
  perform m23.run(p_path, m23.fill($sql$
      delete from {diff} d using {live} l
       where d.m23_op = 'U' and {is_nulled} and {same_key} and {is_tenants} and not {differs}$sql$,
    'diff', m23.diff_name(v_table), 'live', m23.qualified_name(v_table.relid),
    'is_nulled', m23.key_in(v_table.relid, 'd', v_nulled), 'same_key', m23.key_match(v_table.relid, 'l', 'd'),
    'is_tenants', m23.is_tenants(v_table, 'l', quote_literal(p_tenant)),
    'differs', m23.differs(v_table, p_target.columns,
                           array(select format('d.%I', c) from unnest(p_target.columns) c))));
end $$;

-- Sets the same references null in a plan that was made anew.
create function m23.null_again(p_target m23.target, p_tenant text) returns void
language plpgsql as $$
declare
  v_nulled text := to_regclass('pg_temp.m23_nulled_' || (p_target.tbl).id);
  v_key    pg_constraint;
begin
  if v_nulled is null then return; end if;
  for v_key in
    execute format('select k.* from pg_constraint k where k.oid in (select m23_lacks from %s)', v_nulled)
  loop
    perform m23.run(p_target.path, m23.fill($sql$
        update {diff} d set {set} from {nulled} n where d.m23_op <> 'D' and n.m23_lacks = {lacks} and {same_key}$sql$,
      'diff', m23.diff_name(p_target.tbl), 'set', m23.set_null(m23.columns_to_null(p_target, v_key)),
      'nulled', v_nulled, 'lacks', v_key.oid::text, 'same_key', m23.key_match((p_target.tbl).relid, 'n', 'd')));
  end loop;
  perform m23.drop_unchanged(p_target, p_tenant, p_target.path);
end $$;

-- Forgets which references of a table's plan were set null.
create function m23.forget_nulled(p_table m23.protected_tables) returns void
language plpgsql as $$
declare v_nulled text := to_regclass('pg_temp.m23_nulled_' || p_table.id);
begin
  if v_nulled is not null then execute format('drop table %s', v_nulled); end if;
end $$;
