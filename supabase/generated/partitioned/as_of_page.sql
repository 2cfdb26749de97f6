with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_3_1 union all select * from m23.entries_beside(null::m23_log.log_3, 3, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as tenant_id, l.c2 as id, l.c3 as at, l.c4 as body from (select * from m23_log.log_3_1 union all select * from m23.entries_beside(null::m23_log.log_3, 3, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
                        where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor
                          and l.xid in (select xid from later)) r
       where ($3 is null or (r.id, r.at) operator(pg_catalog.>) (($3[1])::bigint, ($3[2])::date))),
    touched as (
      select distinct on (r.id, r.at) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance
        from logged r
       where true
      window w as (partition by r.id, r.at order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following)
       order by r.id, r.at, r.m23_op not in ('U', 'D'), r.m23_change_id)
    (select r.tenant_id, r.id, r.at, r.body from public.events r where r.tenant_id = m23.uuid_of($1) and ($3 is null or (r.id, r.at) operator(pg_catalog.>) (($3[1])::bigint, ($3[2])::date)) and not (r.id, r.at) operator(pg_catalog.=) any (select t.id, t.at from touched t)
      order by r.id, r.at limit 100)
    union all
    (select r.tenant_id, r.id, r.at, r.body from touched r
      where (exists (select from public.events t where t.tenant_id = m23.uuid_of($1) and t.id operator(pg_catalog.=) r.id and t.at operator(pg_catalog.=) r.at))::int - r.m23_balance = 1
      order by r.id, r.at limit 100)
