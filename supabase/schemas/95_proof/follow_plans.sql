-- A share of what is due: of one to 50 plans, and for a second, so that a call ends within two. Gives how many plans
-- it has dealt with; none: nothing is due.
create function m23.follow_plans(p_kind text) returns int
language plpgsql volatile as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
  v_count int := m23.mend_due_times();
  v_begun int := 0;
  v_plan  public.dr_plans;
  v_like  uuid;
begin
  if p_kind = 'backup' and exists (select from public.dr_plans where is_active and next_backup_date <= v_now) then
    perform m23.lock_tables(array(select relid from m23.protected_tables));  -- once, for all of them
  end if;
  for v_plan in select * from m23.due_plans(p_kind, 50) loop
    exit when v_begun > 0 and clock_timestamp() > v_until;
    if p_kind = 'backup' then
      v_like := coalesce(m23.begin_run(v_plan, p_kind, v_plan.next_backup_date, v_like), v_like);
      update public.dr_plans set next_backup_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    else
      perform m23.begin_run(v_plan, p_kind, v_plan.next_test_date, null);
      update public.dr_plans set next_test_date = m23.due_anew(v_plan, p_kind) where id = v_plan.id;
    end if;
    v_begun := v_begun + 1;
  end loop;
  return v_count + v_begun;
end $$;
