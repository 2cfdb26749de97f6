declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('m23.seen_3', true) operator(pg_catalog.=) 'yes' then
    if (row(old.tenant_id, old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new.id, new.at)::pg_catalog.record) then
      if (row(old.tenant_id, old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new.id, new.at)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_3', 'yes', true); perform pg_catalog.set_config('m23.moved_3',
          case when pg_catalog.current_setting('m23.moved_3', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.at)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        null;
      end if;
    end if;
  else
    begin
    if (row(old.tenant_id, old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new.id, new.at)::pg_catalog.record) then
      if (row(old.tenant_id, old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new.id, new.at)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_3', 'yes', true); perform pg_catalog.set_config('m23.moved_3',
          case when pg_catalog.current_setting('m23.moved_3', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old.id, old.at)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.at)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        null;
      end if;
    end if;
      perform pg_catalog.set_config('m23.seen_3', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('m23.changed_3', 'yes', true);
    end;
  end if;
  return v_null;
end
