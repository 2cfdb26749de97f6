-- What is to be known of a table's path, a sentence that goes on from the table's name; null where nothing is. The rows
-- of a tenant are found from its parents: without an index on the columns that lead there, by a look at all rows.
create function m23.path_doubt(p_table m23.protected_tables) returns text
language plpgsql stable as $$
declare v_columns text := array_to_string(m23.tenancy_columns(p_table), ', ');
begin
  if p_table.parent_id is null or m23.is_indexed(p_table.relid, p_table.via_attnums) then return null; end if;
  return format('finds its tenants by "%s", which no index begins with: backups and restores look at all of its rows; '
                'create index on %s (%1$s)', v_columns, m23.qualified_name(p_table.relid));
end $$;

-- Whether an index of all rows begins with these columns, in whatever order.
create function m23.is_indexed(p_relid oid, p_attnums int2[]) returns boolean
language plpgsql stable as $$
begin
  return exists (select from pg_index i
                  where i.indrelid = p_relid and i.indisvalid and i.indpred is null
                    and (i.indkey::int2[])[0:cardinality(p_attnums) - 1] @> p_attnums);
end $$;
