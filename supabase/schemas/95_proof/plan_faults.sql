-- Everything that is wrong with a plan.
create function m23.plan_faults(p_plan public.dr_plans) returns text[]
language sql stable as $$
  select array_remove(array[
    case when coalesce(char_length(p_plan.plan_name), 0) not between 1 and 200
           then 'plan_name: must have 1 to 200 characters' end,
    case when char_length(p_plan.description) > 2000 then 'description: must have at most 2000 characters' end,
    case when p_plan.rto_minutes between 1 and 52560000 then null
         else 'rto_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when p_plan.rpo_minutes between 1 and 52560000 then null
         else 'rpo_minutes: must be a number of minutes, from 1 to 52560000 (a hundred years)' end,
    case when not coalesce(cardinality(p_plan.backup_types) > 0
                           and p_plan.backup_types <@ array['full', 'incremental', 'snapshot'], false)
      then 'backup_types: must name one or more of full, incremental, snapshot' end,
    case when p_plan.retention_days between 1 and 36500 then null
         else 'retention_days: must be a number of days, from 1 to 36500 (a hundred years)' end,
    case when not zone.known then format('time_zone: "%s" is not a time zone such as Europe/Berlin',
        left(p_plan.time_zone, 100)) end,
    m23.frequency_fault('backup_frequency', p_plan.backup_frequency, zone.usable),
    m23.frequency_fault('test_frequency', p_plan.test_frequency, zone.usable)], null)
    from (select known, case when known then p_plan.time_zone else 'UTC' end
            from (select coalesce(m23.is_zone(p_plan.time_zone), false)) z (known)) zone (known, usable)
$$;
