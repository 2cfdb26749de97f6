-- The moments of a table that cannot be gone back to, and why.
create function m23.gaps_of(p_table m23.protected_tables, p_tenant text)
returns table ("from" timestamptz, until timestamptz, reason text)
language sql volatile rows 2 as $$
  with began as (select coalesce((select min(g.since) from m23.gaps g where g.table_id = p_table.id),
                                 m23.history_since(p_table)) as at)
  select null::timestamptz, began.at, 'the table was not protected yet' from began
  union all
  select g.since, g.until, g.reason from m23.gaps g where g.table_id = p_table.id
  union all
  select m23.history_since(p_table), p_table.pruned_at, format('the log is kept for %s days', m23.setting('log_days'))
   where p_table.pruned_at is not null
  union all
  select null, f.at, 'the tenant was forgotten' from m23.forgotten f
   where f.tenant_id = p_tenant and f.incarnation = p_table.incarnation
  union all
  select m23.history_since(p_table), clock_timestamp(), m23.present_gap(p_table)
   where m23.present_gap(p_table) is not null
  union all
  select d.protected_at, began.at, 'the table was dropped and made again' from began, m23.protected_tables d
   where d.name = p_table.name and d.protected_at < p_table.protected_at
     and not exists (select from pg_class c where c.oid = d.relid)
  union all
  select s.since, s.until, 'the clock was set back: these times came twice' from m23.clock_steps s
   where s.incarnation = p_table.incarnation
$$;
