-- Changes as they are told: each entry of the log with the row before it and after it. What a row was after a change is
-- its next image or, if there is none, the live row.

-- Which entries: null for all. `id` is a change id as a number.
create type m23.pick as (
  xid xid8, key jsonb, op "char", since timestamptz, until timestamptz, from_xid xid8, from_id numeric, before_xid xid8,
  before_id numeric, filter jsonb, most int
);

-- A change as it is told.
create type m23.told_change as (
  table_name text, id bigint, transaction_id xid8, at timestamptz, actor uuid, operation text, row_key jsonb,
  changed_columns text[], old_values jsonb, new_values jsonb, source text, request_id text
);

-- No transaction below it has changed a row after a transaction of this number began.
create function m23.floor_of(p_xid xid8) returns xid8
language plpgsql stable as $$
begin
  return coalesce((select pg_snapshot_xmin(t.position) from m23.ticks t
                    where t.incarnation = (select m23.present_life()) and pg_snapshot_xmax(t.position) <= p_xid
                    order by pg_snapshot_xmax(t.position) desc, t.at desc limit 1), '0');
end $$;

-- The condition that an entry `l` is picked, by $2.
create function m23.pick_condition(p_table m23.protected_tables, p_pick m23.pick, p_shown boolean) returns text
language plpgsql stable as $$
begin
  return concat(
    format('l.tenant_id = %s and (l.op <> ''a'' or l.xid >= %L)', m23.tenant_value(p_table, '$1'),
           p_table.pruned_below),
    case when p_pick.xid is not null then ' and l.xid = ($2).xid' end,
    case when p_pick.key is not null then ' and ' || m23.has_key(p_table, '($2).key') end,
    case when p_pick.from_xid is not null then
      ' and (l.xid, l.change_id) >= (($2).from_xid, ''0/0''::pg_lsn + coalesce(($2).from_id, 0))' end,
    case when p_pick.before_xid is not null then
      ' and (l.xid, l.change_id) < (($2).before_xid, ''0/0''::pg_lsn + ($2).before_id)'
         when p_pick.before_id is not null then ' and l.change_id < ''0/0''::pg_lsn + ($2).before_id' end,
    case when p_pick.op is not null then ' and l.op = ($2).op' end,
    case when p_pick.since is not null then format(' and %s >= ($2).since', m23.committed_at()) end,
    case when p_pick.until is not null then format(' and %s < ($2).until', m23.committed_at()) end,
    case when p_pick.filter is not null then
      ' and l.op in (''U'', ''D'')'
      || case when p_shown then '' else ' and ' || m23.image_passes(p_table, p_pick.filter) end end);
end $$;

-- A change as the walk below reads it.
create function m23.told(p_table text, p_entry record, p_before jsonb, p_after jsonb) returns m23.told_change
language plpgsql stable as $$
declare v_told m23.told_change;
begin
  v_told.table_name := p_table;
  v_told.id := p_entry.id;
  v_told.transaction_id := p_entry.xid;
  v_told.at := p_entry.at;
  v_told.actor := p_entry.actor;
  v_told.operation := (select o.name from m23.operations() o where o.op = p_entry.op);
  v_told.source := p_entry.source;
  v_told.request_id := p_entry.request;
  v_told.row_key := m23.double_safe(p_entry.row_key);
  v_told.old_values := m23.double_safe(p_before);
  v_told.new_values := m23.double_safe(p_after);
  -- Of an update after which the row has another key or tenant, only the row before is known here.
  v_told.changed_columns := case when coalesce(p_before, p_after) is not null
                                      and (p_entry.op <> 'U' or p_after is not null)
                                 then m23.differing_columns(p_before, p_after) end;
  return v_told;
end $$;

-- The columns that two rows have different values in: all, if one of the rows is not there. Numbers by how they are
-- written: 1.0 and 1.00 differ.
create function m23.differing_columns(p_before jsonb, p_after jsonb) returns text[]
language plpgsql immutable as $$
begin
  return array(select coalesce(b.key, a.key)
                 from jsonb_each(coalesce(p_before, '{}')) b full join jsonb_each(coalesce(p_after, '{}')) a using (key)
                where b.value::text is distinct from a.value::text order by 1);
end $$;

-- Changes of a table, newest first by their transactions or, for one row or transaction, by their order. Each key's
-- entries are walked from the live row backwards. A row that has another key or tenant from a change on is not looked
-- for there.
create function m23.walked_changes(p_table m23.protected_tables, p_tenant text, p_pick m23.pick, p_shown boolean)
returns setof m23.told_change
language plpgsql stable as $$
declare
  v_query text := m23.changes_query(p_table, p_tenant, p_pick, p_shown);
  v_path  text := m23.path_of(p_table.relid);
  v_name  text := m23.public_name(p_table.relid);
  v_entry record;
  v_key   bigint;
  v_row   jsonb;
  v_after jsonb;
begin
  perform set_config('search_path', v_path, true);
  for v_entry in execute v_query using p_tenant, p_pick loop
    if v_entry.key_no is distinct from v_key then
      v_key := v_entry.key_no;
      v_row := v_entry.live;
    end if;
    v_after := case when v_entry.op in ('U', 'I', 'n', 'a') then v_row end;
    v_row := v_entry.image || coalesce((select jsonb_object_agg(m, v_row -> m) from unnest(v_entry.missing) m
                                         where v_row ? m), '{}');
    if v_entry.picked then return next m23.told(v_name, v_entry, v_row, v_after); end if;
  end loop;
end $$;

-- The same, whatever has become of the table's types since: a value that does not fit its column any more is told as
-- it was logged. What was opened is let go of, for there may be hundreds of tables.
create function m23.told_changes(p_table m23.protected_tables, p_tenant text, p_pick m23.pick)
returns setof m23.told_change
language plpgsql stable as $$
declare v_told m23.told_change[];
begin
  begin
    begin
      v_told := array(select c from m23.walked_changes(p_table, p_tenant, p_pick, false) c);
    exception when data_exception or integrity_constraint_violation or undefined_function then
      v_told := array(select c from m23.walked_changes(p_table, p_tenant, p_pick, true) c);
    end;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return query select t.* from unnest(v_told) t;
end $$;
