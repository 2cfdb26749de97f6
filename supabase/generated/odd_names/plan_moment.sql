insert into pg_temp.m23_diff_6 with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_6_1 union all select * from m23.entries_beside(null::m23_log.log_6, 6, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as tenant_id, l.c2 as "i d", l.c3 as "co""st$2", l.c4 as "it's {value}", l.c5 as "select" from (select * from m23_log.log_6_1 union all select * from m23.entries_beside(null::m23_log.log_6, 6, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
                        where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor
                          and l.xid in (select xid from later)) r
       where ($3 is null or (r."i d") operator(pg_catalog.>) (($3[1])::integer))),
    touched as (
      with m23_first as materialized (
      select distinct on (r."i d") r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance
        from logged r
       where true
      window w as (partition by r."i d" order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following)
       order by r."i d", r.m23_op not in ('U', 'D'), r.m23_change_id)
      select t.m23_balance, t.tenant_id, t."i d", t."co""st$2", t."it's {value}", t."select" from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, t.tenant_id, t."i d", t."co""st$2", case when t.m23_unchanged & 1 = 0 then t."it's {value}"
                                                                      else l."it's {value}" end as "it's {value}", t."select" from m23_first t left join public."ta{b}le $1 %s" l on greatest(l.tenant_id) = m23.uuid_of($1) and l."i d" operator(pg_catalog.=) t."i d"
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, t.tenant_id, t."i d", t."co""st$2", case when t.m23_unchanged & 1 = 0 then t."it's {value}"
             when t.m23_has_1 then t.m23_next_4 else l."it's {value}" end as "it's {value}", t."select"
        from (
      select distinct on (r."i d") r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance, first_value(r.m23_op in ('U', 'D') and r.m23_unchanged & 1 = 0)
                   over w1 as m23_has_1, first_value(r."it's {value}") over w1 as m23_next_4
        from logged r
       where ((r."i d") operator(pg_catalog.=) any (select t."i d" from (select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1) t)) is true
      window w as (partition by r."i d" order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following),
             w1 as (partition by r."i d"
                         order by r.m23_op not in ('U', 'D') or r.m23_unchanged & 1 <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)
       order by r."i d", r.m23_op not in ('U', 'D'), r.m23_change_id) t left join public."ta{b}le $1 %s" l on (t.m23_unchanged & 1 <> 0 and not t.m23_has_1) and greatest(l.tenant_id) = m23.uuid_of($1) and l."i d" operator(pg_catalog.=) t."i d")
      select case when not ((l.m23_place is not null)::int - w.m23_balance = 1) then 'D' when l.m23_place is null then 'I' when false then 'R'
                  else 'U' end,
             l.m23_place, case when ((l.m23_place is not null)::int - w.m23_balance = 1) then w.tenant_id else l.tenant_id end, case when ((l.m23_place is not null)::int - w.m23_balance = 1) then w."i d" else l."i d" end, case when ((l.m23_place is not null)::int - w.m23_balance = 1) then w."co""st$2" else l."co""st$2" end, case when ((l.m23_place is not null)::int - w.m23_balance = 1) then w."it's {value}" else l."it's {value}" end, case when ((l.m23_place is not null)::int - w.m23_balance = 1) then w."select" else l."select" end
        from touched w
        left join (select ctid as m23_place, r.* from public."ta{b}le $1 %s" r where greatest(r.tenant_id) = m23.uuid_of($1)) l on w."i d" operator(pg_catalog.=) l."i d"
       where ((l.m23_place is not null)::int - w.m23_balance = 1) <> (l.m23_place is not null) or ((l.m23_place is not null)::int - w.m23_balance = 1) and (l.tenant_id is distinct from w.tenant_id or l."i d" is distinct from w."i d" or (l."it's {value}")::pg_catalog.text collate pg_catalog."C" is distinct from (w."it's {value}")::pg_catalog.text collate pg_catalog."C" or l."select" is distinct from w."select" or row(l."co""st$2")::record operator(pg_catalog.*<>) row(w."co""st$2")::record and row(l."co""st$2")::text <> row(w."co""st$2")::text)
