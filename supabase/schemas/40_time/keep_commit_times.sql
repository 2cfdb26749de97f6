-- The server forgets commit times when it freezes transactions, 200 million later by default:
-- those still in the log are copied at a quarter of that, many at a time.
create function m23.keep_commit_times() returns bigint
language plpgsql volatile as $$
declare
  v_part  m23.log_parts;
  v_xids  xid8[];
  v_age   numeric := m23.setting('commit_times_age')::numeric;
  v_to    numeric := pg_snapshot_xmin(pg_current_snapshot())::text::numeric - v_age;
  v_from  numeric := m23.setting('commit_times_kept')::numeric;
  v_kept  bigint := 0;
  v_count bigint;
begin
  if not m23.commit_times_are_native() or v_to <= v_from + v_age / 50 then return 0; end if;
  for v_part in select p.* from m23.log_parts p
                 where not p.sealed or m23.part_reaches(p.table_id, p.part, v_from::text::xid8) loop
    v_xids := m23.transactions_in(v_part, v_from::text::xid8, v_to::text::xid8);
    insert into m23.commit_times
      select x, pg_xact_commit_timestamp(x::xid)
        from unnest(v_xids) x where pg_xact_commit_timestamp(x::xid) is not null
      on conflict do nothing;
    get diagnostics v_count = row_count;
    v_kept := v_kept + v_count;
  end loop;
  update m23.settings set value = v_to::text where name = 'commit_times_kept';
  return v_kept;
end $$;
