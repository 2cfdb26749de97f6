declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('m23.seen_1', true) operator(pg_catalog.=) 'yes' then
    if (row(old.id, old.tenant_id, old."Title", old.body, old.labels)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.tenant_id, new."Title", new.body, new.labels)::pg_catalog.record) then
      if (row(old.id, old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.tenant_id)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_1_0', 'yes', true); perform pg_catalog.set_config('m23.changed_1', 'yes', true); perform pg_catalog.set_config('m23.moved_1',
          case when pg_catalog.current_setting('m23.moved_1', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old.id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_1_0', true) operator(pg_catalog.=) 'yes' then false else row(old."Title", old.body, old.labels)::pg_catalog.record operator(pg_catalog.*<>) row(new."Title", new.body, new.labels)::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_1_0', 'yes', true); perform pg_catalog.set_config('m23.changed_1', 'yes', true); end if;
      end if;
    end if;
  else
    begin
    if (row(old.id, old.tenant_id, old."Title", old.body, old.labels)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.tenant_id, new."Title", new.body, new.labels)::pg_catalog.record) then
      if (row(old.id, old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.tenant_id)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_1_0', 'yes', true); perform pg_catalog.set_config('m23.changed_1', 'yes', true); perform pg_catalog.set_config('m23.moved_1',
          case when pg_catalog.current_setting('m23.moved_1', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old.id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_1_0', true) operator(pg_catalog.=) 'yes' then false else row(old."Title", old.body, old.labels)::pg_catalog.record operator(pg_catalog.*<>) row(new."Title", new.body, new.labels)::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_1_0', 'yes', true); perform pg_catalog.set_config('m23.changed_1', 'yes', true); end if;
      end if;
    end if;
      perform pg_catalog.set_config('m23.seen_1', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('m23.changed_1', 'yes', true);
    end;
  end if;
  return v_null;
end
