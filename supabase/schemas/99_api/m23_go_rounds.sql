-- open to: service_role
create function public.m23_go_rounds() returns int
language plpgsql volatile security definer set row_security = off
set statement_timeout = '30s' as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz := v_now + interval '1 second';
begin
  return m23.go_round('default plans', date_bin('10 minutes', v_now, 'epoch'), 'm23.give_default_plan(text)', v_until)
       + m23.go_round('retention', date_trunc('hour', v_now), 'm23.retire_backups(text)', v_until)
       + m23.go_round('health', date_trunc('day', v_now, 'UTC'), 'm23.note_day(text)', v_until);
end $$;
comment on function public.m23_go_rounds() is
  'For the clock: a share of what is done for every tenant (default plans, retention, the health of the day). '
  'Gives for how many, 0 when all is done.';
