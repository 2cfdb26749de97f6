with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_5_1 union all select * from m23.entries_beside(null::m23_log.log_5, 5, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as comment_id, l.c2 as emoji from (select * from m23_log.log_5_1 union all select * from m23.entries_beside(null::m23_log.log_5, 5, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
                        where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor
                          and l.xid in (select xid from later)) r
       where ($3 is null or (r.comment_id, r.emoji) operator(pg_catalog.>) (($3[1])::integer, ($3[2])::text))),
    touched as (
      select distinct on (r.comment_id, r.emoji) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance
        from logged r
       where true
      window w as (partition by r.comment_id, r.emoji order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following)
       order by r.comment_id, r.emoji, r.m23_op not in ('U', 'D'), r.m23_change_id)
    (select r.comment_id, r.emoji from public.reactions r where (r.comment_id) operator(pg_catalog.=) any (
      select m23_p4.id from public.comments m23_p4 where (m23_p4.task_id) operator(pg_catalog.=) any (
      select m23_p1.id from public.tasks m23_p1 where m23_p1.tenant_id = m23.uuid_of($1)
      union all
      select (m23_a.key[1])::integer as task_id from m23.absent_parents m23_a
       where m23_a.table_id = 4 and m23_a.tenant_id = (m23.uuid_of($1))::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select (m23_a.key[1])::integer as task_id) m23_k join public.tasks m23_p1 on m23_p1.id operator(pg_catalog.=) m23_k.task_id))
      union all
      select (m23_a.key[1])::integer as comment_id from m23.absent_parents m23_a
       where m23_a.table_id = 5 and m23_a.tenant_id = (m23.uuid_of($1))::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select (m23_a.key[1])::integer as comment_id) m23_k join public.comments m23_p4 on m23_p4.id operator(pg_catalog.=) m23_k.comment_id)) and ($3 is null or (r.comment_id, r.emoji) operator(pg_catalog.>) (($3[1])::integer, ($3[2])::text)) and not (r.comment_id, r.emoji) operator(pg_catalog.=) any (select t.comment_id, t.emoji from touched t))
    union all
    (select r.comment_id, r.emoji from touched r
      where (exists (select from public.reactions t where greatest((select m23_s.tenant from (
        select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) m23_p4.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[m23_p4.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as tenant from public.comments m23_p4 where m23_p4.id operator(pg_catalog.=) t.comment_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 5 and m23_a.key = array[t.comment_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1)) = m23.uuid_of($1) and t.comment_id operator(pg_catalog.=) r.comment_id and t.emoji operator(pg_catalog.=) r.emoji))::int - r.m23_balance = 1)
