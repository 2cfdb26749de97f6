-- What is wrong with a frequency, named as p_name; null for nothing.
create function m23.frequency_fault(p_name text, p_frequency text, p_zone text) returns text
language plpgsql stable as $$
declare
  v_calendar m23.calendar := m23.calendar_of(p_frequency);
  v_distance int := m23.shortest_distance(v_calendar);
begin
  return case
    when p_frequency is null then p_name || ': is required'
    when char_length(p_frequency) > 200 then p_name || ': must have at most 200 characters'
    when v_calendar is null
      then format('%s: "%s" is neither a cron expression of five fields nor one of hourly, daily, weekly, monthly',
                  p_name, p_frequency)
    when v_distance < 5
      then format('%s: "%s" comes %s after another; at least 5 minutes must lie between', p_name, p_frequency,
          case v_distance when 1 then 'a minute' else v_distance || ' minutes' end)
    when m23.next_run(p_frequency, p_zone, now()) is null then format('%s: "%s" never comes', p_name, p_frequency) end;
end $$;
