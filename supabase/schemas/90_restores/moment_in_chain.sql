-- The moment of a time inside a member. With ticks it is the last one before, or the parent's.
create function m23.moment_in_chain(p_member m23.backup_work, p_at timestamptz) returns m23.moment
language plpgsql stable as $$
declare
  v_moment m23.moment;
  v_tick   record;
begin
  if p_at = p_member.position_at then
    return null;
  elsif p_member.commit_times = 'native' then
    v_moment.at := p_at;
    v_moment.taken := p_at;
    return v_moment;
  end if;
  select t.position, t.at into v_tick from (
      select (x ->> 'position')::pg_snapshot as position, (x ->> 'at')::timestamptz as at
        from jsonb_array_elements(p_member.ticks) x
      union all
      select p.position, p.position_at from public.backup_jobs j
        join m23.backup_work p on p.job_id = j.parent_backup_id
       where j.id = p_member.job_id) t
    where t.at <= p_at order by t.at desc limit 1;
  return m23.moment_of(v_tick.position, v_tick.at);
end $$;
