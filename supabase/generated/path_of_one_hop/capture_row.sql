declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('m23.seen_4', true) operator(pg_catalog.=) 'yes' then
    if (row(old.id, old.task_id, old.body)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.task_id, new.body)::pg_catalog.record) then
      if (row(old.id, old.task_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.task_id)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_4_0', 'yes', true); perform pg_catalog.set_config('m23.changed_4', 'yes', true); perform pg_catalog.set_config('m23.moved_4',
          case when pg_catalog.current_setting('m23.moved_4', true) operator(pg_catalog.=) 'both'
                    or (row(old.task_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.task_id)::pg_catalog.record) and (row(old.id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_4_0', true) operator(pg_catalog.=) 'yes' then false else row(old.body)::pg_catalog.record operator(pg_catalog.*<>) row(new.body)::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_4_0', 'yes', true); perform pg_catalog.set_config('m23.changed_4', 'yes', true); end if;
      end if;
    end if;
  else
    begin
    if (row(old.id, old.task_id, old.body)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.task_id, new.body)::pg_catalog.record) then
      if (row(old.id, old.task_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id, new.task_id)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_4_0', 'yes', true); perform pg_catalog.set_config('m23.changed_4', 'yes', true); perform pg_catalog.set_config('m23.moved_4',
          case when pg_catalog.current_setting('m23.moved_4', true) operator(pg_catalog.=) 'both'
                    or (row(old.task_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.task_id)::pg_catalog.record) and (row(old.id)::pg_catalog.record operator(pg_catalog.*<>) row(new.id)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        if (case when pg_catalog.current_setting('m23.changed_4_0', true) operator(pg_catalog.=) 'yes' then false else row(old.body)::pg_catalog.record operator(pg_catalog.*<>) row(new.body)::pg_catalog.record end) then perform pg_catalog.set_config('m23.changed_4_0', 'yes', true); perform pg_catalog.set_config('m23.changed_4', 'yes', true); end if;
      end if;
    end if;
      perform pg_catalog.set_config('m23.seen_4', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('m23.changed_4', 'yes', true);
    end;
  end if;
  return v_null;
end
