-- open to: authenticated, service_role
create function public.m23_begin_pitr(p_request_id uuid, p_restore jsonb) returns json
language plpgsql security definer set row_security = off set plan_cache_mode = force_generic_plan as $$
declare
  v_request m23.requests := m23.use_request(p_request_id, 'pitr-restore');
  v_work    m23.restore_work;
  v_at      timestamptz;
  v_begun   json;
  v_detail  text;
begin
  perform m23.refuse_body('pitr-restore', p_restore, false);
  p_restore := m23.with_choice(p_restore);
  v_work := m23.pitr_work(v_request.tenant_id, p_restore);
  v_at := (p_restore ->> 'targetTimestamp')::timestamptz;
  perform m23.refuse_restore_faults(v_work, p_restore ->> 'targetSchema');
  v_begun := m23.log_restore(v_request.tenant_id, v_work, v_at, p_restore ->> 'targetSchema');
  update public.restore_logs
     set warnings = m23.moment_warnings(v_at, coalesce(v_work.moment_in_chain, v_work.moment),
                                        m23.named_tables(p_restore))
                    || m23.access_warnings(v_request.tenant_id, m23.list_of(p_restore -> 'tables'),
                                           m23.known_moment(v_work))
                    || m23.choice_warnings(p_restore)
   where id = v_work.work_id;
  return v_begun;
exception when query_canceled or others then  -- the others do not include it
  if not m23.is_api_call() then raise; end if;
  get stacked diagnostics v_detail = pg_exception_detail;
  return m23.answer_refusal(sqlstate, sqlerrm, v_detail);
end $$;
comment on function public.m23_begin_pitr(uuid, jsonb) is
  'For pitr-restore: accepts a restore to a moment under an admitted request.';
