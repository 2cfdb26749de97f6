-- A time that a clock which was ahead has taken is still to come, and what was put off by that clock is
-- due by the one of now; so is a test whose time was taken away. Gives how many plans it was.
create function m23.mend_due_times() returns int
language plpgsql volatile as $$
declare
  v_now   timestamptz := clock_timestamp();  -- a variable, for the indexes to be used
  v_plans uuid[];
begin
  delete from m23.plan_runs where ctid = any (array(
    select ctid from m23.plan_runs where due_at < v_now - interval '30 days' limit 1000 for update skip locked));
  v_plans := array(select p.id from public.dr_plans p
    where p.id = any (array(select r.plan_id from m23.plan_runs r where r.due_at > v_now limit 100)
                   || array(select n.id from public.dr_plans n where n.is_active and n.next_test_date is null
                            limit 100))
      for update skip locked);
  delete from m23.plan_runs where due_at > v_now and plan_id = any (v_plans);
  update public.dr_plans p
     set next_backup_date = least(p.next_backup_date, m23.due_anew(p, 'backup')),
         next_test_date = least(p.next_test_date, m23.due_anew(p, 'test'))
   where p.is_active and p.id = any (v_plans);
  return cardinality(v_plans);
end $$;
