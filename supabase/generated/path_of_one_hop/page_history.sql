select concat_ws(chr(9), r.m23_op, r.m23_change_id, r.m23_xid, coalesce(r.m23_at::text, '\N'),
                         r.m23_unchanged, coalesce(r.id::text, '\N') || chr(9) || coalesce(r.task_id::text, '\N') || chr(9) || coalesce(replace(replace(replace(replace((r.body::text) collate "C", '\', '\\'), chr(9), '\t'), chr(10), '\n'), chr(13), '\r'), '\N')) as m23_line,
               r.m23_change_id, r.m23_xid
          from (with between_positions as materialized (
    select x.xid from (select distinct l.xid from (select * from m23_log.log_4_1 union all select * from m23.entries_beside(null::m23_log.log_4, 4, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($4).floor) x
     where not pg_visible_in_snapshot(x.xid, ($4).position) and pg_visible_in_snapshot(x.xid, ($2).position))
    select l.op as m23_op, (l.change_id - '0/0')::bigint as m23_change_id, l.xid as m23_xid, coalesce((select c.at from m23.commit_times c where c.xid = l.xid), pg_xact_commit_timestamp(l.xid::xid)) as m23_at,
           coalesce(l.unchanged, 0) as m23_unchanged, l.c1 as id, l.c2 as task_id, l.c3 as body
      from (select * from m23_log.log_4_1 union all select * from m23.entries_beside(null::m23_log.log_4, 4, '{1}'::int[], '11111111-1111-4111-8111-111111111111', '1000'::xid8)) l where l.tenant_id = m23.uuid_of($1) and l.xid >= ($4).floor and l.xid in (select xid from between_positions)
       and ($3 is null or (l.change_id, l.xid) > ('0/0'::pg_lsn + ($3[1])::numeric, ($3[2])::xid8))
     order by l.change_id, l.xid limit 100) r order by r.m23_change_id, r.m23_xid
