insert into pg_temp.m23_diff_5
      select case when not (w.m23_wanted is not null) then 'D' when l.m23_place is null then 'I' when false then 'R'
                  else 'U' end,
             l.m23_place, case when (w.m23_wanted is not null) then w.comment_id else l.comment_id end, case when (w.m23_wanted is not null) then w.emoji else l.emoji end
        from (select true as m23_wanted, w.* from (select * from m23_staging.rows) w) w
        full join (select ctid as m23_place, r.* from public.reactions r where (r.comment_id) operator(pg_catalog.=) any (
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
         and not exists (select from (select (m23_a.key[1])::integer as comment_id) m23_k join public.comments m23_p4 on m23_p4.id operator(pg_catalog.=) m23_k.comment_id))) l on w.comment_id operator(pg_catalog.=) l.comment_id and w.emoji operator(pg_catalog.=) l.emoji
       where (w.m23_wanted is not null) <> (l.m23_place is not null) or (w.m23_wanted is not null) and (l.comment_id is distinct from w.comment_id or (l.emoji)::pg_catalog.text collate pg_catalog."C" is distinct from (w.emoji)::pg_catalog.text collate pg_catalog."C")
