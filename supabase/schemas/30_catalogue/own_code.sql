-- The application's own code: functions in checks, indexes, generated columns, domains, defaults and triggers of a
-- table, and operators of its types. The application runs it under a search path of its own, and such code may find
-- other things by name alone. So may statements of a restore set it off, and reads as well: to plan one, the server
-- takes index expressions in SQL apart. While a statement touches such a table, the search path of the table's owner in
-- this database is in force:
--
--   for that one statement: it is set in a function that pins its path, and so ends with it
--   after pg_catalog, and pg_temp last. A name in a statement of ours is qualified, or is pg_catalog's for just the
--     types that it stands with: no other schema comes before that
--   without schemas in which PUBLIC, anon or authenticated may create: whoever can call M23 plants nothing there.
--     m23.doctor() names them
--
-- Where a table has no code of the application's, the path stays empty.

-- Who of the unknown may create in a schema: null where that is nobody.
create function m23.open_for(p_schema oid) returns text
language plpgsql stable as $$
begin
  return case when has_schema_privilege('public', p_schema, 'create') then 'PUBLIC'
    else (select string_agg(r, ', ') from unnest('{anon,authenticated}'::text[]) r
           where has_schema_privilege(r, p_schema, 'create')) end;
end $$;

-- The server's own setting, for roles and databases without one. The session's is not asked: whoever connects sets it.
create function m23.server_setting(p_name text) returns text
language plpgsql stable as $$
declare v_value text;
begin
  if has_table_privilege('pg_catalog.pg_file_settings', 'select')
     and has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute') then
    select f.setting into v_value from pg_file_settings f
     where f.name = p_name and f.error is null order by f.seqno desc limit 1;
  end if;
  return coalesce(v_value, (select s.boot_val from pg_settings s where s.name = p_name));
end $$;

-- A setting as a role that connects to this database has it.
create function m23.setting_of_role(p_role oid, p_name text) returns text
language plpgsql stable as $$
begin
  return coalesce((
    select substr(c, length(p_name) + 2)
      from pg_db_role_setting s, unnest(s.setconfig) c
     where starts_with(c, p_name || '=') and s.setrole in (0, p_role)
       and s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database()))
     order by s.setrole <> 0 desc, s.setdatabase <> 0 desc limit 1), m23.server_setting(p_name));
end $$;

-- The schemas of a role's search path in this database, as far as they are there for it, in order; `open` names who of
-- the unknown may create in one.
create function m23.path_of_role(p_role oid) returns table (name text, open text)
language plpgsql stable rows 3 as $$
begin
  return query
  select n.nspname::text, m23.open_for(n.oid)
    from regexp_matches(m23.setting_of_role(p_role, 'search_path'), '"((?:[^"]|"")*)"|([^",[:space:]]+)', 'g')
         with ordinality m (part, ord)
    cross join lateral (select coalesce(replace(m.part[1], '""', '"'), lower(m.part[2])) as said) p
    join pg_namespace n on n.nspname = case p.said when '$user' then pg_get_userbyid(p_role) else p.said end
   where n.nspname <> 'pg_catalog' and n.nspname !~ '^pg_(temp|toast)' and has_schema_privilege(p_role, n.oid, 'usage')
   order by m.ord;
end $$;

-- A table with its partitions, found without a look at all relations.
create function m23.with_partitions(p_relid oid) returns oid[]
language plpgsql stable strict as
$$ begin return p_relid || array(select t.relid::oid from pg_partition_tree(p_relid) t where t.level > 0); end $$;

-- The search path that is in force while a statement touches a table.
create function m23.path_of(p_relid oid) returns text
language plpgsql stable as $$
begin
  if not m23.has_own_code(p_relid) then return ''; end if;
  return (select concat('pg_catalog, ', string_agg(quote_ident(s.name) || ', ', '' order by s.n), 'pg_temp')
            from pg_class c, m23.path_of_role(c.relowner) with ordinality s (name, open, n)
           where c.oid = p_relid and s.open is null);
end $$;

-- Executes a statement under a path; gives how many rows it took.
create function m23.run(p_path text, p_statement text) returns bigint
language plpgsql volatile as $$
declare v_rows bigint;
begin
  perform set_config('search_path', p_path, true);  -- until this function ends: it has one of its own
  execute p_statement;
  get diagnostics v_rows = row_count;
  return v_rows;
end $$;

-- The number that a query gives, under a path.
create function m23.number_of(p_path text, p_query text) returns numeric
language plpgsql volatile as $$
declare v_number numeric;
begin
  perform set_config('search_path', p_path, true);
  execute p_query into v_number;
  return v_number;
end $$;

-- Makes a table like another, with what p_including says and its indexes; gives whether it has them. From PostgreSQL 17
-- on, CREATE INDEX has a search path of its own: where the functions of an index do not get by with it, the table has
-- its primary key alone. Nor could a dump of the database be restored then.
create function m23.make_like(p_table text, p_relid oid, p_including text, p_path text) returns boolean
language plpgsql volatile as $$
declare
  v_like text := format('create table %s (like %s %s', p_table, m23.qualified_name(p_relid), p_including);
  v_key  text := (select string_agg(quote_ident(k), ', ') from unnest(m23.key_of(p_relid)) k);
begin
  begin
    perform m23.run(p_path, v_like || ' including indexes)');
    return true;
  exception when syntax_error_or_access_rule_violation then  -- such as a function that is not there
    perform m23.run(p_path, format('%s, primary key (%s))', v_like, v_key));
    return false;
  end;
end $$;
