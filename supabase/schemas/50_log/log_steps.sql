-- What is to be done now of one kind, as much as one transaction has locks for; the upkeep comes again in a minute. A
-- part is closed when it is time and something was written into it, or once it is large, and sealed by a later run. Of
-- a log only the oldest parts are dropped, so that what is left is whole. Where capture is suspended, nothing is logged
-- and nothing can be read.
create function m23.log_steps(p_step text, p_needed xid8) returns table (tbl m23.protected_tables, part int)
language plpgsql volatile as $$
declare
  v_most constant int := 50;
  v_bytes bigint := m23.setting('log_part_bytes')::bigint;
  v_hours interval := make_interval(hours => m23.setting('log_part_hours')::int);
begin
  return query
  select t, p.part
    from m23.log_parts p join m23.protected_tables t on t.id = p.table_id
   where t.suspended is null and exists (select from pg_class c where c.oid = t.relid)
     and (m23.obstacle_of(t)).kind is null
     and case p_step
       when 'seal' then p.closed_at is not null and not p.sealed
       when 'drop' then p_needed is not null and p.part < (
         select min(k.part) from m23.log_parts k
          where k.table_id = p.table_id and (not k.sealed or m23.part_reaches(k.table_id, k.part, p_needed)))
       when 'close' then p.closed_at is null and pg_relation_size(to_regclass(m23.part_name(p.table_id, p.part))) >
         case when p.opened_at <= clock_timestamp() - v_hours then 0 else v_bytes end end
   order by p.opened_at, p.part limit v_most;
end $$;
