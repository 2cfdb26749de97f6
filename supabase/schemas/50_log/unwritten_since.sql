-- A table whose capture is suspended and taken up again in one transaction, as by a migration that drops a primary key
-- and makes it anew. Nobody else could write to it meanwhile; if the transaction has not either, the log is whole.

-- What the transaction has written to a table so far, and where its rows lie; null where the server does not count.
create function m23.writes_so_far(p_table m23.protected_tables) returns text
language plpgsql volatile as $$
begin
  if not current_setting('track_counts')::boolean then return null; end if;
  return pg_current_xact_id() || ' ' || (
    select string_agg(concat_ws('/', c.relid, pg_relation_filenode(c.relid), pg_stat_get_xact_tuples_inserted(c.relid),
                                pg_stat_get_xact_tuples_updated(c.relid), pg_stat_get_xact_tuples_deleted(c.relid)),
                      ' ' order by c.relid)
      from m23.captured_relations(p_table.relid) c);
end $$;

-- Notes it, when capture is suspended. A savepoint that is rolled back takes the note along.
create function m23.note_writes(p_table m23.protected_tables) returns void
language plpgsql volatile as $$
begin
  if p_table.suspended is null and not m23.was_off(p_table, true) then
    perform set_config('m23.suspended_' || p_table.id, coalesce(m23.writes_so_far(p_table), ''), true);
  end if;
end $$;

-- Whether nothing was written to a table since its capture was suspended.
create function m23.is_unwritten_since(p_table m23.protected_tables) returns boolean
language plpgsql volatile as $$
begin
  return p_table.suspended is not null
     and coalesce(current_setting('m23.suspended_' || p_table.id, true) = m23.writes_so_far(p_table), false);
end $$;
