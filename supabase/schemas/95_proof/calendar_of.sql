create function m23.calendar_of(p_frequency text, p_minute int default 0) returns m23.calendar
language plpgsql immutable as $$
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
  'A cron expression of five fields, or hourly, daily, weekly, monthly at a minute of the day, taken apart; '
  'null for others.';
