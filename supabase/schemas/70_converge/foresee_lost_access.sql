-- What an execution would be refused with because it takes the caller's own access; empty where it would not. Only the
-- application's function knows: the tables that it names are written as planned, it is asked, and all is taken back.
create function m23.foresee_lost_access(p_tenant text, p_targets m23.target[]) returns text[]
language plpgsql as $$
declare
  v_said text[] := m23.access_at_risk(p_targets);
  v_read m23.target[] := array(select t from unnest(m23.targets_with_changes(p_targets)) t
                                where m23.says_memberships((t).tbl.relid));
  v_lost boolean := false;
begin
  if v_said = '{}' or cardinality(v_read) = 0 or not m23.spared_belongs(p_tenant) then return '{}'; end if;
  begin
    perform set_config('lock_timeout', '200ms', true);
    perform m23.silence_triggers();
    perform m23.apply_targets(p_tenant, v_read, false);
    v_lost := not m23.spared_belongs(p_tenant);
    raise exception 'this was a trial' using errcode = 'triggered_action_exception';
  exception when others then null;  -- What else stands in the way is foreseen by itself.
  end;
  return case when v_lost then v_said else '{}' end;
end $$;
