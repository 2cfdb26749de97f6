-- What the staged rows say, but for keys that have changed since the backup or since the
-- moment: those are as the log has them at the moment. A column that the archive does not have
-- is, in rows that nobody has changed, as it is; one that is newer than the moment always is.
create function m23.staged_at_moment(
  p_staged m23.staged_tables, p_wanted text, p_table m23.protected_tables, p_backup pg_snapshot, p_moment m23.moment,
  p_log text
) returns text
language sql stable as $q$
  select format($$with since_backup as (with %1$s select * from touched),
      since_moment as (with %2$s select * from touched),
      changed as materialized (select %3$s from since_backup r union select %3$s from since_moment r)
    select %4$s from (%5$s) r left join (select r.ctid as m23_place, r.* from %6$s r where %7$s) l on %8$s
     where not exists (select from changed t where %9$s)
    union all
    select %10$s from (%11$s) r left join (select r.ctid as m23_place, r.* from %6$s r where %7$s) l on %8$s
     where exists (select from changed t where %9$s)$$,
    m23.touched_since(p_table, p_log, format('%L::m23.moment', m23.moment_of(p_backup))),
    m23.touched_since(p_table, p_log), m23.key_list(p_table.relid, 'r'),
    (select string_agg(format(case when c.name = any (p_staged.columns) then 'r.%I' else 'l.%I' end, c.name),
                       ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    p_wanted, m23.qualified_name(p_table.relid), m23.belongs_to(p_table, 'r', '$1'),
    m23.key_match(p_table.relid, 'l', 'r'),
    m23.key_match(p_table.relid, 't', 'r'),
    (select string_agg(format(case when c.name = any (m23.newer_columns(p_table, p_moment))
                                   then 'case when l.m23_place is not null then l.%1$I else r.%1$I end'
                                   else 'r.%1$I' end, c.name), ', ' order by c.attnum)
       from m23.columns_of(p_table.relid) c where not c.generated),
    m23.as_of_query(p_table, m23.touched_since(p_table, p_log)))
$q$;
