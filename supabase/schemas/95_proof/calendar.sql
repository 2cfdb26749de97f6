-- The calendar: when something that is due every so often is due next, in a time zone.

create type m23.calendar as (
  minutes  int[],
  hours    int[],
  days     int[],
  months   int[],
  weekdays int[],     -- 0: Sunday
  either   boolean,   -- a day of the month or a weekday; else both
  every_hour boolean  -- runs by elapsed time: an hour that comes twice has runs of its own
);

-- A number of a cron field, or the place of a name; null for what is neither. p_low: the field's least value.
create function m23.cron_number(p_text text, p_low int, p_names text[]) returns int
language plpgsql immutable as $$
begin
  return case when p_text ~ '^\d{1,2}$' then p_text::int else array_position(p_names, p_text) - 1 + p_low end;
end $$;

-- What names no time comes at a minute of the day that is its own, so that not all come at once.
create function m23.cron_of(p_frequency text, p_minute int default 0) returns text
language plpgsql immutable as $$
begin
  return case p_frequency
    when 'hourly' then format('%s * * * *', p_minute % 60)
    when 'daily' then format('%s %s * * *', p_minute % 60, p_minute / 60)
    when 'weekly' then format('%s %s * * 0', p_minute % 60, p_minute / 60)
    when 'monthly' then format('%s %s 1 * *', p_minute % 60, p_minute / 60)
    else p_frequency end;
end $$;

-- The shortest time between two runs, in minutes, clocks aside.
create function m23.shortest_distance(p_calendar m23.calendar) returns int
language sql immutable as $$
  select least(
    (select min(m - before) from (select m, lag(m) over (order by m) from unnest(p_calendar.minutes) m) r (m, before)),
    -- From the last run of an hour to the first of the next.
    (select p_calendar.minutes[1] + 60 - p_calendar.minutes[cardinality(p_calendar.minutes)]
      where exists (select from unnest(p_calendar.hours) h where (h + 1) % 24 = any (p_calendar.hours))))
$$;

-- The instants of a local time: one as a rule. Where clocks go back two have the same local
-- time: what runs at fixed hours takes the first. Where they go forward none has it: what runs
-- at fixed hours is moved on by the gap, what runs every hour has no such hour.
create function m23.instants(p_local timestamp, p_zone text, p_every_hour boolean) returns setof timestamptz
language sql stable as $$
  with near (at) as (select (p_local at time zone p_zone) + make_interval(mins => m)
                       from unnest('{-180,-120,-60,-30,0,30,60,120,180}'::int[]) m),
       same (at) as (select at from near where at at time zone p_zone = p_local)
  select at from same where p_every_hour
  union all
  select coalesce((select min(at) from same), p_local at time zone p_zone) where not p_every_hour
$$;

-- Whether the clocks stand still on a day and three hours around it: each of its times comes once.
create function m23.is_plain_day(p_day date, p_zone text) returns boolean
language plpgsql stable as $$
begin
  return (p_day + interval '27 hours') at time zone p_zone - (p_day - interval '3 hours') at time zone p_zone
         = interval '30 hours';
end $$;

-- The first of a calendar's times of a day that is later than another; null when none is.
create function m23.next_time(p_calendar m23.calendar, p_after time) returns time
language plpgsql immutable as $$
declare
  v_hour   int := extract(hour from p_after);
  v_minute int := (select min(m) from unnest(p_calendar.minutes) m where m > extract(minute from p_after));
begin
  if v_minute is null or v_hour <> all (p_calendar.hours) then
    v_hour := (select min(h) from unnest(p_calendar.hours) h where h > v_hour);
    v_minute := p_calendar.minutes[1];
  end if;
  return make_time(v_hour, v_minute, 0);
end $$;
