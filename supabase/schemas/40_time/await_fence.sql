-- Waits for the fence a second at a time, to see whether somebody cancels meanwhile.
create function m23.await_fence(p_tenant text, p_work uuid, p_deadline timestamptz) returns void
language plpgsql volatile as $$
begin
  loop
    begin
      perform set_config('lock_timeout', '1s', true);
      perform m23.take_fence(p_tenant);
      return;
    exception when lock_not_available then
      if clock_timestamp() > p_deadline then raise; end if;
    end;
    perform m23.stop_if_cancelled(p_work);
    perform pg_sleep(0.02);
  end loop;
end $$;
