#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_first     pg_lsn;
  v_stale     text;
begin
  
  if (m23_log.layout_5('OID', '86f612e1db06c1231f8d4cccfebf4d9e') and m23.has_path_step('OID', '{1,2}', '8056f57d3760741dcabe17c401116272') and m23.has_path_step('OID', '{1,2}', '66b40196428375e76bf28cb117bf60e4')) and random() > 0.004 and true then
    insert into m23_log.log_5_1 (tenant_id, op, actor, source, request, c1, c2)
    select r.m23_tenant, 'I', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 5000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.comment_id, r.emoji
      from (select r.*, (select m23_s.tenant from (
        select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) m23_p4.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[m23_p4.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as tenant from public.comments m23_p4 where m23_p4.id operator(pg_catalog.=) r.comment_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 5 and m23_a.key = array[r.comment_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant from new_rows r offset 0) r where r.m23_tenant is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_5_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_5_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    insert into m23.absent_parents (table_id, parent_id, key)
      select distinct 5, 4, array[r.comment_id::text] from new_rows r
       where r.comment_id is not null and not exists (select from public.comments m23_p where m23_p.id operator(pg_catalog.=) r.comment_id)
         and not exists (select from m23.absent_parents a where a.table_id = 5 and a.key = array[r.comment_id::text]);
    return v_null;
  end if;
  perform m23.tick();
  if not (m23_log.layout_5('OID', '86f612e1db06c1231f8d4cccfebf4d9e') and m23.has_path_step('OID', '{1,2}', '8056f57d3760741dcabe17c401116272') and m23.has_path_step('OID', '{1,2}', '66b40196428375e76bf28cb117bf60e4')) then
    foreach v_stale in array m23.stale_capture_statements(5, tg_relid, 'insert') loop execute v_stale; end loop;
    return v_null;
  end if;
  v_first := pg_current_wal_insert_lsn();
  insert into m23_log.log_5_1 (tenant_id, op, actor, source, request, c1, c2)
    select r.m23_tenant, 'I', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 5000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.comment_id, r.emoji
      from (select r.*, (select m23_s.tenant from (
        select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) m23_p4.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[m23_p4.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as tenant from public.comments m23_p4 where m23_p4.id operator(pg_catalog.=) r.comment_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 5 and m23_a.key = array[r.comment_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant from new_rows r offset 0) r where r.m23_tenant is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_5_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_5_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    insert into m23.absent_parents (table_id, parent_id, key)
      select distinct 5, 4, array[r.comment_id::text] from new_rows r
       where r.comment_id is not null and not exists (select from public.comments m23_p where m23_p.id operator(pg_catalog.=) r.comment_id)
         and not exists (select from m23.absent_parents a where a.table_id = 5 and a.key = array[r.comment_id::text]);
  
  return v_null;
end
