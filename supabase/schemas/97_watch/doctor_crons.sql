-- Whether the functions' clocks come.
create function m23.doctor_crons() returns setof m23.finding
language sql stable as $$
  select 'cron ' || c.name,
         case when c.late then 'problem' when not c.ok then 'warning' else 'ok' end,
         case when c.late and not c.came then format('late: it has never come, in %s seconds', c.age)
              when c.late then format('late: it came %s seconds ago, and should every minute', c.age)
              when not c.came then 'it has not come yet'
              when not c.ok then format('it came %s seconds ago and failed: %s', c.age, c.error)
              else format('it came %s seconds ago', c.age) end,
         case when c.late
              then format('deploy the function %s with its cron trigger, and look at its log; until then %s', c.name,
                     case c.name when 'backup-create' then 'no plan''s backup begins, and interrupted ones wait'
                                 when 'recovery-test' then 'no plan''s test begins, and interrupted ones wait'
                                 else 'interrupted restores wait, and old log is not dropped' end)
              when not c.ok then format('look at the log of the function %s', c.name) end
    from m23.crons() c order by c.name
$$;
