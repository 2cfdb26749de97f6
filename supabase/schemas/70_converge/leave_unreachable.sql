-- Leaves what is out of reach of a moment because of partitions: rows that belong in one that was dropped since with
-- its rows, for their past is unknown, and rows that no partition takes any more. An archive knows the former.
create function m23.leave_unreachable(p_target m23.target, p_tenant text, out left_alone bigint, out warnings text[])
language plpgsql as $$
declare
  v_table    m23.protected_tables := p_target.tbl;
  v_logged   boolean := p_target.wanted is null or (p_target.moment).taken is not null;
  v_removed  m23.removed_partitions[];
  v_homeless bigint;
begin
  left_alone := 0;
  warnings := '{}';
  if not exists (select from pg_class where oid = v_table.relid and relkind = 'p') then return; end if;
  if v_logged then
    v_removed := array(select r from m23.removed_since(v_table, p_tenant, p_target.moment) r);
    if cardinality(v_removed) = 0 then return; end if;
    select coalesce(sum(m23.leave_alone(p_target, m23.lies_within(v_table, array[(r).bounds], 'd'))), 0) into left_alone
      from unnest(v_removed) r where r.lost;
    warnings := array(
      select lost || case when left_alone = 0 then ''
                          else format('; %s row(s) that belong there were left alone', left_alone) end
        from m23.lost_since(v_table, p_tenant, p_target.moment) lost where lost is not null);
  end if;
  v_homeless := m23.leave_alone(p_target, 'd.m23_op <> ''D'' and not ' || m23.lies_within(v_table,
    array(select m23.bounds_of(c.relid, v_table) from m23.captured_relations(v_table.relid) c where c.leaf), 'd'));
  left_alone := left_alone + v_homeless;
  warnings := warnings || array(select format('%s: %s row(s) were left alone: no partition takes them any more',
                                              m23.public_name(v_table.relid), v_homeless) where v_homeless > 0);
end $$;

-- The condition that a row lies within some bounds.
create function m23.lies_within(p_table m23.protected_tables, p_bounds m23.bounds[], p_row text) returns text
language plpgsql stable as $$
begin
  return (select format('(%s)', coalesce(string_agg(one.condition, ' or '), 'false'))
            from unnest(p_bounds) b cross join lateral (
    select format('(select %s from (select %s) m23_row)', coalesce(b.condition, 'true'),
                  string_agg(format('%s.%I as %I', p_row, a.attname, was.name), ', ')) as condition
      from rows from (unnest(b.attnums), unnest(b.names)) was (attnum, name)
      join pg_attribute a on a.attrelid = p_table.relid and a.attnum = was.attnum and not a.attisdropped) one);
end $$;
