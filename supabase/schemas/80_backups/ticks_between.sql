-- The ticks between a parent and a position, as a manifest lists them: moments that lie between
-- the two, in their order. One that no change of the tenant's tells from its neighbours on either
-- side is left out, so that they are two for a change, and not one for each second: the state there
-- is that of the tick before. The last one before a change stays, for all until then is that state.
-- Only a transaction between the lower xmin and the higher xmax of a pair can be seen by one of it alone.
create function m23.ticks_between(p_parent m23.backup_work, p_position pg_snapshot, p_at timestamptz) returns jsonb
language plpgsql volatile as $$
begin
  return (with changes as materialized (
         select m23.changed_by((select m23.tables_of_job(j) from public.backup_jobs j where j.id = p_parent.job_id),
                               p_parent.tenant_id, p_parent.position) as xids),
       paired as (
         select t.*, lag(t.position, 1, p_parent.position)
                       over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as before
           from (select k.at, k.position, false as is_end from m23.ticks k
                  where m23.commit_times_since(p_parent.position_at) = 'ticks'
                    and k.incarnation = (select m23.incarnation())
                    and k.at > p_parent.position_at and k.at < p_at
                    and m23.sees_all_of(k.position, p_parent.position) and m23.sees_all_of(p_position, k.position)
                 union all select p_at, p_position, true) t),
       told as (
         select p.*, exists (
             select from unnest((select xids from changes)[
                      width_bucket(least(pg_snapshot_xmin(p.before), pg_snapshot_xmin(p.position)),
                                   (select xids from changes))
                      :width_bucket(greatest(pg_snapshot_xmax(p.before), pg_snapshot_xmax(p.position)),
                                    (select xids from changes))]) x
              where pg_visible_in_snapshot(x, p.before) <> pg_visible_in_snapshot(x, p.position)) as is_apart
           from paired p)
  select coalesce(jsonb_agg(jsonb_build_object('at', n.at, 'position', n.position::text)
                            order by n.at, pg_snapshot_xmax(n.position)), '[]')
    from (select t.*, lead(t.is_apart) over (order by t.at, t.is_end, pg_snapshot_xmax(t.position)) as is_left
            from told t) n
   where not n.is_end and (n.is_apart or n.is_left));
end $$;
