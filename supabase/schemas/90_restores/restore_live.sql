-- Writes the wanted rows into the live tables, under the fence, after a snapshot to come back
-- to. A column that is renamed or dropped before its table is locked makes it begin again.
create function m23.restore_live(p_work m23.restore_work, p_by uuid) returns jsonb
language plpgsql as $$
declare
  v_targets  m23.target[];
  v_names    text[];
  v_snapshot uuid;
begin
  perform m23.write_as(p_work);
  perform m23.spare_access(p_work.caller, p_work.named);
  for v_left in reverse 4..0 loop
    begin
      v_targets := m23.targets_of(p_work);
      v_names := array(select m23.public_name((t).tbl.relid) from unnest(v_targets) t
                        where (p_work.undo).xids is null or ((t).tbl).id = any ((p_work.undo).table_ids));
      perform m23.note_return(p_work.tenant_id, m23.known_moment(p_work)) where (p_work.undo).xids is null;
      v_snapshot := m23.new_snapshot(p_work.tenant_id,
        'before ' || m23.source_of_work(p_work),
        'pre_restore', v_names, p_by, (select id from public.restore_logs where id = p_work.work_id));
      return m23.converge_fenced(p_work.tenant_id, v_targets, p_work.on_blocked, p_work.plan_hash, v_snapshot,
                                 p_work.work_id)
          || jsonb_build_object('snapshot_id', v_snapshot, 'tables', v_names,
                                'transaction_id', pg_current_xact_id()::text);
    exception when undefined_column or undefined_table then  -- a part of a log was dropped meanwhile, say
      if v_left = 0 then raise; end if;
    end;
  end loop;
end $$;
