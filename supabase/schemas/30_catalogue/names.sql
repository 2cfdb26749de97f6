-- Names of tables: as SQL has them, as callers write them, and as a backup has them.

-- The name of a table for a statement: `schema.table`, quoted where it has to be.
create function m23.qualified_name(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select format('%I.%I', n.nspname, c.relname)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

-- `schema.table`, never quoted.
create function m23.raw_name(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select n.nspname || '.' || c.relname
            from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

-- The name as callers write it: `orders` in public, `schema.orders` elsewhere, never quoted.
create function m23.public_name(p_table oid) returns text
language plpgsql stable as $$
begin
  return (select case when n.nspname = 'public' then c.relname::text else n.nspname || '.' || c.relname end
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
end $$;

-- The parts of a name, null where a text is none.
create function m23.parts_of_name(p_name text) returns text[]
language plpgsql immutable as $$
begin
  return parse_ident(p_name);
exception when invalid_parameter_value then return null;
end $$;

-- The parts of a backup (`schema.table`, as it has them) by the names that a caller can mean them by: what is called so
-- now goes before what was called so then.
create function m23.parts_called(p_job uuid) returns table (name text, part_name text)
language plpgsql volatile rows 20 as $$
begin
  return query
  select distinct on (c.name) c.name, k.part_name
    from (select b.ordinal, b.schema_name, b.table_name, b.schema_name || '.' || b.table_name as part_name, n.relid
            from m23.backup_tables b cross join lateral (select (m23.table_now(b)).relid offset 0) n (relid)
           where b.job_id = p_job) k
   cross join lateral (values (m23.public_name(k.relid), true), (m23.raw_name(k.relid), true), (k.part_name, false),
                              (case k.schema_name when 'public' then k.table_name end, false)) c (name, is_now)
   where c.name is not null order by c.name, c.is_now desc, k.ordinal;
end $$;

-- The present names, `schema.table`, of a backup's tables, given by the names that it has for them; null for all that
-- are still protected.
create function m23.names_now(p_job uuid, p_tables text[]) returns text[]
language plpgsql volatile as $$
begin
  return array(select m23.raw_name((n.t).relid) from m23.backup_tables b
                cross join lateral (select m23.table_now(b) as t offset 0) n
                where b.job_id = p_job and (n.t).id is not null
                  and (p_tables is null or b.schema_name || '.' || b.table_name = any (p_tables)) order by b.ordinal);
end $$;

-- The protected tables that callers' names mean.
create function m23.relations_named(p_tables text[]) returns oid[]
language plpgsql stable as $$ begin return array(select t.relid from m23.tables_named(p_tables) t); end $$;

-- The same by their present names, as callers write them.
create function m23.public_names(p_tables text[]) returns text[]
language sql stable as
$$ select array_agg(m23.public_name(t.relid) order by 1) from m23.tables_named(p_tables) t $$;
