-- The tables that a plan of some of the chosen ones can open: those, and what foreign keys tie to them.
create function m23.opened_by(p_targets m23.target[], p_chosen m23.target[]) returns oid[]
language plpgsql stable as $$
declare v_relids oid[] := array(select (t).tbl.relid from unnest(p_targets) t);
begin
  if v_relids = '{}' then return '{}'; end if;
  return v_relids || array(
    select r.relid
      from (select coalesce(pg_partition_root(k.conrelid), k.conrelid) as child,
                   coalesce(pg_partition_root(k.confrelid), k.confrelid) as parent
              from pg_constraint k where k.contype = 'f' and k.conparentid = 0) tied,
           unnest(array[tied.child, tied.parent]) r (relid)
     where tied.child = any (v_relids) or tied.parent = any (v_relids)
    intersect
    select (t).tbl.relid from unnest(p_chosen) t);
end $$;
