-- Takes what the plan has not taken, or not against those who refer to it.
create function m23.lock_planned(p_target m23.target, p_tenant text, p_quiet boolean) returns void
language plpgsql as $$
declare
  v_diff  text := m23.diff_name(p_target.tbl);
  v_match text := m23.live_match(p_target.tbl, p_quiet);
  v_lock  text := m23.lock_to_change(p_target.tbl);
  v_taken bigint := (select p.taken_back from m23.plan p where p.table_id = (p_target.tbl).id);
begin
  if p_target.wanted is not null then perform m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{U}', v_lock); end if;
  if v_taken > 0 and m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{T}', v_lock) < v_taken then
    raise exception 'nobody''s rows were changed meanwhile' using errcode = 'lock_not_available';
  end if;
  if p_target.wanted is not null or v_lock <> 'update' then
    perform m23.lock_rows(p_target, p_tenant, v_diff, v_match, '{D,R}', 'update');
  end if;
end $$;
