-- Follows the coming and going of subscriptions, before their workers begin. Such a command has made or dropped a slot
-- on another server already and is never undone: what fails here is for the upkeep, with a gap.
create function m23.follow_subscriptions() returns void
language plpgsql as $$
declare v_table m23.protected_tables;
begin
  for v_table in
    select t.* from m23.protected_tables t
     where exists (select from pg_class where oid = t.relid)
       and (m23.misses_replication(t) or m23.replication_has_ended(t)) order by t.id
  loop
    begin
      perform m23.bring_up_to_date(v_table);
    exception when others then
      raise warning 'M23 has not followed the subscription in %: %', v_table.name, sqlerrm;
    end;
  end loop;
end $$;
