declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('m23.seen_6', true) operator(pg_catalog.=) 'yes' then
    if (row(old.tenant_id, old."i d", old."it's {value}")::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new."i d", new."it's {value}")::pg_catalog.record) then
      if (row(old.tenant_id, old."i d")::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new."i d")::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_6_0', 'yes', true); perform pg_catalog.set_config('m23.changed_6', 'yes', true); perform pg_catalog.set_config('m23.moved_6',
          case when pg_catalog.current_setting('m23.moved_6', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old."i d")::pg_catalog.record operator(pg_catalog.*<>) row(new."i d")::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_6_0', true) operator(pg_catalog.=) 'yes' then false else row(old."it's {value}")::pg_catalog.record operator(pg_catalog.*<>) row(new."it's {value}")::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_6_0', 'yes', true); perform pg_catalog.set_config('m23.changed_6', 'yes', true); end if;
      end if;
    end if;
  else
    begin
    if (row(old.tenant_id, old."i d", old."it's {value}")::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new."i d", new."it's {value}")::pg_catalog.record) then
      if (row(old.tenant_id, old."i d")::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id, new."i d")::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_6_0', 'yes', true); perform pg_catalog.set_config('m23.changed_6', 'yes', true); perform pg_catalog.set_config('m23.moved_6',
          case when pg_catalog.current_setting('m23.moved_6', true) operator(pg_catalog.=) 'both'
                    or (row(old.tenant_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.tenant_id)::pg_catalog.record) and (row(old."i d")::pg_catalog.record operator(pg_catalog.*<>) row(new."i d")::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_6_0', true) operator(pg_catalog.=) 'yes' then false else row(old."it's {value}")::pg_catalog.record operator(pg_catalog.*<>) row(new."it's {value}")::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_6_0', 'yes', true); perform pg_catalog.set_config('m23.changed_6', 'yes', true); end if;
      end if;
    end if;
      perform pg_catalog.set_config('m23.seen_6', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('m23.changed_6', 'yes', true);
    end;
  end if;
  return v_null;
end
