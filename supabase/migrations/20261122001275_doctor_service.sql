-- What the doctor says of the service as a whole: its jobs, its plans, its tenants, its alerts.

create function m23.doctor_service() returns setof m23.finding
language sql volatile set search_path = '' as $$
  select * from m23.doctor_versions()
  union all select * from m23.doctor_crons()
  union all select * from m23.doctor_plans()
  union all select * from m23.doctor_fleet()
  union all select * from m23.doctor_log_size()
  union all select * from m23.doctor_alerts()
$$;

select m23.close_functions();
