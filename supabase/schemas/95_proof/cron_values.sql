-- The values of one field of a cron expression, in order and each once; null when it is none.
create function m23.cron_values(p_field text, p_low int, p_high int, p_names text[] default '{}') returns int[]
language plpgsql immutable as $$
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
    v_to := case when v_match[1] = '*' then p_high
                 when v_match[2] is not null then m23.cron_number(v_match[2], p_low, p_names)
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
