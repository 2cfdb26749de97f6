-- Rows that others have changed since the restore which a snapshot preceded: undoing the
-- restore undoes them, too.
create function m23.changed_since_restore(p_snapshot public.pitr_snapshots, p_tables text[]) returns text[]
language plpgsql volatile as $$
declare
  v_restore text := (select r.metadata ->> 'transaction' from public.restore_logs r
                      where r.id = p_snapshot.restore_log_id);
  v_moment  m23.moment := m23.snapshot_moment(p_snapshot);
  v_table   m23.protected_tables;
  v_count   bigint;
  v_said    text[] := '{}';
begin
  if v_restore is null then return v_said; end if;
  for v_table in
    select t.* from m23.tables_with_entries(p_tables, p_snapshot.tenant_id, v_restore::xid8) t order by t.id
  loop
    execute m23.fill($sql$
        select count(*) from (
          select distinct {key} from {log} l where l.tenant_id = {tenant} and {lies_after} and l.xid > $3) changed$sql$,
      'key', (select string_agg('l.' || m23.log_field(v_table, c.attnum), ', ' order by c.key_ord)
                from m23.columns_of(v_table.relid, p_of_key => true) c),
      'log', m23.log_of(v_table.id, p_snapshot.tenant_id, v_restore::xid8), 'tenant', m23.tenant_value(v_table, '$1'),
      'lies_after', m23.lies_after('l.xid')) into v_count
      using p_snapshot.tenant_id, v_moment, v_restore::xid8;
    if v_count > 0 then
      v_said := v_said
        || format('%s: %s row(s) were changed after the restore; the rollback takes those changes back, too',
                  m23.public_name(v_table.relid), v_count);
    end if;
  end loop;
  return v_said;
end $$;
