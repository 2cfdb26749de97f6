-- The targets of an undo: the tables that it changes, and all others with nothing to do, so that references to those
-- are kept and not taken for a matter of the choice.
create function m23.undo_targets(p_undo m23.undoing, p_moment m23.moment) returns m23.target[]
language plpgsql stable as $$
begin
  return (
    select array_agg(case when t.id = any (p_undo.table_ids)
                          then m23.new_target(t, p_moment, p_columns => m23.stored_columns(t.relid),
                                 p_path => m23.path_of(t.relid), p_kept => m23.newer_columns(t, p_moment),
                                 p_undo => p_undo)
                          else m23.new_target(t, p_undo => p_undo) end
                     order by n.nspname <> 'public', n.nspname, c.relname)
      from m23.protected_tables t
      join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace);
end $$;
