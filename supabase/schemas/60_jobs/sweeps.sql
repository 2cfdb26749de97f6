-- Upkeep, every minute: what dead workers have left behind, what is past its time, and capture
-- that was switched off. Gives how much of each there was; nothing that is none. What is old goes in bounded shares.

-- Deletes requests that are older than request_days, a share of them; gives how many.
create function m23.sweep_requests() returns bigint
language plpgsql as $$
declare v_count bigint;
begin
  delete from m23.requests where ctid = any (array(
    select ctid from m23.requests
     where counted_at < clock_timestamp() - make_interval(days => m23.setting('request_days')::int) limit 10000));
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- One step of the upkeep: one that fails takes back nothing that another has done. Null: it failed.
create function m23.sweep_step(p_function name) returns bigint
language plpgsql as $$
declare v_count bigint;
begin
  execute format('select m23.%I()', p_function) into v_count;
  return coalesce(v_count, 0);
exception when others or query_canceled then
  raise log 'm23: the upkeep failed in %: % (%)', p_function, sqlerrm, sqlstate;
  return null;
end $$;
