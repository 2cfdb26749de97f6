-- Checks that a copy has the rows that were backed up, as far as its columns are those of then.
create function m23.check_fingerprint(p_scratch m23.scratch, p_then m23.backup_tables) returns void
language plpgsql as $$
declare
  v_same  boolean := m23.shape_of((p_scratch.live).relid) @> p_then.columns and not coalesce(
    (select m23.has_altered_type((p_scratch.live).relid, w.position) from m23.backup_work w
      where w.job_id = p_then.job_id and w.incarnation = m23.incarnation()), false);
  v_right boolean;
begin
  perform m23.note_check('shape_changed', p_scratch.name, case when not v_same
    then format('the columns of %s have changed since the backup, so its rows cannot be '
                'compared with what was backed up', p_scratch.name) end);
  if (v_same or not p_then.whole) and m23.is_noted(p_then.job_id) then
    v_right := case when p_then.whole then m23.fingerprint_now(p_scratch) = m23.fingerprint_then(p_then.job_id, p_then)
                    else (p_scratch.staged).altered = 0 end;
    perform m23.note_check('fingerprint_differs', p_scratch.name, case when not v_right
      then format('the restored rows of %s are not those that were backed up', p_scratch.name) end);
  end if;
end $$;
