-- open to: service_role
create function public.m23_health() returns jsonb
language sql stable security definer set row_security = off as $$
  select jsonb_build_object('version', m23.version(),
                            'works', m23.calling_version() is null or m23.works_with(m23.calling_version()),
                            'late', coalesce(bool_or(c.late), false),
                            'cron', coalesce(jsonb_object_agg(c.name, c.age), '{}'))
    from m23.crons() c
$$;
comment on function public.m23_health() is
  'For the functions'' health endpoint: the version, whether it works with the functions, and the age of each '
  'job of the clock.';
