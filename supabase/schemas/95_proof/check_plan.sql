-- A plan that is new, switched on again, or has another frequency or zone is due from now on;
-- its first test when it says so itself.
create function m23.check_plan() returns trigger
language plpgsql security definer set row_security = off as $$
declare
  v_faults text[] := m23.plan_faults(new);
  v_anew   boolean;
begin
  if cardinality(v_faults) > 0 then
    perform m23.refuse('VALIDATION_FAILED', 'the plan cannot be kept as it is', v_faults);
  end if;
  if tg_op = 'INSERT' then
    perform m23.refuse_many_plans(new.tenant_id);
  end if;
  v_anew := tg_op = 'INSERT' or new.is_active and not old.is_active or new.time_zone <> old.time_zone;
  if v_anew or new.backup_frequency <> old.backup_frequency then
    new.next_backup_date := m23.next_due(new, 'backup', now());
  end if;
  if (v_anew or new.test_frequency <> old.test_frequency)
     and new.next_test_date is not distinct from (case when tg_op = 'UPDATE' then old.next_test_date end) then
    new.next_test_date := m23.next_due(new, 'test', now());
  end if;
  return new;
end $$;
