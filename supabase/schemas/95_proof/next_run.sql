create function m23.next_run(p_frequency text, p_zone text, p_after timestamptz, p_minute int default 0)
returns timestamptz
language plpgsql stable as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency, p_minute);
  v_day      date := m23.next_day(v_calendar, (p_after at time zone p_zone)::date - 1);
  v_next     timestamptz;
begin
  while v_day is not null loop
    v_next := m23.next_on(v_calendar, v_day, p_zone, p_after);
    if v_next is not null then return v_next; end if;
    v_day := m23.next_day(v_calendar, v_day + 1);
  end loop;
  return null;
end $$;
comment on function m23.next_run(text, text, timestamptz, int) is
  'The first time after p_after at which a frequency (cron, or hourly, daily, weekly, monthly) is due in a time zone; '
  'null when never.';
