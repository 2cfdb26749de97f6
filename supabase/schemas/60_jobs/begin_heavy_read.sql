-- Begins a heavy read in the caller's name. The service key is not metered.
create function m23.begin_heavy_read(p_tenant text, p_kind text) returns void
language plpgsql volatile as $$
declare
  v_user     uuid := auth.uid();
  v_deadline timestamptz := clock_timestamp() + interval '2 seconds';
begin
  if v_user is null then return; end if;
  if m23.take_place('tenant and waiting.' || p_tenant, 6) then
    loop
      if m23.take_place(concat_ws('.', v_user, p_kind), 1) and m23.take_place('tenant.' || p_tenant, 3) then
        return;
      end if;
      exit when clock_timestamp() >= v_deadline;
      perform pg_sleep(0.05);
    end loop;
  end if;
  perform m23.refuse('UNAVAILABLE', 'other reads of this kind are under way in this tenant; try again shortly',
                     p_retry_after => 2);
end $$;
