-- The windows of some tables, as one.
create function m23.common_window(p_tenant text, p_tables text[], out earliest timestamptz, out closed text)
language plpgsql volatile as $$
declare
  v_ids    int[] := array(select t.id from m23.chosen(p_tables) t);
  v_life   uuid := m23.incarnation();
  v_native boolean := m23.commit_times_are_native();
  v_sound  int[] := m23.sound_tables(v_ids);
begin
  -- Of a table that nothing has been done to, no more is asked than when its history began.
  select greatest(max(case when v_native and t.id = any (v_sound) and t.incarnation = v_life
                           then greatest(m23.began_at(t), t.pruned_at)
                           else m23.earliest_moment(t, p_tenant) end),
                  (select f.at from m23.forgotten f
                    where f.tenant_id = p_tenant and f.incarnation = v_life and v_ids <> '{}')),
         min(case when t.id <> all (v_sound) or t.incarnation <> v_life
                  then m23.public_name(t.relid) || ': ' || m23.present_gap(t) end)
    into earliest, closed
    from m23.protected_tables t where t.id = any (v_ids);
end $$;
