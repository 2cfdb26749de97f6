select array[r.id::text] from (select r.id, r.task_id, r.body from public.comments r where (r.task_id) operator(pg_catalog.=) any (
      select m23_p1.id from public.tasks m23_p1 where m23_p1.tenant_id = m23.uuid_of($1)
      union all
      select (m23_a.key[1])::integer as task_id from m23.absent_parents m23_a
       where m23_a.table_id = 4 and m23_a.tenant_id = (m23.uuid_of($1))::text
         and not exists (select from m23.absent_parents m23_l
                          where m23_l.table_id = m23_a.table_id and m23_l.key = m23_a.key
                            and m23_l.noted_at > m23_a.noted_at)
         and not exists (select from (select (m23_a.key[1])::integer as task_id) m23_k join public.tasks m23_p1 on m23_p1.id operator(pg_catalog.=) m23_k.task_id)) and ($3 is null or (r.id) operator(pg_catalog.>) (($3[1])::integer)) order by r.id limit 1 offset 99) r
