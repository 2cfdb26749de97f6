-- When something is due next: cron expressions, time zones, and clocks that are put forward and back.
begin;
select no_plan();

create function pg_temp.next(p_frequency text, p_after text, p_zone text default 'UTC') returns text
language sql as $$ select to_char(m23.next_run(p_frequency, p_zone, p_after::timestamptz) at time zone p_zone, 'YYYY-MM-DD HH24:MI') $$;

create function pg_temp.at(p_frequency text, p_minute int) returns text language sql as
$$ select to_char(m23.next_run(p_frequency, 'UTC', '2026-01-01 10:30Z', p_minute) at time zone 'UTC',
    'YYYY-MM-DD HH24:MI') $$;

-- The runs of a frequency, as instants.
create function pg_temp.runs(p_frequency text, p_zone text, p_from timestamptz, p_until timestamptz) returns setof timestamptz
language sql as $$
  with recursive r (at) as (select m23.next_run(p_frequency, p_zone, p_from) union all select m23.next_run(p_frequency, p_zone, at) from r where at < p_until)
  select at from r where at < p_until
$$;

select is(pg_temp.next(f, a), n, format('%s after %s', f, a)) from (values
  ('hourly', '2026-01-01 10:00Z', '2026-01-01 11:00'),
  ('hourly', '2026-01-01 10:59:59.999Z', '2026-01-01 11:00'),
  ('daily', '2026-01-01 00:00Z', '2026-01-02 00:00'),
  ('weekly', '2026-01-01 10:00Z', '2026-01-04 00:00'),
  ('monthly', '2026-01-31 10:00Z', '2026-02-01 00:00'),
  ('* * * * *', '2026-01-01 10:00:30Z', '2026-01-01 10:01'),
  ('*/15 * * * *', '2026-01-01 10:45Z', '2026-01-01 11:00'),
  ('5/20 * * * *', '2026-01-01 10:06Z', '2026-01-01 10:25'),
  ('0 3 * * *', '2026-12-31 03:00Z', '2027-01-01 03:00'),
  ('30 1,13 * * *', '2026-01-01 02:00Z', '2026-01-01 13:30'),
  ('0 9-17/4 * * *', '2026-01-01 09:00Z', '2026-01-01 13:00'),
  ('0 0 * * mon-fri', '2026-01-02 12:00Z', '2026-01-05 00:00'),
  ('0 0 * * 7', '2026-01-01 00:00Z', '2026-01-04 00:00'),
  ('0 0 * * SUN', '2026-01-01 00:00Z', '2026-01-04 00:00'),
  ('0 0 31 * *', '2026-02-01 00:00Z', '2026-03-31 00:00'),
  ('0 0 29 2 *', '2026-01-01 00:00Z', '2028-02-29 00:00'),
  ('0 0 29 feb *', '2097-01-01 00:00Z', '2104-02-29 00:00'),
  ('0 0 13 * fri', '2026-01-01 00:00Z', '2026-01-02 00:00'),
  ('0 0 13 * *', '2026-01-01 00:00Z', '2026-01-13 00:00'),
  ('0 0 */2 * fri', '2026-01-03 00:00Z', '2026-01-09 00:00'),
  ('59 23 31 dec *', '2026-12-31 23:59Z', '2027-12-31 23:59'),
  ('  0   4  *  *  * ', '2026-01-01 05:00Z', '2026-01-02 04:00')) c (f, a, n);

select is(pg_temp.next(f, '2026-01-01Z'), null, format('what never comes is never due: %s', f))
  from unnest(array['0 0 30 2 *', '0 0 30-31 feb *', '0 0 31 2,4,6,9,11 *']) f;
select is(pg_temp.next('0 0 29 2 */7', '2026-01-01Z'), '2032-02-29 00:00', 'a 29 February that is a Sunday');
select is(pg_temp.next('0 0 29 2 */7', '2088-03-01Z'), '2128-02-29 00:00', 'is waited for over 40 years');

-- Lists are sets: what is said again costs nothing.
select is(m23.cron_values('5,*,1-3,5', 1, 5), '{1,2,3,4,5}', 'each value of a list counts once, in order');
select is(m23.calendar_of('0 0 1 1 ' || repeat('1,', 96) || '1') is null, true,
    'an expression has at most 200 characters');
select is(m23.calendar_of('0 0 1 1 ' || repeat('1,', 95) || '01') is null, false, 'and may have 200');

-- What names no time has one of its own.
select is(pg_temp.at(f, m), n, format('%s at minute %s of the day', f, m)) from (values
  ('hourly', 0, '2026-01-01 11:00'), ('hourly', 605, '2026-01-01 11:05'), ('hourly', 59, '2026-01-01 10:59'),
  ('daily', 605, '2026-01-02 10:05'), ('daily', 1439, '2026-01-01 23:59'),
  ('weekly', 605, '2026-01-04 10:05'), ('monthly', 605, '2026-02-01 10:05'), ('0 3 * * *', 605, '2026-01-02 03:00')) c
      (f, m, n);

select is(m23.shortest_distance(m23.calendar_of(f)), d, format('%s: %s minutes apart', f, d)) from (values
  ('* * * * *', 1), ('*/5 * * * *', 5), ('*/7 * * * *', 4), ('0,58 * * * *', 2), ('0,58 3 * * *', 58),
      ('0,58 3,4 * * *', 2), ('0,57 0,23 * * *', 3),
  ('0 * * * *', 60), ('0 3 * * *', null), ('hourly', 60), ('daily', null)) c (f, d);

select is(m23.calendar_of(f) is null, true, format('"%s" is no frequency', f)) from (values
  (''), ('yearly'), ('Daily'), ('@daily'), ('* * * *'), ('* * * * * *'), ('60 * * * *'), ('* 24 * * *'), ('* * 0 * *'), ('* * 32 * *'), ('* * * 13 *'),
  ('* * * 0 *'), ('* * * * 8'), ('5-1 * * * *'), ('*/0 * * * *'), ('*-5 * * * *'), ('1,,2 * * * *'), (', * * * *'), ('a * * * *'), ('* * * * mond'),
  ('-1 * * * *'), ('1.5 * * * *'), ('* * * jan-xyz *'), ('0 0 * * ; drop'), ('1-2-3 * * * *')) c (f);

-- Zones.
select is(m23.next_run('0 3 * * *', 'Asia/Kolkata', '2026-01-01 00:00Z'), '2026-01-01 21:30Z', 'a zone of half an hour');
select is(m23.next_run('0 0 * * *', 'America/New_York', '2026-01-01 04:59Z'), '2026-01-01 05:00Z', 'midnight of the zone');
select is(m23.next_run('0 0 1 * *', 'Pacific/Auckland', '2026-01-30 11:00Z'), '2026-01-31 11:00Z', 'the first of the month is the zone''s');

-- Clocks forward: 02:00 becomes 03:00 in Berlin on 2026-03-29.
select results_eq($$ select pg_temp.runs('30 2 * * *', 'Europe/Berlin', '2026-03-28 00:00Z', '2026-03-31 00:00Z') $$,
  $$ values ('2026-03-28 01:30Z'::timestamptz), ('2026-03-29 01:30Z'), ('2026-03-30 00:30Z') $$, 'a time that does not exist runs once, after the gap');
select results_eq($$ select pg_temp.runs('30 2,3 * * *', 'Europe/Berlin', '2026-03-29 00:00Z', '2026-03-30 00:00Z') $$,
  $$ values ('2026-03-29 01:30Z'::timestamptz) $$, 'and not once more where it falls on another run');
select is((select count(*) from pg_temp.runs('hourly', 'Europe/Berlin', '2026-03-28 22:59Z', '2026-03-29 22:00Z')), 23::bigint, 'that day has 23 hours');
select is((select max(lead - at) from (select at, lead(at) over (order by at) as lead from pg_temp.runs('hourly', 'Europe/Berlin', '2026-03-28 12:00Z', '2026-03-30 12:00Z') at) r),
  interval '1 hour', 'hourly is every hour, clocks forward');

-- Clocks back: 03:00 becomes 02:00 in Berlin on 2026-10-25.
select results_eq($$ select pg_temp.runs('30 2 * * *', 'Europe/Berlin', '2026-10-24 12:00Z', '2026-10-26 12:00Z') $$,
  $$ values ('2026-10-25 00:30Z'::timestamptz), ('2026-10-26 01:30Z') $$, 'a time that occurs twice runs once, the first time');
select is((select count(*) from pg_temp.runs('hourly', 'Europe/Berlin', '2026-10-24 21:59Z', '2026-10-25 23:00Z')), 25::bigint, 'that day has 25 hours');
select is((select max(lead - at) from (select at, lead(at) over (order by at) as lead from pg_temp.runs('*/30 * * * *', 'Europe/Berlin', '2026-10-24 12:00Z', '2026-10-26 12:00Z') at) r),
  interval '30 minutes', 'every half hour is every half hour, clocks back');
select results_eq($$ select pg_temp.runs('15 1 * * *', 'America/New_York', '2026-10-31 12:00Z', '2026-11-02 12:00Z') $$,
  $$ values ('2026-11-01 05:15Z'::timestamptz), ('2026-11-02 06:15Z') $$, 'west of Greenwich as well');

-- Half an hour of summer time, and a midnight that does not exist.
select results_eq($$ select pg_temp.runs('45 1 * * *', 'Australia/Lord_Howe', '2026-04-04 00:00Z', '2026-04-06 00:00Z') $$,
  $$ values ('2026-04-04 14:45Z'::timestamptz), ('2026-04-05 15:15Z') $$, 'half an hour back');
select results_eq($$ select pg_temp.runs('0 0 * * *', 'Africa/Cairo', '2026-04-22 12:00Z', '2026-04-25 12:00Z') $$,
  $$ values ('2026-04-22 22:00Z'::timestamptz), ('2026-04-23 22:00Z'), ('2026-04-24 21:00Z') $$, 'a day without midnight has its daily run');
select results_eq($$ select pg_temp.runs('30 23 * * *', 'Europe/Dublin', '2026-10-24 00:00Z', '2026-10-26 00:00Z') $$,
  $$ values ('2026-10-24 22:30Z'::timestamptz), ('2026-10-25 23:30Z') $$, 'a zone whose winter is the exception');
select results_eq($$ select pg_temp.runs('30 1 * * *', 'Europe/Dublin', '2026-10-25 00:00Z', '2026-10-25 12:00Z') $$,
  $$ values ('2026-10-25 00:30Z'::timestamptz) $$, 'takes the first of two, too');

-- Whatever the frequency, the next run is later, and there is none between.
select is_empty($$ select f, at from unnest(array['hourly', 'daily', '*/7 3-5 * * *', '30 2 * * sun', '0 0 28-31 * *']) f,
    generate_series('2026-03-27Z'::timestamptz, '2026-03-31Z', interval '47 minutes') at
  where m23.next_run(f, 'Europe/Berlin', at) <= at
     or m23.next_run(f, 'Europe/Berlin', at) is distinct from m23.next_run(f, 'Europe/Berlin', m23.next_run(f, 'Europe/Berlin', at) - interval '1 millisecond') $$,
  'the next run is the next run of every time before it');

select * from finish();
rollback;
