with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_1_1 union all select * from m23.entries_beside(null::m23_log.log_1, 1, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as id, l.c2 as tenant_id, l.c3 as project_id, l.c4 as "Title", l.c5 as body, l.c6 as labels, l.c7 as done from (select * from m23_log.log_1_1 union all select * from m23.entries_beside(null::m23_log.log_1, 1, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
                        where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor
                          and l.xid in (select xid from later)) r
       where ($3 is null or (r.id) operator(pg_catalog.>) (($3[1])::integer))),
    touched as (
      with m23_first as materialized (
      select distinct on (r.id) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance
        from logged r
       where true
      window w as (partition by r.id order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following)
       order by r.id, r.m23_op not in ('U', 'D'), r.m23_change_id)
      select t.m23_balance, t.id, t.tenant_id, t.project_id, t."Title", t.body, t.labels, t.done from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, t.id, t.tenant_id, t.project_id, case when t.m23_unchanged & 1 = 0 then t."Title"
                                                                      else l."Title" end as "Title", case when t.m23_unchanged & 1 = 0 then t.body
                                                                      else l.body end as body, case when t.m23_unchanged & 1 = 0 then t.labels
                                                                      else l.labels end as labels, t.done from m23_first t left join public.tasks l on greatest(l.tenant_id) = m23.uuid_of($1) and l.id operator(pg_catalog.=) t.id
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, t.id, t.tenant_id, t.project_id, case when t.m23_unchanged & 1 = 0 then t."Title"
             when t.m23_has_1 then t.m23_next_4 else l."Title" end as "Title", case when t.m23_unchanged & 1 = 0 then t.body
             when t.m23_has_1 then t.m23_next_5 else l.body end as body, case when t.m23_unchanged & 1 = 0 then t.labels
             when t.m23_has_1 then t.m23_next_6 else l.labels end as labels, t.done
        from (
      select distinct on (r.id) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance, first_value(r.m23_op in ('U', 'D') and r.m23_unchanged & 1 = 0)
                   over w1 as m23_has_1, first_value(r."Title") over w1 as m23_next_4, first_value(r.body) over w1 as m23_next_5, first_value(r.labels) over w1 as m23_next_6
        from logged r
       where ((r.id) operator(pg_catalog.=) any (select t.id from (select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1) t)) is true
      window w as (partition by r.id order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following),
             w1 as (partition by r.id
                         order by r.m23_op not in ('U', 'D') or r.m23_unchanged & 1 <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)
       order by r.id, r.m23_op not in ('U', 'D'), r.m23_change_id) t left join public.tasks l on (t.m23_unchanged & 1 <> 0 and not t.m23_has_1) and greatest(l.tenant_id) = m23.uuid_of($1) and l.id operator(pg_catalog.=) t.id)
    (select r.id, r.tenant_id, r.project_id, r."Title", r.body, r.labels, r.done from public.tasks r where r.tenant_id = m23.uuid_of($1) and ($3 is null or (r.id) operator(pg_catalog.>) (($3[1])::integer)) and not (r.id) operator(pg_catalog.=) any (select t.id from touched t)
      order by r.id limit 100)
    union all
    (select r.id, r.tenant_id, r.project_id, r."Title", r.body, r.labels, r.done from touched r
      where (exists (select from public.tasks t where t.tenant_id = m23.uuid_of($1) and t.id operator(pg_catalog.=) r.id))::int - r.m23_balance = 1
      order by r.id limit 100)
