-- open to: service_role
create function public.m23_begin_scheduled_backups() returns int
language sql volatile security definer set row_security = off set statement_timeout = '30s' as
$$ select m23.follow_plans('backup') $$;
comment on function public.m23_begin_scheduled_backups() is
  'For the clock: begins a share of the backups that plans say are due. '
  'Gives how many plans it dealt with, 0 when none is due.';
