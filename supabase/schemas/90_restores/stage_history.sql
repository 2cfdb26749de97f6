-- The keys of these entries have no row any more, until the next rows bring one.
create function m23.stage_history(
  p_staged m23.staged_tables, p_table m23.protected_tables, p_then pg_snapshot, p_lines text, p_keep boolean)
returns bigint
language plpgsql as $$
declare
  v_list  text := (select string_agg(quote_ident(c), ', ') from unnest(p_staged.columns) c);
  v_skip  int := m23.fields_before(p_staged, p_lines, 'history');
  v_rows  bigint;
  v_gone  bigint;
begin
  execute format('create unique index if not exists s_%s_%s on %s (%s)', replace(p_staged.restore_id::text, '-', ''),
                 p_staged.ordinal, p_staged.staging,
                 (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_table.relid)) k));
  select taken, gone into v_rows, v_gone from m23.take_entries(m23.path_of(p_table.relid), format('
      with entries as materialized (select f[1]::"char" as m23_op, f[2]::bigint as m23_change_id, f[3]::xid8 as m23_xid,
                                           f[4]::timestamptz as m23_at, %7$s as m23_unchanged, %1$s from %2$s),
           gone as (delete from %3$s r using (select distinct %4$s from entries e) k where %5$s returning 1),
           kept as (%6$s)
      select (select count(*) from entries), (select count(*) from gone)',
    m23.line_values(p_staged, p_table, p_then, v_skip), m23.whole_lines(p_staged, v_skip), p_staged.staging,
    m23.key_list(p_table.relid, 'e'), m23.key_match(p_table.relid, 'k', 'r'),
    case when p_keep
         then format('insert into %s (m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s)
                select m23_op, m23_change_id, m23_xid, m23_at, m23_unchanged, %2$s from entries',
                     p_staged.history, v_list)
         else 'select' end,
    case v_skip when 4 then '0' else 'f[5]::int' end), p_lines);
  update m23.staged_tables set standing = standing - v_gone
   where restore_id = p_staged.restore_id and ordinal = p_staged.ordinal;
  return v_rows;
end $$;
