-- open to: service_role
create function public.m23_execute_test(p_test_id uuid, p_lease uuid) returns jsonb
language plpgsql volatile security definer set row_security = off set statement_timeout = '1h' as $$
declare
  v_work    m23.restore_work;
  v_done    jsonb;
  v_tally   jsonb;
  v_state   text;
  v_message text;
begin
  -- Held to the end, however long it takes: the lease is not seen to be renewed until then.
  perform pg_advisory_xact_lock(m23.test_key(p_test_id));
  perform m23.keep_lease(p_test_id, p_lease);
  select w.trial into v_done from m23.test_work w where w.test_id = p_test_id;
  if v_done is not null then return v_done; end if;
  select * into v_work from m23.restore_work where work_id = p_test_id;
  begin
    perform m23.open_checks();
    begin
      v_done := m23.restore_to_scratch(v_work);
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
      if v_state = 'PGRST' and v_message::json ->> 'code' = 'UNAVAILABLE' then raise; end if;
      perform m23.note_check('not_restorable', 'the restore',
        case when v_state = 'PGRST' then v_message::json ->> 'message'
             else 'the restore failed; the database''s log tells why' end);
      raise log 'm23: the restore of a recovery test failed: % (%)', v_message, v_state;
    end;
    v_tally := m23.close_checks();
    raise exception 'done' using errcode = 'M2302';
  exception when sqlstate 'M2302' then null;  -- the schema and all that is in it is gone
  end;
  perform m23.keep_lease(p_test_id, p_lease);
  v_done := coalesce(v_done, '{}') || jsonb_build_object('tally', v_tally);
  update m23.test_work set trial = v_done where test_id = p_test_id;
  return v_done;
end $$;
comment on function public.m23_execute_test(uuid, uuid) is
  'For the workers: restores the staged archive of a deep test, gives what was found '
  'and the measured time, and leaves nothing behind.';
