-- The size of all logs, and how much was logged in a day of the last seven.
create function m23.log_size(out bytes bigint, out a_day bigint)
language plpgsql stable as $$
begin
  select coalesce(sum(pg_total_relation_size(c.oid)), 0) into bytes
    from pg_class c where c.relnamespace = 'm23_log'::regnamespace and c.relkind = 'r';
  select coalesce(sum(pg_total_relation_size(to_regclass(m23.log_name(p.table_id) || '_' || p.part)))
                  / greatest(1, extract(epoch from clock_timestamp() - min(p.opened_at)) / 86400), 0) into a_day
    from m23.log_parts p where p.opened_at > clock_timestamp() - interval '7 days';
end $$;

-- How large all logs are and how they grow, against their cap.
create function m23.doctor_log_size() returns setof m23.finding
language sql stable as $$
  select 'log size',
         case when s.bytes > cap.bytes * 0.8 then 'problem' when week.bytes > cap.bytes then 'warning' else 'ok' end,
         format('all logs have %s, and grow by %s a day; the cap is %s', pg_size_pretty(s.bytes),
                pg_size_pretty(s.a_day), pg_size_pretty(cap.bytes)),
         case when week.bytes > cap.bytes or s.bytes > cap.bytes * 0.8
              then 'give the disk more room and raise log_cap_bytes in m23.settings, or keep less: log_days, and '
                   'snapshots that are not needed' end
    from m23.log_size() s, (select m23.setting('log_cap_bytes')::bigint) cap (bytes),
         lateral (select s.bytes + s.a_day * 7) week (bytes)
$$;
