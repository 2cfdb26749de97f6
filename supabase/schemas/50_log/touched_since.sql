-- The start of every query into the past: a WITH list whose last part, `touched`, has one
-- row for each key that has changed since a moment, with its first old image and the
-- balance of arrivals and departures (m23_balance). Parameters, by the names that are given:
--   $1        tenant, as text
--   p_moment  an m23.moment
--   p_after   a key as text[], or null: only rows with a greater key
-- p_log: the log's entries from the moment's floor on, as m23.log_of() gives them.
create function m23.touched_since(
  p_table m23.protected_tables, p_log text, p_moment text default '$2', p_after text default '$3'
) returns text
language plpgsql stable as $outer$
begin
  return m23.fill($sql$
    later as materialized (
      select x.xid
        from (select distinct l.xid from {log} l where l.tenant_id = {tenant} and l.xid >= ({moment}).floor) x
       where {lies_after}),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              {images} from {log} l
                        where l.tenant_id = {tenant} and l.xid >= ({moment}).floor
                          and l.xid in (select xid from later)) r
       where {key_after}),
    touched as ({first_images})$sql$,
    'log', p_log, 'tenant', m23.tenant_value(p_table, '$1'), 'moment', p_moment,
    'lies_after', m23.lies_after('x.xid', p_moment),
    'images', m23.log_images(p_table), 'key_after', m23.key_after(p_table.relid, p_after),
    'first_images', m23.first_images(
      p_table.relid,
      array(select c.name from m23.columns_of(p_table.relid) c where not c.generated order by c.attnum),
      m23.groups_of(p_table), 'logged', m23.qualified_name(p_table.relid), m23.is_tenants(p_table, 'l', '$1')));
end $outer$;
