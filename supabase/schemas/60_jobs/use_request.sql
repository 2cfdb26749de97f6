-- Work begins with an admitted request, once: the quota cannot be passed by calling the
-- database directly. Gives the request; refuses in the caller's words. Used is used: callers keep this transaction
-- whatever comes after it (m23.answer_refusal).
create function m23.use_request(p_id uuid, p_function text, p_dry_run boolean default false) returns m23.requests
language plpgsql security definer set row_security = off as $$
declare
  v_request m23.requests;
  v_role    text;
begin
  perform m23.refuse_anonymous();
  update m23.requests set used_at = clock_timestamp()
   where id = p_id and function = p_function and used_at is null
     and case when m23.is_service() then user_id is null else user_id = auth.uid() end
   returning * into v_request;
  v_role := case when m23.is_service() then 'owner'
                 else (select m.role from m23.caller_memberships() m where m.tenant_id = v_request.tenant_id) end;
  if v_request.id is null or not m23.may_call(p_function, v_role, p_dry_run) then
    perform m23.refuse('INSUFFICIENT_PERMISSIONS',
                       format('call the edge function %s: this needs a request that it has admitted', p_function));
  end if;
  return v_request;
end $$;
