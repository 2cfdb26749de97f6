insert into pg_temp.m23_diff_6
      select case when not (w.m23_wanted is not null) then 'D' when l.m23_place is null then 'I' when false then 'R'
                  else 'U' end,
             l.m23_place, case when (w.m23_wanted is not null) then w.tenant_id else l.tenant_id end, case when (w.m23_wanted is not null) then w."i d" else l."i d" end, case when (w.m23_wanted is not null) then w."co""st$2" else l."co""st$2" end, case when (w.m23_wanted is not null) then w."it's {value}" else l."it's {value}" end, case when (w.m23_wanted is not null) then w."select" else l."select" end
        from (select true as m23_wanted, w.* from (select * from m23_staging.rows) w) w
        full join (select ctid as m23_place, r.* from public."ta{b}le $1 %s" r where r.tenant_id = m23.uuid_of($1)) l on w."i d" operator(pg_catalog.=) l."i d"
       where (w.m23_wanted is not null) <> (l.m23_place is not null) or (w.m23_wanted is not null) and (l.tenant_id is distinct from w.tenant_id or l."i d" is distinct from w."i d" or (l."it's {value}")::pg_catalog.text collate pg_catalog."C" is distinct from (w."it's {value}")::pg_catalog.text collate pg_catalog."C" or l."select" is distinct from w."select" or row(l."co""st$2")::record operator(pg_catalog.*<>) row(w."co""st$2")::record and row(l."co""st$2")::text <> row(w."co""st$2")::text)
