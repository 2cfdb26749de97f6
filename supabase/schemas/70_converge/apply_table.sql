-- Updates and inserts, the deletes being done. Unique values that rows exchange among
-- themselves defeat an UPDATE: then the changed rows are deleted and inserted. What still
-- collides has been written by another tenant since the plan: it is made anew.
create function m23.apply_table(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql as $$
begin
  perform m23.exchange_fixed(p_target);
  begin
    return m23.write_diff(p_target, p_tenant, p_quiet);
  exception when unique_violation or exclusion_violation then
    execute format('update %s set m23_op = ''R'' where m23_op in (''U'', ''T'')', m23.diff_name(p_target.tbl));
  end;
  begin
    return m23.write_diff(p_target, p_tenant, p_quiet);
  exception when unique_violation or exclusion_violation then
    if m23.leave_claimed(p_target, p_tenant) = 0 then raise; end if;
  end;
  raise exception 'another tenant has taken a value meanwhile' using errcode = 'lock_not_available';
end $$;
