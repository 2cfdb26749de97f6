-- The transactions that have changed a tenant's rows since a position, in their order; null for none.
create function m23.changed_by(p_tables text[], p_tenant text, p_since pg_snapshot) returns xid8[]
language plpgsql volatile as $$
declare
  v_table int;
  v_xids  xid8[] := '{}';
  v_more  xid8[];
begin
  foreach v_table in array
    m23.logged_tables(array(select t.id from m23.chosen(p_tables) t), p_tenant, pg_snapshot_xmin(p_since))
  loop
    begin  -- which lets go of what it opens
      execute format('select array_agg(distinct l.xid) from %s l where %s
                         and l.xid >= pg_snapshot_xmin($2) and not pg_visible_in_snapshot(l.xid, $2)',
                     m23.log_of(v_table, p_tenant, pg_snapshot_xmin(p_since)), m23.is_logged_of(v_table, '$1'))
        into v_more using p_tenant, p_since;
      raise sqlstate 'M2303';
    exception when sqlstate 'M2303' then null;
    end;
    v_xids := v_xids || v_more;
  end loop;
  return (select array_agg(distinct x order by x) from unnest(v_xids) x);
end $$;
