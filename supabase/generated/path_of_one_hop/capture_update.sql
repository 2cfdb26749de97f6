#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_others    text;
  v_start     pg_lsn;
  v_first     pg_lsn;
  v_direct    boolean;
  v_known     boolean;
  v_stale     text;
begin
  
  if (m23_log.layout_4('OID', '22b3a79d2338aecc6b658d5fa8dfe347') and m23.has_path_step('OID', '{1,2}', '66b40196428375e76bf28cb117bf60e4')) and random() > 0.004 and concat(current_setting('m23.open_4', true), current_setting('m23.changed_4', true)) = '' then
    insert into m23_log.log_4_1 (tenant_id, op, actor, source, request, c1, c2, unchanged)
    select r.m23_tenant, 'U', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 4000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.id, r.task_id, 1
      from (select r.*, (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant from old_rows r offset 0) r where r.m23_tenant is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    return v_null;
  end if;
  v_known := (m23_log.layout_4('OID', '22b3a79d2338aecc6b658d5fa8dfe347') and m23.has_path_step('OID', '{1,2}', '66b40196428375e76bf28cb117bf60e4'));
  v_open := current_setting('m23.open_4', true);
  if (v_open <> '') is not true or random() < 0.004 then perform m23.tick(); end if;
  v_first := pg_current_wal_insert_lsn();
  if v_known then
    insert into m23_log.log_4_1 (tenant_id, op, actor, source, request, c1, c2, c3, unchanged)
    select r.m23_tenant, 'U', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 4000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.id, r.task_id, case when changed.g0 then r.body end, nullif(case when changed.g0 then 0 else 1 end, 0)
      from (select pg_catalog.current_setting('m23.changed_4_0', true) operator(pg_catalog.=) 'yes' as g0 offset 0) changed, (select r.*, (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant from old_rows r offset 0) r where r.m23_tenant is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
  else
    foreach v_stale in array m23.stale_capture_statements(4, tg_relid, 'update') loop execute v_stale; end loop;
  end if;
  if v_open <> '' then
    v_statement := split_part(v_open, ',', -1);
    if strpos(v_open, ',') > 0 and left(v_statement, 1) = 'U' then
      v_others := left(v_open, - length(v_statement) - 1);
    else
      v_statement := m23.open_statement(v_open, 'U');
      v_others := m23.without_statement(v_open, v_statement);
    end if;
    v_start := coalesce(split_part(v_statement, '@', 2), '0/0');
    if v_open not like ',%' and split_part(v_open, ',', 1)::pg_lsn > v_start then
      if v_known then
        v_direct := v_statement is null or substr(split_part(v_statement, '@', 1), 2)::int = pg_trigger_depth();
        update m23_log.log_4_1 l set change_id = pg_current_wal_insert_lsn() + later.n::numeric
      from unnest(array(select o.m23_place
          from (select o.*, min(o.m23_change_id) filter (where true)
                              over (partition by o.m23_tenant, o.id) as m23_next
                  from (select e.*, bool_or(e.m23_change_id >= v_first and e.m23_op = 'U')
                                      over (partition by e.m23_tenant, e.id) as m23_own,
                               coalesce(sum(case when e.m23_op in ('I', 'n', 'a') then 1
                                                 when e.m23_op in ('D', 'o', 'l') then -1 else 0 end)
                                          over (partition by e.m23_tenant, e.id order by e.m23_change_id
                                                rows between unbounded preceding and 1 preceding), 0) as m23_balance
                          from (select l.tenant_id as m23_tenant, l.change_id as m23_change_id, l.op as m23_op,
                                       l.ctid as m23_place, (l.c1) as id from m23_log.log_4_1 l
                                 where l.tenant_id in (select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) from old_rows r)
                                   and l.xid = pg_current_xact_id() and l.change_id >= v_start) e) o
                 where o.m23_own and o.m23_change_id < v_first) o
         where o.m23_change_id >= o.m23_next
         group by o.m23_place, o.m23_change_id order by o.m23_change_id)) with ordinality later (place, n)
     where l.ctid = later.place;
      else
        perform m23.log_after('m23_log.log_4_1', v_start, v_first);
      end if;
    end if;
    perform set_config('m23.open_4', concat(pg_current_wal_insert_lsn(),
                                        substr(v_others, nullif(strpos(v_others, ','), 0))), true);
  end if;
  if v_known and current_setting('m23.moved_4', true) <> '' then
    insert into m23_log.log_4_1 (tenant_id, op, actor, source, request, c1)
    select r.m23_tenant, (case when r.m23_more > 0 or r.m23_of_key > r.m23_of_row
                                    or current_setting('m23.moved_4', true) is not distinct from 'both' and r.m23_of_all > r.m23_of_tenant
                               then 'l' else 'o' end)::"char", case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 4000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')), r.id
      from (select r.*, row_number() over (partition by r.m23_tenant, r.id, r.m23_n) as m23_nth,
                   sum(r.m23_n) over (partition by r.m23_tenant) as m23_more,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant, r.id) as m23_of_row,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant) as m23_of_tenant,
                   count(*) filter (where r.m23_n < 0) over (partition by r.id) as m23_of_key,
                   count(*) filter (where r.m23_n < 0) over () as m23_of_all
              from (select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant, r.id, 1 as m23_n from old_rows r
                    union all select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1), r.id, -1 from new_rows r) r) r
     where r.m23_n > 0 and r.m23_nth > r.m23_of_row and true and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    insert into m23_log.log_4_1 (tenant_id, op, actor, source, request, c1)
    select r.m23_tenant, (case when r.m23_more > 0 or r.m23_of_key > r.m23_of_row
                                    or current_setting('m23.moved_4', true) is not distinct from 'both' and r.m23_of_all > r.m23_of_tenant
                               then 'a' else 'n' end)::"char", case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 4000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')), r.id
      from (select r.*, row_number() over (partition by r.m23_tenant, r.id, r.m23_n) as m23_nth,
                   sum(r.m23_n) over (partition by r.m23_tenant) as m23_more,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant, r.id) as m23_of_row,
                   count(*) filter (where r.m23_n < 0) over (partition by r.m23_tenant) as m23_of_tenant,
                   count(*) filter (where r.m23_n < 0) over (partition by r.id) as m23_of_key,
                   count(*) filter (where r.m23_n < 0) over () as m23_of_all
              from (select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1) as m23_tenant, r.id, 1 as m23_n from new_rows r
                    union all select (select m23_s.tenant from (
        select m23_p1.tenant_id as tenant from public.tasks m23_p1 where m23_p1.id operator(pg_catalog.=) r.task_id
        union all
        (select m23_a.tenant_id::uuid from m23.absent_parents m23_a
          where m23_a.table_id = 4 and m23_a.key = array[r.task_id::text] order by m23_a.noted_at desc limit 1)) m23_s limit 1), r.id, -1 from old_rows r) r) r
     where r.m23_n > 0 and r.m23_nth > r.m23_of_row and true and pg_advisory_xact_lock_shared(uuid_hash_extended(r.m23_tenant, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_4_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    if current_setting('session_replication_role') = 'replica' then
      insert into m23.absent_parents (table_id, parent_id, key)
      select distinct 4, 1, array[r.task_id::text] from new_rows r
       where (select current_setting('session_replication_role') = 'replica') and r.task_id is not null and not exists (select from public.tasks m23_p where m23_p.id operator(pg_catalog.=) r.task_id)
         and not exists (select from m23.absent_parents a where a.table_id = 4 and a.key = array[r.task_id::text]);
    end if;
    if true then
      foreach v_stale in array m23.subtree_statements(4, 'update') loop execute v_stale; end loop;
    end if;
  end if;
  return v_null;
end
