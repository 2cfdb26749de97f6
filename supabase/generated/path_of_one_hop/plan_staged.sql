insert into pg_temp.m23_diff_4
      select case when not (w.m23_wanted is not null) then 'D' when l.m23_place is null then 'I' when false then 'R'
                  else 'U' end,
             l.m23_place, case when (w.m23_wanted is not null) then w.id else l.id end, case when (w.m23_wanted is not null) then w.task_id else l.task_id end, case when (w.m23_wanted is not null) then w.body else l.body end
        from (select true as m23_wanted, w.* from (select * from m23_staging.rows) w) w
        full join (select ctid as m23_place, r.* from public.comments r where (r.task_id) operator(pg_catalog.=) any (
      select m23_p1.id from public.tasks m23_p1 where m23_p1.tenant_id = m23.uuid_of($1)
      union all
      select (m23_a.key[1])::integer as task_id from m23.absent_parents m23_a
       where m23_a.table_id = 4 and m23_a.tenant_id = (m23.uuid_of($1))::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select (m23_a.key[1])::integer as task_id) m23_k join public.tasks m23_p1 on m23_p1.id operator(pg_catalog.=) m23_k.task_id))) l on w.id operator(pg_catalog.=) l.id
       where (w.m23_wanted is not null) <> (l.m23_place is not null) or (w.m23_wanted is not null) and (l.id is distinct from w.id or l.task_id is distinct from w.task_id or (l.body)::pg_catalog.text collate pg_catalog."C" is distinct from (w.body)::pg_catalog.text collate pg_catalog."C")
