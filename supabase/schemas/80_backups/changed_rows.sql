-- Reading an incremental: what has changed between the position of its parent and its own.

-- The transactions that have changed a tenant's rows between the two positions.
create function m23.between_positions(p_table m23.protected_tables, p_log text) returns text
language sql stable as $q$
  select format($$between_positions as materialized (
    select x.xid from (select distinct l.xid from %s l where l.tenant_id = %s and l.xid >= ($4).floor) x
     where not pg_visible_in_snapshot(x.xid, ($4).position) and pg_visible_in_snapshot(x.xid, ($2).position))$$, p_log,
    m23.tenant_value(p_table, '$1'))
$q$;

-- The rows as of the member's position of the next keys that have changed since the parent's.
create function m23.changed_query(
  p_table m23.protected_tables, p_touched text, p_log text, p_limit text
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$with {touched}, {between},
      changed as materialized (
        select distinct {keys}
          from (select {images} from {log} l where l.tenant_id = {tenant} and l.xid >= ($4).floor
                   and l.xid in (select xid from between_positions)) r where {key_after})
    (select {columns} from changed k join {live} r on {is_changed_key} where {is_its} and not {is_touched}
      order by {keys} limit {limit})
    union all
    (select {columns} from touched r
      where {is_changed} and (exists (select from {live} t where {is_there} and {same_key}))::int - r.m23_balance = 1
      order by {keys} limit {limit})$sql$,
    'touched', p_touched, 'between', m23.between_positions(p_table, p_log),
    'keys', m23.key_list(p_table.relid, 'r'), 'images', m23.log_images(p_table), 'log', p_log,
    'tenant', m23.tenant_value(p_table, '$1'), 'key_after', m23.key_after(p_table.relid),
    'columns', m23.select_list(p_table.relid, 'r'), 'live', m23.qualified_name(p_table.relid),
    'is_changed_key', m23.key_match(p_table.relid, 'k', 'r'), 'is_its', m23.is_there(p_table, 'r', '$1'),
    'is_touched', m23.key_in(p_table.relid, 'r', 'touched'), 'is_changed', m23.key_in(p_table.relid, 'r', 'changed'),
    'is_there', m23.is_there(p_table, 't', '$1'), 'same_key', m23.key_match(p_table.relid, 't', 'r'),
    'limit', p_limit);
end $outer$;

-- What the log says next of the changes between the two positions, with the time of each one's
-- commit where the server knows it.
create function m23.part_history_query(p_table m23.protected_tables, p_log text, p_limit text) returns text
language sql stable as $q$
  select format($$with %s
    select l.op as m23_op, (l.change_id - '0/0')::bigint as m23_change_id, l.xid as m23_xid, %s as m23_at,
           coalesce(l.unchanged, 0) as m23_unchanged, %s
      from %s l where l.tenant_id = %s and l.xid >= ($4).floor and l.xid in (select xid from between_positions)
       and ($3 is null or (l.change_id, l.xid) > ('0/0'::pg_lsn + ($3[1])::numeric, ($3[2])::xid8))
     order by l.change_id, l.xid limit %s$$,
    m23.between_positions(p_table, p_log),
    case when m23.commit_times_are_native()
         then 'coalesce((select c.at from m23.commit_times c where c.xid = l.xid), '
              'pg_xact_commit_timestamp(l.xid::xid))'
         else 'null::timestamptz' end,
    m23.log_images(p_table), p_log, m23.tenant_value(p_table, '$1'), p_limit)
$q$;

-- How many entries of a tenant's rows the log has since a position.
create function m23.count_changes(p_table m23.protected_tables, p_tenant text, p_since pg_snapshot) returns bigint
language plpgsql volatile as $$
declare v_count bigint;
begin
  begin  -- which lets go of what it opens
    execute format('select count(*) from %s l where l.tenant_id = %s and l.xid >= pg_snapshot_xmin($2)
                       and not pg_visible_in_snapshot(l.xid, $2)',
                   m23.log_of(p_table.id, p_tenant, pg_snapshot_xmin(p_since)), m23.tenant_value(p_table, '$1'))
      into v_count using p_tenant, p_since;
    raise sqlstate 'M2303';
  exception when sqlstate 'M2303' then null;
  end;
  return v_count;
end $$;
