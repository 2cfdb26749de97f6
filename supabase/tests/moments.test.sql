-- To find a moment takes one look at the ticks, however many there are: what is asked of the database's
-- life is asked once, and not for each of them.
begin;
select plan(2);
set local track_functions = 'all';
set local enable_indexscan = off;  -- the plan of a server that has no statistics yet: all ticks are read
set local enable_bitmapscan = off;

delete from m23.ticks;
insert into m23.ticks (at, position, incarnation, native)
  select clock_timestamp() - n * interval '1 minute', pg_current_snapshot(), m23.incarnation(), m23.commit_times_are_native() from generate_series(1, 2000) n;

create function pg_temp.lives_asked() returns bigint language sql as $$
  select coalesce(sum(pg_stat_get_xact_function_calls(p.oid)), 0)::bigint from pg_proc p where p.proname = 'fingerprint' and p.pronamespace = 'm23'::regnamespace
$$;
create temp table before as select pg_temp.lives_asked() as asked;
select ok((m23.moment_at(clock_timestamp() - interval '10 minutes')).position is not null, 'a time between ticks is a moment');
select ok(pg_temp.lives_asked() - asked between 1 and 5, 'the life of the database was asked for a few times, not for each tick') from before;
select * from finish();
rollback;
