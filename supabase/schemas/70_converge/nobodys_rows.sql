-- Rows whose tenant is null are nobody's. A restore takes back those that had become so.

-- Whether rows of a table can be nobody's: those whose tenant is null.
create function m23.may_be_nobodys(p_table m23.protected_tables) returns boolean
language plpgsql stable as $$
begin
  if m23.has_no_tenants(p_table) then return false; end if;
  return exists (select from unnest(m23.tenancy_attnums(p_table)) a (attnum)
                  where not m23.refuses_nulls(p_table.relid, a.attnum))
      or p_table.parent_id is not null
         and (not m23.path_is_kept(p_table) or m23.may_be_nobodys(m23.parent_of(p_table)));
end $$;

-- The condition that a row is nobody's, said so that no index serves it, as m23.is_tenants().
create function m23.is_nobodys(p_table m23.protected_tables, p_row text) returns text
language plpgsql stable as
$$ begin return format('greatest(%s) is null', m23.row_tenant(p_table, p_row)); end $$;

-- The condition that a live row `l` is the one that a planned row `d` writes over or deletes: the tenant's, or nobody's
-- that is taken back. Where values are exchanged, that is an R by then.
create function m23.is_planned(p_table m23.protected_tables, p_tenant text) returns text
language plpgsql stable as $$
declare v_tenants text := m23.is_tenants(p_table, 'l', quote_literal(p_tenant));
begin
  return case when not m23.may_be_nobodys(p_table) then v_tenants
              else format('(%s or d.m23_op in (''T'', ''R'') and %s)', v_tenants, m23.is_nobodys(p_table, 'l')) end;
end $$;

-- Takes nobody's rows that have the keys of missing ones for those: they are written over, their tenant too.
create function m23.take_back(p_target m23.target) returns bigint
language plpgsql as $$
begin
  if not m23.may_be_nobodys(p_target.tbl) then return 0; end if;
  return m23.run(p_target.path, m23.fill($sql$
      update {diff} d set m23_op = 'T', m23_place = l.ctid from {live} l
       where d.m23_op = 'I' and {same_key} and {is_nobodys}$sql$,
    'diff', m23.diff_name(p_target.tbl), 'live', m23.qualified_name((p_target.tbl).relid),
    'same_key', m23.key_match((p_target.tbl).relid, 'l', 'd'), 'is_nobodys', m23.is_nobodys(p_target.tbl, 'l')));
end $$;
