-- Why an execution of what is planned would be refused, as `{"code", "error", "details"}`, null where it would not; and
-- what it would say of triggers.
create function m23.foresee(
  p_tenant text, p_targets m23.target[], p_unfit text[], p_blocked text[], out refusal jsonb, out warnings text[]
)
language plpgsql as $$
declare
  v_role     text := current_setting('session_replication_role');
  v_silenced boolean := true;
  v_rules    text[] := p_unfit || m23.broken_rules(p_tenant, p_targets);
  v_clashes  text[] := m23.conflicts_refused(p_targets);
  v_access   text[];
begin
  warnings := '{}';
  if m23.sets_off(p_targets) then
    v_silenced := m23.silence_triggers();
    warnings := m23.trigger_sentences(p_targets, v_silenced);
    perform set_config('session_replication_role', v_role, true)
      where v_role <> current_setting('session_replication_role');
  end if;
  v_access := m23.foresee_lost_access(p_tenant, p_targets);
  refusal := case
    when exists (select from m23.restore_work w where w.tenant_id = p_tenant and w.kind <> 'test' and not w.dry_run)
      then m23.refusal_told('RESTORE_IN_PROGRESS', 'another restore or rollback of this tenant is running')
    when p_blocked <> '{}' then m23.refusal_told('CONFLICT', m23.blocked_sentence(), p_blocked)
    when v_clashes <> '{}' then m23.refusal_told('CONFLICT', m23.conflict_sentence(), v_clashes)
    when not v_silenced and warnings <> '{}'
      then m23.refusal_told('VALIDATION_FAILED', 'the restore cannot be made as asked', warnings)
    when v_rules <> '{}'
      then m23.refusal_told('CONFLICT', m23.rules_sentence(), v_rules)
    when v_access <> '{}' then m23.refusal_told('CONFLICT', m23.lost_access_sentence(), v_access) end;
  if not v_silenced then warnings := '{}'; end if;
end $$;
