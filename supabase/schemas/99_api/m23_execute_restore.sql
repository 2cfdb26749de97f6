-- Executes a restore or rollback, in one transaction. Gives the outcome, or `{"error": {…}}`
-- when it failed, so that the log row can say so: an exception would take that with it.
-- open to: service_role
create function public.m23_execute_restore(p_restore_id uuid, p_lease uuid) returns json
language plpgsql volatile security definer set row_security = off set statement_timeout = '1h'
  set plan_cache_mode = force_generic_plan as $$
declare
  v_work    m23.restore_work;
  v_error   json;
  v_outcome json;
  v_state text; v_message text; v_table text; v_constraint text;
begin
  perform m23.keep_lease(p_restore_id, p_lease);
  select * into v_work from m23.restore_work where work_id = p_restore_id;
  begin
    -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
    if not pg_try_advisory_xact_lock(m23.restore_key(v_work.tenant_id)) then
      perform m23.refuse('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running');
    end if;
    perform m23.stop_if_cancelled(p_restore_id);
    v_outcome := m23.execute_work(v_work);
    perform m23.end_work(p_restore_id);
    return v_outcome;
  exception when query_canceled or others then  -- the others do not include it
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_table = table_name,
      v_constraint = constraint_name;
    v_error := m23.failure_answer(v_state, v_message, v_table, v_constraint);
  end;
  perform m23.fail_restore(p_restore_id,
    concat_ws(': ', v_error ->> 'message', array_to_string(m23.list_of((v_error -> 'details')::jsonb), '; ')));
  return json_build_object('error', v_error);
end $$;
comment on function public.m23_execute_restore(uuid, uuid) is
  'For the workers: writes what was planned or staged into the live tables, or beside them.';
