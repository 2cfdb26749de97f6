-- Why the log cannot say what has changed since the parent; empty when it can.
create function m23.gaps_since(p_parent m23.backup_work, p_tables text[]) returns text[]
language plpgsql volatile as $$
begin
  if p_parent.incarnation <> m23.incarnation() then
    return array['the database was restored or copied since that backup was made'];
  end if;
  return array(
    select format('the history of %s goes back to %s, and that backup is older', m23.public_name(t.relid),
                  m23.iso(t.pruned_at))
      from m23.chosen(p_tables) t
     where pg_snapshot_xmin(p_parent.position) < t.pruned_below and not m23.is_whole(t, p_parent)
    union all
    select format('changes of %s may have gone unseen: %s', m23.public_name(t.relid), f.fault)
      from m23.chosen(p_tables) t
      join m23.capture_faults(array(select c.id from m23.chosen(p_tables) c)) f on f.table_id = t.id
     where not m23.is_whole(t, p_parent)
    union all
    select f from m23.tenant_fault(p_parent.tenant_id, m23.moment_of(p_parent.position, p_parent.position_at)) f
     where f is not null);
end $$;
