insert into pg_temp.m23_diff_3
      select case when not (w.m23_wanted is not null) then 'D' when l.m23_place is null then 'I' when false then 'R'
                  else 'U' end,
             l.m23_place, case when (w.m23_wanted is not null) then w.tenant_id else l.tenant_id end, case when (w.m23_wanted is not null) then w.id else l.id end, case when (w.m23_wanted is not null) then w.at else l.at end, case when (w.m23_wanted is not null) then w.body else l.body end
        from (select true as m23_wanted, w.* from (select * from m23_staging.rows) w) w
        full join (select ctid as m23_place, r.* from public.events r where r.tenant_id = m23.uuid_of($1)) l on w.id operator(pg_catalog.=) l.id and w.at operator(pg_catalog.=) l.at
       where (w.m23_wanted is not null) <> (l.m23_place is not null) or (w.m23_wanted is not null) and (l.tenant_id is distinct from w.tenant_id or l.id is distinct from w.id or l.at is distinct from w.at or row(l.body)::record operator(pg_catalog.*<>) row(w.body)::record and row(l.body)::text <> row(w.body)::text)
