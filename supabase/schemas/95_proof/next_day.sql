-- The first day from p_from on that a calendar names; null when there is none in 41 years: a weekday's 29 February
-- comes after 40 at most.
create function m23.next_day(p_calendar m23.calendar, p_from date) returns date
language plpgsql immutable set plan_cache_mode = force_generic_plan as $$
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
                   and case when p_calendar.either then named.day or named.weekday
                            else named.day and named.weekday end);
      if v_day is not null then return v_day; end if;
    end loop;
  end loop;
  return null;
end $$;
