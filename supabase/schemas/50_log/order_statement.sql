-- Others have logged while a statement was open: what came after its own image of a key gets new change ids, in its
-- order. A row that a statement has changed itself was changed before all of that: nothing may change it again until
-- the statement's rows are written. One that a foreign key's action has changed on its behalf can have been changed
-- by others before:
--   gone by then   The others say when the key was there. An arrival where it was there already comes after.
--   still there    What its row was then is the image of whoever changed it next.
create function m23.order_statement(p_table m23.protected_tables, p_event text) returns text
language plpgsql stable as $outer$
declare
  v_images constant boolean := p_event = 'update' and m23.references_write(p_table.relid);
begin
  return m23.fill($sql$update {log} l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from unnest(array(select o.m23_place
          from (select o.*, min(o.m23_change_id) filter (where {follows})
                              over (partition by o.m23_tenant, {keys_of_o}) as m23_next
                  from (select e.*, bool_or(e.m23_change_id >= v_first and e.m23_op = '{op}')
                                      over (partition by e.m23_tenant, {keys_of_e}) as m23_own,
                               coalesce(sum(case when e.m23_op in ('I', 'n', 'a') then 1
                                                 when e.m23_op in ('D', 'o', 'l') then -1 else 0 end)
                                          over (partition by e.m23_tenant, {keys_of_e} order by e.m23_change_id
                                                rows between unbounded preceding and 1 preceding), 0) as m23_balance
                          from (select l.tenant_id as m23_tenant, l.change_id as m23_change_id, l.op as m23_op,
                                       l.ctid as m23_place, {keys}{images} from {log} l{many}
                                 where l.tenant_id in (select {tenant} from old_rows r)
                                   and l.xid = pg_current_xact_id() and l.change_id >= v_start) e) o{new_rows}
                 where o.m23_own and o.m23_change_id < v_first) o
         where o.m23_change_id >= o.m23_next
         group by o.m23_place, o.m23_change_id order by o.m23_change_id)) with ordinality later (place, n)
     where l.ctid = later.place$sql$,
    'log', m23.log_part(p_table.id), 'op', upper(left(p_event, 1)), 'tenant', m23.row_tenant(p_table, 'r'),
    'keys', (select string_agg(format('%s as %I', m23.log_value(p_table, c), c.name), ', ' order by c.key_ord)
               from m23.columns_of(p_table.relid, p_of_key => true) c),
    'keys_of_o', m23.key_list(p_table.relid, 'o'), 'keys_of_e', m23.key_list(p_table.relid, 'e'),
    'images', case when v_images then (
      select ', l.unchanged as m23_unchanged' || string_agg(format(', l.%1$s as m23_%1$s', f.name), '' order by f.name)
        from m23.log_columns f where f.table_id = p_table.id and f.until_xid is null) else '' end,
    'many', case when v_images then ' cross join m23.called_many()' else '' end,
    'new_rows', case when v_images then m23.new_rows_of_key(p_table) else '' end,
    'follows', case
      when p_event = 'delete'
      then m23.fill('(v_direct and not {itself} or o.m23_op in (''I'', ''n'', ''a'') and o.m23_balance >= 0)',
                    'itself', m23.references_itself(p_table.relid)::text)
      when v_images then m23.follows_update(p_table)
      else 'true' end);
end $outer$;
