#variable_conflict use_variable
declare
  v_null      uuid;
  v_open      text;
  v_statement text;
  v_first     pg_lsn;
  v_stale     text;
begin
  
  if m23_log.layout_3('OID', 'b179e3a431cc1a334b910078aed7a388') and random() > 0.004 and true then
    insert into m23_log.log_3_1 (tenant_id, op, actor, source, request, c2, c3)
    select r.tenant_id, 'I', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 3000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.id, r.at
      from new_rows r where r.tenant_id is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.tenant_id, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_3_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_3_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
    return v_null;
  end if;
  perform m23.tick();
  if not m23_log.layout_3('OID', 'b179e3a431cc1a334b910078aed7a388') then
    foreach v_stale in array m23.stale_capture_statements(3, tg_relid, 'insert') loop execute v_stale; end loop;
    return v_null;
  end if;
  v_first := pg_current_wal_insert_lsn();
  insert into m23_log.log_3_1 (tenant_id, op, actor, source, request, c2, c3)
    select r.tenant_id, 'I', case when current_setting('request.jwt.claims', true) <> '' then (select m23.actor()) end,
           (
            select coalesce(nullif(current_setting(s.setting, true), '')::bigint, m23.find_source(s.setting))
              from (select 'm23.source_' || to_hex(hashtextextended(current_setting('role') || case
                        when current_setting('request.path', true) <> ''
                        then concat(' ', current_setting('request.method', true), ' ', current_setting('request.path'))
                        else current_setting('application_name') end, 3000001)) offset 0) s (setting)),
           (select nullif(left(split_part(split_part(
               current_setting('request.headers', true), '"x-request-id":"', 2), '"', 1), 64), '')),
           r.id, r.at
      from new_rows r where r.tenant_id is not null and pg_advisory_xact_lock_shared(uuid_hash_extended(r.tenant_id, 0)
             & case when pg_stat_get_xact_tuples_inserted('m23_log.log_3_1'::regclass) < 16 then -1
                    when pg_stat_get_xact_tuples_inserted('m23_log.log_3_1'::regclass) < 256 then m23.fence_bits()
                    else 9151314442816847872 end) is not null;
  
  return v_null;
end
