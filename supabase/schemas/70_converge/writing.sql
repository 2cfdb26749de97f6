-- Writing a plan: deletes, updates and inserts of the rows that differ, each with the tenant in it.

-- How a planned row `d` finds its live row `l`: by its place, which nobody can change under the
-- fence. Triggers that could not be silenced may have moved it; a partition's places are its own.
create function m23.live_match(p_table m23.protected_tables, p_quiet boolean) returns text
language plpgsql stable as $$
begin
  return (select case when p_quiet and c.relkind = 'r' then 'l.ctid = d.m23_place'
                      else m23.key_match(c.oid, 'l', 'd') end
            from pg_class c where c.oid = p_table.relid);
end $$;

-- Whether nothing of the application's runs when rows are written: what a statement says that it
-- has written is then what was planned. Else each row is compared with the plan.
create function m23.writes_as_planned(p_table m23.protected_tables, p_quiet boolean) returns boolean
language plpgsql stable as $$
begin
  return p_quiet and not exists (
    select from m23.captured_relations(p_table.relid) c join pg_rewrite r on r.ev_class = c.relid);
end $$;

-- Deletes the live rows of the plan with one operation; gives how many.
create function m23.delete_diff(p_target m23.target, p_tenant text, p_op "char", p_quiet boolean) returns bigint
language plpgsql as $$
begin
  return m23.run(p_target.path, format('delete from %s l using %s d where %s and %s and d.m23_op = %L',
    m23.qualified_name((p_target.tbl).relid), m23.diff_name(p_target.tbl), m23.live_match(p_target.tbl, p_quiet),
    m23.is_planned(p_target.tbl, p_tenant), p_op));
end $$;

-- Writes all of a table's plan but its deletes; gives how many rows are known to be as planned.
create function m23.write_diff(p_target m23.target, p_tenant text, p_quiet boolean) returns bigint
language plpgsql as $$
declare
  v_has     record;
  v_written bigint := 0;
begin
  execute format($sql$
      select bool_or(m23_op = 'U') as updates, bool_or(m23_op = 'T') as takes,
             bool_or(m23_op = 'R') as exchanges, bool_or(m23_op in ('I', 'R')) as inserts from %s$sql$,
    m23.diff_name(p_target.tbl)) into v_has;
  if v_has.exchanges then v_written := m23.delete_diff(p_target, p_tenant, 'R', p_quiet); end if;
  if v_has.updates then v_written := v_written + m23.update_diff(p_target, p_tenant, 'U', p_quiet); end if;
  if v_has.takes then v_written := v_written + m23.update_diff(p_target, p_tenant, 'T', p_quiet); end if;
  if v_has.inserts then v_written := v_written + m23.insert_diff(p_target, p_tenant, p_quiet); end if;
  return v_written;
end $$;

-- A row that is taken back is deleted and inserted where it differs in a column that takes no UPDATE.
create function m23.exchange_fixed(p_target m23.target) returns void
language plpgsql as $$
declare v_differ text := m23.fixed_differ(p_target, 'd');
begin
  if v_differ is null or not m23.may_be_nobodys(p_target.tbl) then return; end if;
  perform m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'R' from {live} l where d.m23_op = 'T' and {same_key} and ({differ})$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'differ', v_differ));
end $$;

-- Referenced tables before those that refer to them, as far as there is no cycle. Only a
-- server that does not let triggers be silenced needs the order.
create function m23.parents_first(p_targets m23.target[]) returns m23.target[]
language plpgsql stable as $$
begin
  return (with recursive target as (select t, (t).tbl.relid as relid from unnest(p_targets) t),
      depth (relid, d) as (
        select relid, 0 from target
        union all
        select k.conrelid, d.d + 1 from depth d
          join pg_constraint k on k.contype = 'f' and k.confrelid = d.relid and k.conrelid <> k.confrelid
          join target on target.relid = k.conrelid
         where d.d < cardinality(p_targets))
    select coalesce(array_agg(target.t order by deepest.d, target.relid), '{}')
      from target join (select relid, max(d) as d from depth group by relid) deepest using (relid));
end $$;
