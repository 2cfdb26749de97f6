-- Whether a table, or a partition of it, has code of the application's: in the types of its columns, in what hangs on
-- them (constraints, defaults, indexes), or by triggers and rules. What PostgreSQL brings along is in no pg_depend.
create function m23.has_own_code(p_relid oid) returns boolean
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
declare
  v_relids constant oid[] := m23.with_partitions(p_relid);
  v_code   constant oid[] := array['pg_proc', 'pg_operator', 'pg_opclass', 'pg_type']::regclass[];
begin
  return exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = any (v_relids)
                    and d.refclassid = any (v_code))
      or exists (select from pg_depend p join pg_depend d on d.classid = p.classid and d.objid = p.objid
                  where p.refclassid = 'pg_class'::regclass and p.refobjid = any (v_relids)
                    and p.classid = any (array['pg_constraint', 'pg_attrdef', 'pg_class']::regclass[])
                    and d.refclassid = any (v_code))
      or exists (select from pg_trigger t
                  where t.tgrelid = any (v_relids) and not t.tgisinternal and t.tgname !~ '^(aaa|zzz)_m23_')
      or exists (select from pg_rewrite r where r.ev_class = any (v_relids))
      or exists (select from m23.fills f join m23.protected_tables t on t.id = f.table_id
                  where t.relid = any (v_relids));
end $$;
