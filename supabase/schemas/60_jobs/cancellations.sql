-- A restore that somebody has cancelled goes no further. Read anew at every call: the wish
-- comes from another transaction.
create function m23.stop_if_cancelled(p_work uuid) returns void
language plpgsql volatile as $$
begin
  if exists (select from m23.cancellations where work_id = p_work) then
    raise exception 'cancelled' using errcode = 'query_canceled';
  end if;
end $$;

create table m23.cancellations (
  work_id uuid primary key,
  by      uuid not null,
  at      timestamptz not null default clock_timestamp()
);
select m23.close_table('m23.cancellations');
