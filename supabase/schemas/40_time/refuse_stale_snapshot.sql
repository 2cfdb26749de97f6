-- TRUNCATE takes rows that its transaction's snapshot does not see, and nobody can read them
-- any more: under a snapshot that others have committed after, it is refused as an UPDATE or
-- DELETE would be.
create function m23.refuse_stale_snapshot(p_table regclass) returns void
language plpgsql volatile as $$
declare
  v_snapshot pg_snapshot := pg_current_snapshot();
  v_xid      xid8 := pg_snapshot_xmin(v_snapshot);
begin
  if current_setting('transaction_isolation') like 'read %' then return; end if;
  loop
    if not pg_visible_in_snapshot(v_xid, v_snapshot) and pg_xact_status(v_xid) = 'committed' then
      raise exception 'could not serialize access: others have committed since this transaction''s snapshot, and '
                      'TRUNCATE of % would take their rows unseen', p_table
        using errcode = 'serialization_failure', hint = 'Retry, or run TRUNCATE under READ COMMITTED.';
    end if;
    v_xid := (v_xid::text::numeric + 1)::text::xid8;
  end loop;
exception when invalid_parameter_value then null;  -- no transaction has that number yet
end $$;
