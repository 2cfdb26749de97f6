declare v_null pg_catalog.uuid;
begin
  if pg_catalog.current_setting('m23.seen_5', true) operator(pg_catalog.=) 'yes' then
    if (row(old.comment_id, old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id, new.emoji)::pg_catalog.record) then
      if (row(old.comment_id, old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id, new.emoji)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_5', 'yes', true); perform pg_catalog.set_config('m23.moved_5',
          case when pg_catalog.current_setting('m23.moved_5', true) operator(pg_catalog.=) 'both'
                    or (row(old.comment_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id)::pg_catalog.record) and (row(old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.emoji)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        null;
      end if;
    end if;
  else
    begin
    if (row(old.comment_id, old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id, new.emoji)::pg_catalog.record) then
      if (row(old.comment_id, old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id, new.emoji)::pg_catalog.record) then
        perform pg_catalog.set_config('m23.changed_5', 'yes', true); perform pg_catalog.set_config('m23.moved_5',
          case when pg_catalog.current_setting('m23.moved_5', true) operator(pg_catalog.=) 'both'
                    or (row(old.comment_id)::pg_catalog.record operator(pg_catalog.*<>) row(new.comment_id)::pg_catalog.record) and (row(old.emoji)::pg_catalog.record operator(pg_catalog.*<>) row(new.emoji)::pg_catalog.record) then 'both' else 'yes' end, true);
      else
        null;
      end if;
    end if;
      perform pg_catalog.set_config('m23.seen_5', 'yes', true);
    exception when undefined_column then
      perform pg_catalog.set_config('m23.changed_5', 'yes', true);
    end;
  end if;
  return v_null;
end
