with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_4_1 union all select * from m23.entries_beside(null::m23_log.log_4, 4, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as id, l.c2 as task_id, l.c3 as body from (select * from m23_log.log_4_1 union all select * from m23.entries_beside(null::m23_log.log_4, 4, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
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
      select t.m23_balance, t.id, t.task_id, t.body from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, t.id, t.task_id, case when t.m23_unchanged & 1 = 0 then t.body
                                                                      else l.body end as body from m23_first t left join public.comments l on greatest((select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) l.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[l.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1)) = m23.uuid_of($1) and l.id operator(pg_catalog.=) t.id
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, t.id, t.task_id, case when t.m23_unchanged & 1 = 0 then t.body
             when t.m23_has_1 then t.m23_next_3 else l.body end as body
        from (
      select distinct on (r.id) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance, first_value(r.m23_op in ('U', 'D') and r.m23_unchanged & 1 = 0)
                   over w1 as m23_has_1, first_value(r.body) over w1 as m23_next_3
        from logged r
       where ((r.id) operator(pg_catalog.=) any (select t.id from (select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1) t)) is true
      window w as (partition by r.id order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following),
             w1 as (partition by r.id
                         order by r.m23_op not in ('U', 'D') or r.m23_unchanged & 1 <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)
       order by r.id, r.m23_op not in ('U', 'D'), r.m23_change_id) t left join public.comments l on (t.m23_unchanged & 1 <> 0 and not t.m23_has_1) and greatest((select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) l.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[l.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1)) = m23.uuid_of($1) and l.id operator(pg_catalog.=) t.id)
    (select r.id, r.task_id, r.body from public.comments r where (r.task_id) operator(pg_catalog.=) any (
      select m23_p1.id from public.tasks m23_p1 where m23_p1.tenant_id = m23.uuid_of($1)
      union all
      select (m23_a.key[1])::integer as task_id from m23.absent_parents m23_a
       where m23_a.table_id = 4 and m23_a.tenant_id = (m23.uuid_of($1))::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select (m23_a.key[1])::integer as task_id) m23_k join public.tasks m23_p1 on m23_p1.id operator(pg_catalog.=) m23_k.task_id)) and ($3 is null or (r.id) operator(pg_catalog.>) (($3[1])::integer)) and not (r.id) operator(pg_catalog.=) any (select t.id from touched t))
    union all
    (select r.id, r.task_id, r.body from touched r
      where (exists (select from public.comments t where greatest((select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) t.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[t.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1)) = m23.uuid_of($1) and t.id operator(pg_catalog.=) r.id))::int - r.m23_balance = 1)
