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
language sql immutable set search_path = '' as
$$ select case when p_text ~ '^\d{1,2}$' then p_text::int else array_position(p_names, p_text) - 1 + p_low end $$;

-- The values of one field of a cron expression: lists, ranges, steps, names; null when it is none.
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
  return v_values;
end $$;

create function m23.calendar_of(p_frequency text) returns m23.calendar
language plpgsql immutable set search_path = '' as $$
declare
  v_field text[] := regexp_split_to_array(trim(case p_frequency
    when 'hourly' then '0 * * * *' when 'daily' then '0 0 * * *' when 'weekly' then '0 0 * * 0' when 'monthly' then '0 0 1 * *'
    else p_frequency end), '\s+');
  v_calendar m23.calendar;
begin
  if cardinality(v_field) <> 5 then return null; end if;
  v_calendar := row(m23.cron_values(v_field[1], 0, 59), m23.cron_values(v_field[2], 0, 23), m23.cron_values(v_field[3], 1, 31),
    m23.cron_values(v_field[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'),
    (select array_agg(d % 7) from unnest(m23.cron_values(v_field[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) d),
    v_field[3] not like '*%' and v_field[5] not like '*%', v_field[2] = '*');
  return case when v_calendar is not null then v_calendar end;  -- every field of it
end $$;
comment on function m23.calendar_of(text) is
  'A cron expression of five fields, or hourly, daily, weekly, monthly, taken apart; null when it is none of them.';

create function m23.falls_on(p_calendar m23.calendar, p_day date) returns boolean
language sql immutable set search_path = '' as $$
  select extract(month from p_day) = any (p_calendar.months) and case
    when p_calendar.either then extract(day from p_day) = any (p_calendar.days) or extract(dow from p_day) = any (p_calendar.weekdays)
    else extract(day from p_day) = any (p_calendar.days) and extract(dow from p_day) = any (p_calendar.weekdays) end
$$;

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

create function m23.next_run(p_frequency text, p_zone text, p_after timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency);
  v_first    date := (p_after at time zone p_zone)::date - 1;
  v_next     timestamptz;
begin
  if v_calendar is null then return null; end if;
  for n in 0..3000 loop  -- eight years: from one 29 February to the next
    if m23.falls_on(v_calendar, v_first + n) then
      select min(i) into v_next
        from unnest(v_calendar.hours) h, unnest(v_calendar.minutes) m, m23.instants(v_first + n + make_time(h, m, 0), p_zone, v_calendar.every_hour) i
       where i > p_after;
      if v_next is not null then return v_next; end if;
    end if;
  end loop;
  return null;
end $$;
comment on function m23.next_run(text, text, timestamptz) is
  'The first time after p_after at which a frequency (cron, or hourly, daily, weekly, monthly) is due in a time zone; null when never.';

select m23.close_functions();
