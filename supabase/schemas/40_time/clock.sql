-- The clock, which may be set back: times that it has given twice are no moments.

create table m23.clock_steps (
  id          uuid primary key default gen_random_uuid(),
  since       timestamptz not null,
  until       timestamptz not null,
  incarnation uuid not null references m23.incarnations (id),
  check (since < until)
);
select m23.close_table('m23.clock_steps');
create index clock_steps_incarnation on m23.clock_steps (incarnation);
comment on table m23.clock_steps is
  'Times that came twice, because the clock was set back: no moment can be told by them.';

-- The time now. It is read last: whoever has noted a later tick has done so before, by a clock
-- that was ahead of this one. Ticks of times that came twice are no use.
create function m23.watched_clock() returns timestamptz
language plpgsql volatile as $$
declare
  v_life   uuid := m23.incarnation();
  v_newest timestamptz := (select max(at) from m23.ticks where incarnation = v_life);
  v_now    timestamptz := clock_timestamp();
begin
  if v_newest > v_now then
    insert into m23.clock_steps (since, until, incarnation)
      values (v_now, v_newest + make_interval(secs => case when m23.commit_times_are_native() then 60 else 1 end),
              v_life);
    delete from m23.ticks where incarnation = v_life and at >= v_now;
  end if;
  return v_now;
end $$;

-- Why a time is no moment; null when it is one.
create function m23.clock_fault(p_at timestamptz) returns text
language plpgsql volatile as $$
begin
  return (select format('the clock was set back, and the times from %s to %s came twice',
                        m23.iso(min(s.since)), m23.iso(max(s.until)))
            from m23.clock_steps s
           where s.incarnation = (select m23.incarnation()) and p_at >= s.since and p_at < s.until
          having count(*) > 0);
end $$;
