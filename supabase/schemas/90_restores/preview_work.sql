-- The preview of work whose rows are staged, or come from a snapshot.
create function m23.preview_work(p_work m23.restore_work) returns json
language plpgsql volatile as $$
begin
  perform m23.spare_access(p_work.caller, p_work.named);
  if p_work.job_id is null then
    return m23.preview(p_work.tenant_id, p_work.moment, p_work.tables, p_work.on_blocked,
                       m23.staging_warnings(p_work.work_id), p_work.selection);
  end if;
  perform m23.lock_tables(m23.relations_of(p_work));
  if m23.is_empty(p_work) then
    return m23.plan_report('{}') || jsonb_build_object('previewChanges', '{}'::jsonb, 'changeCounts', '{}'::jsonb,
      'rowsLost', '[]'::jsonb,
      'wouldFail', m23.refusal_told('CONFLICT', m23.empty_sentence(), m23.staging_warnings(p_work.work_id)));
  end if;
  return m23.preview_targets(p_work.tenant_id, m23.targets_of(p_work), null, null, p_work.on_blocked,
    m23.staging_warnings(p_work.work_id)
      || case when (p_work.moment_in_chain).taken is not null and (p_work.moment_in_chain).position is not null
              then array[format('this server recorded no commit times: the moment taken is %s',
                                m23.iso((p_work.moment_in_chain).taken))]
              else '{}' end);
end $$;
