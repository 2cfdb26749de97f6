-- open to: service_role
create function public.m23_watch() returns boolean
language plpgsql volatile security definer set row_security = off
set statement_timeout = '60s' as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('m23.watch', 0))
     or exists (select from m23.watches
                 where at > clock_timestamp() - make_interval(secs => m23.setting('watch_seconds')::int)) then
    return false;
  end if;
  insert into m23.watches (at) values (clock_timestamp()) on conflict (one) do update set at = excluded.at;
  perform m23.renew_alerts();
  perform m23.search_deletes();
  return true;
end $$;
comment on function public.m23_watch() is
  'For the clock: looks for what has to be told, and for what is over; false if somebody else just has.';
