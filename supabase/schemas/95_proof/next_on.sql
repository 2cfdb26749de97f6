-- The first run of a day after p_after; null when there is none. Where the clocks change, times do not come in their
-- order: those of a few hours are looked at.
create function m23.next_on(p_calendar m23.calendar, p_day date, p_zone text, p_after timestamptz) returns timestamptz
language plpgsql stable as $$
declare
  v_after timestamp := p_after at time zone p_zone;
  v_hour  int;
  v_next  timestamptz;
begin
  if m23.is_plain_day(p_day, p_zone) then
    return (p_day + case when v_after < p_day then make_time(p_calendar.hours[1], p_calendar.minutes[1], 0)
                         when v_after::date = p_day then m23.next_time(p_calendar, v_after::time) end)
           at time zone p_zone;
  end if;
  foreach v_hour in array p_calendar.hours loop
    continue when p_day + make_time(v_hour, 0, 0) < v_after - interval '4 hours';
    exit when p_day + make_time(v_hour, 0, 0) > v_next at time zone p_zone + interval '1 hour';
    v_next := least(v_next, (select min(i)
                               from unnest(p_calendar.minutes) m,
                                    m23.instants(p_day + make_time(v_hour, m, 0), p_zone, p_calendar.every_hour) i
                              where i > p_after));
  end loop;
  return v_next;
end $$;
