-- The tenants' transactions with deletes since `before` ($1), and what each minute of them came to: one row a tenant,
-- of the minute with most, if it ends with a transaction that was not looked at ($2) and is done by now ($3). What a
-- restore of ours deletes is asked for, and can be undone.
create function m23.deletes_query(p_part text) returns text
language sql stable as $outer$
  select m23.fill($sql$
    with recursive tenant (id) as (
      (select l.tenant_id from {part} l order by l.tenant_id limit 1)
      union all
      select (select l.tenant_id from {part} l where l.tenant_id > t.id order by l.tenant_id limit 1)
        from tenant t where t.id is not null),
    deleted as (
      select t.id as tenant_id, l.xid, coalesce({at}, clock_timestamp()) as at, l.rows
        from tenant t cross join lateral (
          select l.xid, count(*) as rows from {part} l
           where l.tenant_id = t.id and l.op = 'D' and l.xid >= pg_snapshot_xmin($1)
             and not pg_visible_in_snapshot(l.xid, $1) and pg_visible_in_snapshot(l.xid, $3) group by l.xid) l
       where not exists (
         select from public.pitr_snapshots s
          where s.tenant_id = t.id::text and s.snapshot_type = 'pre_restore'
            and s.snapshot_data ->> 'transaction' = l.xid::text)),
    minute as (
      select d.tenant_id, d.xid, d.at as until, sum(d.rows) over last as rows,
             first_value(d.xid) over last as first_xid, first_value(d.at) over last as since
        from deleted d
      window last as (partition by d.tenant_id order by d.at
                      range between interval '1 minute' preceding and current row))
    select distinct on (tenant_id) tenant_id::text, first_xid, since, until from minute
     where not pg_visible_in_snapshot(xid, $2) and rows > 100 order by tenant_id, rows desc, until$sql$,
    'part', p_part, 'at', m23.committed_at())
$outer$;
