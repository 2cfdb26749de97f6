select coalesce(r.tenant_id::text, '\N') || chr(9) || coalesce(r.order_no::text, '\N') || chr(9) || coalesce(r.line::text, '\N') || chr(9) || coalesce(replace(replace(replace(replace((r.sku::text) collate "C", '\', '\\'), chr(9), '\t'), chr(10), '\n'), chr(13), '\r'), '\N') || chr(9) || coalesce(r.price::text, '\N') as m23_line, r.tenant_id, r.order_no, r.line from (with 
    later as materialized (
      select x.xid
        from (select distinct l.xid from (select * from m23_log.log_2_1 union all select * from m23.entries_beside(null::m23_log.log_2, 2, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor) x
       where (x.xid >= ($2).floor and (not pg_visible_in_snapshot(x.xid, ($2).position)
      or (($2).at is not null
          and coalesce((select c.at from m23.commit_times c where c.xid = x.xid),
                       pg_xact_commit_timestamp(x.xid::xid)) > ($2).at)))),
    logged as (
      select r.* from (select l.op as m23_op, l.change_id as m23_change_id, coalesce(l.unchanged, 0) as m23_unchanged,
                              l.c1 as tenant_id, l.c2 as order_no, l.c3 as line, l.c4 as sku, l.c5 as price from (select * from m23_log.log_2_1 union all select * from m23.entries_beside(null::m23_log.log_2, 2, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l
                        where l.tenant_id = m23.uuid_of($1) and l.xid >= ($2).floor
                          and l.xid in (select xid from later)) r
       where ($3 is null or (r.tenant_id, r.order_no, r.line) operator(pg_catalog.>) (($3[1])::uuid, ($3[2])::bigint, ($3[3])::integer))),
    touched as (
      with m23_first as materialized (
      select distinct on (r.tenant_id, r.order_no, r.line) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance
        from logged r
       where true
      window w as (partition by r.tenant_id, r.order_no, r.line order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following)
       order by r.tenant_id, r.order_no, r.line, r.m23_op not in ('U', 'D'), r.m23_change_id)
      select t.m23_balance, t.tenant_id, t.order_no, t.line, t.sku, t.price from m23_first t where t.m23_unchanged = 0
      union all
      select t.m23_balance, t.tenant_id, t.order_no, t.line, case when t.m23_unchanged & 1 = 0 then t.sku
                                                                      else l.sku end as sku, t.price from m23_first t left join public.order_lines l on greatest(l.tenant_id) = m23.uuid_of($1) and l.tenant_id operator(pg_catalog.=) t.tenant_id and l.order_no operator(pg_catalog.=) t.order_no and l.line operator(pg_catalog.=) t.line
       where t.m23_unchanged <> 0 and t.m23_images = 1
      union all
      select t.m23_balance, t.tenant_id, t.order_no, t.line, case when t.m23_unchanged & 1 = 0 then t.sku
             when t.m23_has_1 then t.m23_next_4 else l.sku end as sku, t.price
        from (
      select distinct on (r.tenant_id, r.order_no, r.line) r.*, count(*) filter (where r.m23_op in ('U', 'D')) over w as m23_images,
             sum(case when r.m23_op in ('I', 'n', 'a') then 1 when r.m23_op in ('D', 'o', 'l') then -1 else 0 end)
               over w as m23_balance, first_value(r.m23_op in ('U', 'D') and r.m23_unchanged & 1 = 0)
                   over w1 as m23_has_1, first_value(r.sku) over w1 as m23_next_4
        from logged r
       where ((r.tenant_id, r.order_no, r.line) operator(pg_catalog.=) any (select t.tenant_id, t.order_no, t.line from (select * from m23_first f where f.m23_unchanged <> 0 and f.m23_images > 1) t)) is true
      window w as (partition by r.tenant_id, r.order_no, r.line order by r.m23_op not in ('U', 'D'), r.m23_change_id
                   rows between unbounded preceding and unbounded following),
             w1 as (partition by r.tenant_id, r.order_no, r.line
                         order by r.m23_op not in ('U', 'D') or r.m23_unchanged & 1 <> 0, r.m23_change_id
                         rows between unbounded preceding and unbounded following)
       order by r.tenant_id, r.order_no, r.line, r.m23_op not in ('U', 'D'), r.m23_change_id) t left join public.order_lines l on (t.m23_unchanged & 1 <> 0 and not t.m23_has_1) and greatest(l.tenant_id) = m23.uuid_of($1) and l.tenant_id operator(pg_catalog.=) t.tenant_id and l.order_no operator(pg_catalog.=) t.order_no and l.line operator(pg_catalog.=) t.line)
    (select r.tenant_id, r.order_no, r.line, r.sku, r.price from public.order_lines r where r.tenant_id = m23.uuid_of($1) and ($3 is null or (r.tenant_id, r.order_no, r.line) operator(pg_catalog.>) (($3[1])::uuid, ($3[2])::bigint, ($3[3])::integer)) and not (r.tenant_id, r.order_no, r.line) operator(pg_catalog.=) any (select t.tenant_id, t.order_no, t.line from touched t)
      order by r.tenant_id, r.order_no, r.line limit 100)
    union all
    (select r.tenant_id, r.order_no, r.line, r.sku, r.price from touched r
      where (exists (select from public.order_lines t where t.tenant_id = m23.uuid_of($1) and t.tenant_id operator(pg_catalog.=) r.tenant_id and t.order_no operator(pg_catalog.=) r.order_no and t.line operator(pg_catalog.=) r.line))::int - r.m23_balance = 1
      order by r.tenant_id, r.order_no, r.line limit 100)) r order by r.tenant_id, r.order_no, r.line limit 100
