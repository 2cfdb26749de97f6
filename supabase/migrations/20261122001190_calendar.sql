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

create function m23.cron_number(p_text text, p_low int, p_names text[]) returns int
language plpgsql immutable set search_path = '' as $$
begin
  return case when p_text ~ '^\d{1,2}$' then p_text::int else array_position(p_names, p_text) - 1 + p_low end;
end $$;

-- The values of one field of a cron expression, in order and each once; null when it is none.
create function m23.cron_values(p_field text, p_low int, p_high int, p_names text[] default '{}') returns int[]
language plpgsql immutable set search_path = '' as $$
declare
  v_part   text;
  v_match  text[];
  v_from   int;
  v_to     int;
  v_values int[] := '{}';
begin
  foreach v_part in array string_to_array(lower(p_field), ',') loop
    v_match := regexp_match(v_part, '^(\*|\w+)(?:-(\w+))?(?:/(\d{1,2}))?$');
    v_from := case v_match[1] when '*' then p_low else m23.cron_number(v_match[1], p_low, p_names) end;
    v_to := case when v_match[1] = '*' then p_high when v_match[2] is not null then m23.cron_number(v_match[2], p_low, p_names)
                 when v_match[3] is not null then p_high else v_from end;
    if v_from between p_low and p_high and v_to between v_from and p_high and coalesce(v_match[3]::int, 1) > 0
       and not (v_match[1] = '*' and v_match[2] is not null) then
      v_values := v_values || array(select generate_series(v_from, v_to, coalesce(v_match[3]::int, 1)));
    else
      return null;
    end if;
  end loop;
  return array(select distinct v from unnest(v_values) v order by v);
end $$;

-- What names no time comes at a minute of the day that is its own, so that not all come at once.
create function m23.cron_of(p_frequency text, p_minute int default 0) returns text
language plpgsql immutable set search_path = '' as $$
begin
  return case p_frequency
    when 'hourly' then format('%s * * * *', p_minute % 60)
    when 'daily' then format('%s %s * * *', p_minute % 60, p_minute / 60)
    when 'weekly' then format('%s %s * * 0', p_minute % 60, p_minute / 60)
    when 'monthly' then format('%s %s 1 * *', p_minute % 60, p_minute / 60)
    else p_frequency end;
end $$;

create function m23.calendar_of(p_frequency text, p_minute int default 0) returns m23.calendar
language plpgsql immutable set search_path = '' as $$
declare
  v_field    text[];
  v_calendar m23.calendar;
begin
  if p_frequency is null or char_length(p_frequency) > 200 then return null; end if;
  v_field := regexp_split_to_array(trim(m23.cron_of(p_frequency, p_minute)), '\s+');
  if cardinality(v_field) <> 5 then return null; end if;
  v_calendar := row(m23.cron_values(v_field[1], 0, 59), m23.cron_values(v_field[2], 0, 23),
    m23.cron_values(v_field[3], 1, 31),
    m23.cron_values(v_field[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'),
    (select array_agg(distinct d % 7)
       from unnest(m23.cron_values(v_field[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) d),
    v_field[3] not like '*%' and v_field[5] not like '*%', v_field[2] = '*');
  return case when v_calendar is not null then v_calendar end;  -- every field of it
end $$;
comment on function m23.calendar_of(text, int) is
  'A cron expression of five fields, or hourly, daily, weekly, monthly at a minute of the day, taken apart; null for others.';

-- The shortest time between two runs, in minutes, clocks aside.
create function m23.shortest_distance(p_calendar m23.calendar) returns int
language sql immutable set search_path = '' as $$
  select least(
    (select min(m - before) from (select m, lag(m) over (order by m) from unnest(p_calendar.minutes) m) r (m, before)),
    -- From the last run of an hour to the first of the next.
    (select p_calendar.minutes[1] + 60 - p_calendar.minutes[cardinality(p_calendar.minutes)]
      where exists (select from unnest(p_calendar.hours) h where (h + 1) % 24 = any (p_calendar.hours))))
$$;

-- The first day from p_from on that a calendar names; null when there is none in 41 years: a weekday's 29 February
-- comes after 40 at most.
create function m23.next_day(p_calendar m23.calendar, p_from date) returns date
language plpgsql immutable set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_from  int := extract(year from p_from);
  v_first date;
  v_day   date;
  v_month int;
begin
  for v_year in v_from..v_from + 41 loop
    foreach v_month in array p_calendar.months loop
      v_first := make_date(v_year, v_month, 1);
      continue when not p_calendar.either and v_first + p_calendar.days[1] > v_first + interval '1 month';
      v_day := (select min(d) from (select v_first + n from generate_series(greatest(0, p_from - v_first), 30) n) m (d),
                                   lateral (select extract(day from d) = any (p_calendar.days),
                                                   extract(dow from d) = any (p_calendar.weekdays)) named (day, weekday)
                 where extract(month from d) = v_month
                   and case when p_calendar.either then named.day or named.weekday else named.day and named.weekday end);
      if v_day is not null then return v_day; end if;
    end loop;
  end loop;
  return null;
end $$;

-- The instants of a local time: one as a rule. Where clocks go back two have the same local
-- time: what runs at fixed hours takes the first. Where they go forward none has it: what runs
-- at fixed hours is moved on by the gap, what runs every hour has no such hour.
create function m23.instants(p_local timestamp, p_zone text, p_every_hour boolean) returns setof timestamptz
language sql stable set search_path = '' as $$
  with near (at) as (select (p_local at time zone p_zone) + make_interval(mins => m) from unnest('{-180,-120,-60,-30,0,30,60,120,180}'::int[]) m),
       same (at) as (select at from near where at at time zone p_zone = p_local)
  select at from same where p_every_hour
  union all
  select coalesce((select min(at) from same), p_local at time zone p_zone) where not p_every_hour
$$;

-- Whether the clocks stand still on a day and three hours around it: each of its times comes once.
create function m23.is_plain_day(p_day date, p_zone text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return (p_day + interval '27 hours') at time zone p_zone - (p_day - interval '3 hours') at time zone p_zone
         = interval '30 hours';
end $$;

-- The first of a calendar's times of a day that is later than another; null when none is.
create function m23.next_time(p_calendar m23.calendar, p_after time) returns time
language plpgsql immutable set search_path = '' as $$
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

-- The first run of a day after p_after; null when there is none. Where the clocks change, times do not come in their
-- order: those of a few hours are looked at.
create function m23.next_on(p_calendar m23.calendar, p_day date, p_zone text, p_after timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
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

create function m23.next_run(p_frequency text, p_zone text, p_after timestamptz, p_minute int default 0)
returns timestamptz
language plpgsql stable set search_path = '' as $$
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
  'The first time after p_after at which a frequency (cron, or hourly, daily, weekly, monthly) is due in a time zone; null when never.';

select m23.close_functions();
